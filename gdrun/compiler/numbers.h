/* The arithmetic of updates.
 *
 * A `real` is the number of one lane, or a vector with one number of each of LANES lanes: code that
 * is written for one lane then computes all of them at the same time.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Vectors of neighbouring floats in memory, at any float's address. */
typedef float vec2 __attribute__((vector_size(8), aligned(4), may_alias));
typedef float vec4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef float vec8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float vec16 __attribute__((vector_size(64), aligned(4), may_alias));

#if LANES > 1
typedef float real __attribute__((vector_size(4 * LANES)));
typedef int32_t integer __attribute__((vector_size(4 * LANES)));
#define MASK(condition) (condition) /* a comparison of vectors sets all bits or none */
#define TO_INTEGER(x) __builtin_convertvector(x, integer)
#define TO_REAL(n) __builtin_convertvector(n, real)
#else
typedef float real;
typedef int32_t integer;
#define MASK(condition) (-(condition))
#define TO_INTEGER(x) ((int32_t)(x))
#define TO_REAL(n) ((float)(n))
#endif

/* In loops of any size, which are not vectorised around calls. */
#define INLINE static inline __attribute__((always_inline))

/* A constant, the same for all lanes. */
#define R(c) ((real){0} + (float)(c))

INLINE integer bits(real x) { integer n; memcpy(&n, &x, sizeof n); return n; }
INLINE real from_bits(integer n) { real x; memcpy(&x, &n, sizeof x); return x; }

/* condition ? a : b, without a branch. */
INLINE real pick(integer condition, real a, real b)
{
    return from_bits((bits(a) & MASK(condition)) | (bits(b) & ~MASK(condition)));
}

INLINE real absolute(real x) { return from_bits(bits(x) & 0x7fffffff); }

INLINE real rectified(real x) { return pick(x < 0, R(0), x); }

INLINE real larger(real x, real y) { return pick(x < y, y, x); }

/* Of a vector, element by element: the compiler makes one instruction of it. */
INLINE real square_root(real x)
{
#if LANES > 1
    for (int l = 0; l < LANES; l++)
        x[l] = sqrtf(x[l]);
    return x;
#else
    return sqrtf(x);
#endif
}

/* -1, 0 or 1; 0 for NaN, as in PyTorch. */
INLINE real sign(real x) { return pick(x > 0, R(1), pick(x < 0, R(-1), R(0))); }

/* e^x to 2e-7 relative, infinite from 88.4 on: 2^n · e^r, |r| ≤ ln 2 / 2, with the polynomial of
 * Cephes (expf.c). */
INLINE real exponential(real x)
{
    integer tiny = x < -87.3f; /* e^x is below FLT_MIN: 0 */
    x = pick(x > 88.7f, R(88.7), pick(tiny, R(-87.3), x));
    real y = x * 1.44269504f;
    integer n = TO_INTEGER(y + pick(y < 0, R(-0.5), R(0.5)));
    real r = x - TO_REAL(n) * 0.693359375f + TO_REAL(n) * 2.12194440e-4f;
    real p = R(1.9875691500e-4);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return pick(tiny, R(0), (p * r * r + r + 1) * from_bits((n + 127) << 23));
}

INLINE real sigmoid(real x) { return 1 / (1 + exponential(-x)); }

/* ln x, to 2e-7 relative, for what isn't below FLT_MIN: e ln 2 + ln(1 + r), with the polynomial of
 * Cephes (logf.c). */
INLINE real logarithm(real x)
{
    integer n = ((bits(x) >> 23) & 0xff) - 126;
    real m = from_bits((bits(x) & 0x007fffff) | 0x3f000000); /* x = m · 2^n, 1/2 ≤ m < 1 */
    integer low = m < 0.707106781f;
    real e = TO_REAL(n) - pick(low, R(1), R(0)), r = pick(low, m + m, m) - 1, z = r * r;
    real p = R(7.0376836292e-2);
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    real y = e * 0.693359375f + (r + (p * r * z - 0.5f * z - 2.12194440e-4f * e));
    y = pick(x <= 0, pick(x < 0, R(NAN), R(-INFINITY)), y);
    return pick(x < INFINITY, y, x); /* infinite, or no number */
}

/* ln(1 + x) for x ≥ 0, to 3e-7 relative: up to 1 by 2 artanh(x / (2 + x)). */
INLINE real logarithm_of_1_plus(real x)
{
    real s = x / (2 + x), z = s * s;
    real p = R(1.0 / 17);
    p = p * z + (float)(1.0 / 15);
    p = p * z + (float)(1.0 / 13);
    p = p * z + (float)(1.0 / 11);
    p = p * z + (float)(1.0 / 9);
    p = p * z + (float)(1.0 / 7);
    p = p * z + (float)(1.0 / 5);
    p = p * z + (float)(1.0 / 3);
    return pick(x < 1, 2 * s + 2 * s * z * p, logarithm(1 + x));
}

/* tanh x, to 2e-7 relative; near 0 with the polynomial of Cephes (tanhf.c). */
INLINE real hyperbolic_tangent(real x)
{
    real a = absolute(x), z = x * x;
    real p = R(-5.70498872745e-3);
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    real far = 1 - 2 / (exponential(2 * a) + 1);
    return pick(a < 0.625f, p * z * x + x, pick(x < 0, -far, far));
}

/* erf x, to 5e-7 absolute (Abramowitz & Stegun 1964, 7.1.26). */
INLINE real error_function(real x)
{
    real a = absolute(x), t = 1 / (1 + 0.3275911f * a);
    real p = R(1.061405429);
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    real far = 1 - p * t * exponential(-a * a);
    return pick(x < 0, -far, far);
}
