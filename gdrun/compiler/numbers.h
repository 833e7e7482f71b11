/* Numbers as the updates compute with them.
 *
 * A `real` is a number of one lane, or as many numbers as there are LANES, one of each: what is
 * written once for a lane is then done for all of them at the same time.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Neighbouring numbers in memory, wherever they begin. */
typedef float vec2 __attribute__((vector_size(8), aligned(4), may_alias));
typedef float vec4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef float vec8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float vec16 __attribute__((vector_size(64), aligned(4), may_alias));

#if LANES > 1
typedef float real __attribute__((vector_size(4 * LANES)));
typedef int32_t whole __attribute__((vector_size(4 * LANES)));
#define TRUE(condition) (condition) /* comparisons of vectors give all bits or none */
#define WHOLE(x) __builtin_convertvector(x, whole)
#define REAL(n) __builtin_convertvector(n, real)
#else
typedef float real;
typedef int32_t whole;
#define TRUE(condition) (-(condition))
#define WHOLE(x) ((int32_t)(x))
#define REAL(n) ((float)(n))
#endif

/* A constant. */
#define R(c) ((real){0} + (float)(c))

static inline whole bits(real x) { whole n; memcpy(&n, &x, sizeof n); return n; }
static inline real of_bits(whole n) { real x; memcpy(&x, &n, sizeof x); return x; }

/* condition ? a : b, without a branch. */
static inline real pick(whole condition, real a, real b)
{
    return of_bits((bits(a) & TRUE(condition)) | (bits(b) & ~TRUE(condition)));
}

static inline real absolute(real x) { return of_bits(bits(x) & 0x7fffffff); }

static inline real rectified(real x) { return pick(x < 0, R(0), x); }

/* -1, 0 or 1, as it is for PyTorch: 0 of what isn't a number. */
static inline real sign(real x) { return pick(x > 0, R(1), pick(x < 0, R(-1), R(0))); }

/* e^x to 2e-7 relative, infinite from 88.4 on: 2^n · e^r, |r| ≤ ln 2 / 2, with the polynomial of
 * Cephes (expf.c). */
static inline real exponential(real x)
{
    whole none = x < -87.3f; /* what is below 1e-38 is nothing, times whatever */
    x = pick(x > 88.7f, R(88.7), pick(none, R(-87.3), x));
    real y = x * 1.44269504f;
    whole n = WHOLE(y + pick(y < 0, R(-0.5), R(0.5)));
    real r = x - REAL(n) * 0.693359375f + REAL(n) * 2.12194440e-4f;
    real p = R(1.9875691500e-4);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return pick(none, R(0), (p * r * r + r + 1) * of_bits((n + 127) << 23));
}

static inline real sigmoid(real x) { return 1 / (1 + exponential(-x)); }

/* tanh x, to 2e-7 relative; near 0 with the polynomial of Cephes (tanhf.c). */
static inline real hyperbolic_tangent(real x)
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
static inline real error_function(real x)
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
