/* Updates of gradient descent, one after the other, for lanes that never interact.
 *
 * What an update does is in functions.h, which is made for each program:
 *
 *   gradient(rows, w, x, y, share, g, loss, work)   ∇ of the mean loss over rows, times their share
 *   descend(w, v, lr, g)                            how it moves the weights
 *
 * and the sizes: LANES that are computed together, PARAMETERS, FEATURES and OUTPUTS of a network,
 * ROWS that go through it at a time, and how many numbers gradient takes to WORK with.
 */

#include <stdlib.h>

#include "numbers.h"
#include "functions.h"

/* What is to be done; laps are epochs, or the part of one. Lanes are counted up to a whole number
 * of LANES, C groups of them, and lie innermost in memory. */
struct updates {
    int64_t laps, updates;     /* so many updates in each of so many laps */
    int64_t batch, last;       /* rows of an update, and of a lap's last one */
    int64_t lanes, visitors;   /* lanes, and how many of them come with numbers of rows */
    const float *x, *y;        /* (N, FEATURES), (N, OUTPUTS) */
    const int64_t *rows;       /* (laps, visitors, rows of a lap), or NULL: 0, 1, … in each */
    float *weights, *velocity; /* (C, PARAMETERS, LANES) each, moved */
    const float *lr;           /* (C, LANES) */
    float *losses;             /* (laps, updates, C, LANES), of the batches before each update */
    float *ends_w, *ends_v;    /* (laps, C, PARAMETERS, LANES), weights and velocity after each */
};

/* The rows of LANES lanes, from some position of the lap on, next to each other. */
static inline void gather(const struct updates *u, int64_t lap, int64_t lane, int64_t at,
                          int64_t rows, real *x, real *y)
{
    int64_t a_lap = (u->updates - 1) * u->batch + u->last;
    for (int64_t l = 0; l < LANES; l++) {
        int64_t visitor = lane + l < u->visitors ? lane + l : u->visitors - 1;
        const int64_t *visited = u->rows ? u->rows + (lap * u->visitors + visitor) * a_lap : NULL;
        for (int64_t k = 0; k < rows; k++) {
            int64_t row = visited ? visited[at + k] : at + k;
            for (int64_t d = 0; d < FEATURES; d++)
                ((float *)x)[(k * FEATURES + d) * LANES + l] = u->x[row * FEATURES + d];
            for (int64_t d = 0; d < OUTPUTS; d++)
                ((float *)y)[(k * OUTPUTS + d) * LANES + l] = u->y[row * OUTPUTS + d];
        }
    }
}

/* 0, or -1 where memory is out. */
int run(const struct updates *u)
{
    int64_t numbers = ROWS * (FEATURES + OUTPUTS + 32) + 3 * (PARAMETERS + 16) + WORK;
    real *memory = aligned_alloc(64, (numbers * sizeof(real) + 63) / 64 * 64);
    if (!memory)
        return -1;
    real *restrict x = memory;
    real *restrict y = x + (ROWS * FEATURES + 15) / 16 * 16;
    real *restrict g = y + (ROWS * OUTPUTS + 15) / 16 * 16;
    real *restrict sum = g + (PARAMETERS + 15) / 16 * 16;
    real *restrict work = sum + (PARAMETERS + 15) / 16 * 16;
    for (int64_t lane = 0; lane < u->lanes; lane += LANES) {
        real *restrict w = (real *)u->weights + lane / LANES * PARAMETERS;
        real *restrict v = (real *)u->velocity + lane / LANES * PARAMETERS;
        real lr;
        memcpy(&lr, u->lr + lane, sizeof lr);
        for (int64_t lap = 0; lap < u->laps; lap++) {
            for (int64_t k = 0; k < u->updates; k++) {
                int64_t size = k == u->updates - 1 ? u->last : u->batch;
                real loss = R(0);
                for (int64_t at = 0; at < size; at += ROWS) {
                    int64_t rows = at + ROWS < size ? ROWS : size - at;
                    real piece, share = R((float)rows / size);
                    gather(u, lap, lane, k * u->batch + at, rows, x, y);
                    gradient(rows, w, x, y, share, g, &piece, work);
                    loss += share * piece;
                    if (size <= ROWS)
                        break;
                    for (int64_t i = 0; i < PARAMETERS; i++)
                        sum[i] = at ? sum[i] + g[i] : g[i];
                }
                descend(w, v, lr, size <= ROWS ? g : sum);
                memcpy(u->losses + (lap * u->updates + k) * u->lanes + lane, &loss, sizeof loss);
            }
            int64_t place = (lap * (u->lanes / LANES) + lane / LANES) * PARAMETERS;
            if (u->ends_w)
                memcpy((real *)u->ends_w + place, w, PARAMETERS * sizeof(real));
            if (u->ends_v)
                memcpy((real *)u->ends_v + place, v, PARAMETERS * sizeof(real));
        }
    }
    free(memory);
    return 0;
}
