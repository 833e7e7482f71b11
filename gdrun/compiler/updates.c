/* Updates of gradient descent, one after the other, for lanes that never interact.
 *
 * What an update computes is in functions.h, which is generated for each program:
 *
 *   gradient(rows, w, x, y, share, g, loss, work, me)  mean loss over rows, its gradient · share
 *   descend(w, v, lr, factors, g, work, me)            moves weights and buffers by the gradient
 *
 * and constants: the PARAMETERS and FEATURES of the network, the columns of TARGETS, the BUFFERS of
 * the optimizer, the FACTORS of an update, the ROWS of the largest chunk of a batch that goes
 * through the network at a time, the `real` at `work` (WORK), and whether threads share these
 * functions (SHARED): each then calls them and does its part, in blocks of BLOCK.
 * LANES, the number of lanes in a `real`, is defined on the compiler's command line.
 */

#include <stdlib.h>

#include "numbers.h"
#include "threads.h"
#include "functions.h"

/* A block of updates: some in each of several epochs, or in a part of one epoch. Lanes are padded
 * to C groups of LANES, and are the innermost axis of all arrays but the data. */
struct update_arguments {
    int64_t epochs, updates;                /* updates in each of the epochs */
    const int64_t *ends;                    /* after how many updates of the block weights are
                                             * returned, ascending; the last is after all */
    int64_t batch, last_batch;              /* rows of an update, and of the last in an epoch */
    int64_t padded_lanes, index_lanes;      /* C * LANES, and lanes that have indices of rows */
    int64_t threads;                        /* at most; the result is the same for any number */
    const float *x, *y;                     /* (N, FEATURES), (N, TARGETS) */
    const int64_t *indices;                 /* (epochs, index_lanes, rows of an epoch), the rows
                                             * that are visited; NULL: 0, 1, … in each epoch */
    float *weights, *buffers;               /* (C, PARAMETERS, LANES) and
                                             * (C, BUFFERS, PARAMETERS, LANES), updated */
    const float *lr;                        /* (C, LANES) */
    const float *factors;                   /* (epochs, updates, FACTORS), of which the first is that
                                             * of lr; NULL if FACTORS is 0 */
    float *losses;                          /* (epochs, updates, C, LANES), before each update */
    float *end_weights, *end_buffers;       /* as `weights` and `buffers`, of each end */
};

/* A batch of MANY_CHUNKS is cut into slices, whose gradients threads can compute in parallel. The
 * sums are the same, whatever the number of threads. */
#define SLICES 8

struct slice {
    const struct update_arguments *args;
    int64_t epoch, lane;         /* of the block; the first lane of the group */
    int64_t first, batch;        /* the batch: its first visit in the epoch, and its rows */
    int64_t start, stop;         /* the rows of the batch that are in the slice */
    const real *w;
    real *x, *y, *g, *sum, *work; /* a chunk's rows and gradient; the sum of gradients */
    real *shared_loss;            /* of a chunk, or of the slice, which other threads read */
    real loss;
};

/* A member's part of a sum of gradients. */
static inline void add(real *restrict sum, const real *restrict g, struct member me)
{
    int64_t stop = end_of(me, PARAMETERS, BLOCK);
    for (int64_t i = begin_of(me, PARAMETERS, BLOCK); i < stop; i++)
        sum[i] += g[i];
}

/* Copy rows that a group's lanes visit from a visit of the epoch on, lanes innermost. */
static inline void gather(const struct slice *s, int64_t visit, int64_t start, int64_t stop)
{
    const struct update_arguments *args = s->args;
    int64_t epoch_rows = (args->updates - 1) * args->batch + args->last_batch;
    for (int64_t l = 0; l < LANES; l++) {
        int64_t lane = s->lane + l < args->index_lanes ? s->lane + l : args->index_lanes - 1;
        const int64_t *indices = NULL;
        if (args->indices)
            indices = args->indices + (s->epoch * args->index_lanes + lane) * epoch_rows;
        for (int64_t k = start; k < stop; k++) {
            int64_t row = indices ? indices[visit + k] : visit + k;
            for (int64_t d = 0; d < FEATURES; d++)
                ((float *)s->x)[(k * FEATURES + d) * LANES + l] = args->x[row * FEATURES + d];
            for (int64_t d = 0; d < TARGETS; d++)
                ((float *)s->y)[(k * TARGETS + d) * LANES + l] = args->y[row * TARGETS + d];
        }
    }
}

/* A slice's part of the batch's loss, and of its gradient: the sum over its chunks. */
static inline void slice_gradient(struct slice *s, struct member me)
{
    real loss = R(0), own, *chunk = SHARED ? s->shared_loss : &own;
    for (int64_t at = s->start; at < s->stop; at += ROWS) {
        int64_t rows = at + ROWS < s->stop ? ROWS : s->stop - at;
        real share = R((float)rows / s->batch), *g = at == s->start ? s->sum : s->g;
        if (SHARED) {
            gather(s, s->first + at, begin_of(me, rows, 1), end_of(me, rows, 1));
            meet(me); /* the rows are there, and the weights that `descend` has moved */
        } else {
            gather(s, s->first + at, 0, rows);
        }
        gradient(rows, s->w, s->x, s->y, share, g, chunk, s->work, me);
        if (SHARED)
            meet(me);
        loss += share * *chunk;
        if (at > s->start) {
            add(s->sum, g, me);
            meet(me);
        }
    }
    s->loss = loss;
}

/* Loss and gradient of a whole batch, computed slice by slice and left in the first slice. */
static void sliced_gradient(struct slice *slices, struct member me)
{
    int64_t chunks = (slices->batch + ROWS - 1) / ROWS, k;
    for (k = 0; k < SLICES; k++) {
        slices[k].epoch = slices->epoch;
        slices[k].first = slices->first;
        slices[k].batch = slices->batch;
        slices[k].start = chunks * k / SLICES * ROWS;
        slices[k].stop = k == SLICES - 1 ? slices->batch : chunks * (k + 1) / SLICES * ROWS;
    }
    meet(me);
    while ((k = take(me)) < SLICES) {
        slice_gradient(slices + k, ALONE);
        *slices[k].shared_loss = slices[k].loss;
    }
    meet(me);
    slices->loss = *slices->shared_loss;
    for (k = 1; k < SLICES; k++) {
        slices->loss += *slices[k].shared_loss;
        add(slices->sum, slices[k].sum, me);
    }
    me.team->taken = 0; /* before the next begins */
    meet(me);
}

/* The `real` from one buffer to the next, so that each begins with a cache line. */
#define PADDED(count) (((int64_t)(count) + 15) / 16 * 16)
#define SLICE_SIZE \
    (PADDED(ROWS * FEATURES) + PADDED(ROWS * TARGETS) + 2 * PADDED(PARAMETERS) + PADDED(WORK) \
     + PADDED(1))

struct training {
    const struct update_arguments *args;
    int64_t groups, slices, size; /* `real` of the slices of a group */
    real *memory;
};

/* A member's part of a copy of weights. */
static inline void copy(real *to, const real *from, struct member me)
{
    int64_t start = begin_of(me, PARAMETERS, BLOCK), stop = end_of(me, PARAMETERS, BLOCK);
    memcpy(to + start, from + start, (stop - start) * sizeof(real));
}

/* All updates of a group's lanes; there is memory for as many slices as a batch has. */
static void train_group(
    const struct training *training, int64_t group, real *memory, struct member me)
{
    const struct update_arguments *args = training->args;
    struct slice slices[SLICES], *s;
    struct member sharing = SHARED ? me : ALONE;
    int takes_part = SHARED || me.number == 0; /* in what isn't sliced */
    real *w = (real *)args->weights + group * PARAMETERS;
    real *v = (real *)args->buffers + group * BUFFERS * PARAMETERS;
    real lr;
    memcpy(&lr, args->lr + group * LANES, sizeof lr);
    for (int64_t k = 0; k < training->slices; k++) {
        s = slices + k;
        s->args = args, s->lane = group * LANES, s->w = w;
        s->x = memory + k * SLICE_SIZE;
        s->y = s->x + PADDED(ROWS * FEATURES);
        s->g = s->y + PADDED(ROWS * TARGETS);
        s->sum = s->g + PADDED(PARAMETERS);
        s->work = s->sum + PADDED(PARAMETERS);
        s->shared_loss = s->work + PADDED(WORK);
    }
    s = slices;
    int64_t done = 0, ends = 0;
    for (int64_t epoch = 0; epoch < args->epochs; epoch++) {
        for (int64_t k = 0; k < args->updates; k++) {
            s->epoch = epoch;
            s->first = k * args->batch;
            s->batch = k == args->updates - 1 ? args->last_batch : args->batch;
            s->start = 0;
            s->stop = s->batch;
            if (s->batch >= MANY_CHUNKS * ROWS)
                sliced_gradient(slices, me);
            else if (takes_part)
                slice_gradient(s, sharing);
            if (!takes_part)
                continue;
            const float *factors = args->factors + done * FACTORS;
            real rate = FACTORS ? lr * R(factors[0]) : lr;
            descend(w, v, rate, factors + 1, s->sum, s->work, sharing);
            if (sharing.number == 0)
                memcpy(args->losses + done * args->padded_lanes + s->lane, &s->loss, sizeof(real));
            if (++done < args->ends[ends])
                continue;
            meet(sharing); /* the weights that others have moved */
            int64_t place = ends++ * (args->padded_lanes / LANES) + group;
            copy((real *)args->end_weights + place * PARAMETERS, w, sharing);
            for (int64_t b = 0; b < BUFFERS; b++)
                copy((real *)args->end_buffers + (place * BUFFERS + b) * PARAMETERS,
                     v + b * PARAMETERS, sharing);
        }
    }
}

static void train(void *context, struct member me)
{
    struct training *training = context;
    struct team own = {.count = 1};
    int64_t group;
    if (training->groups == 1)
        train_group(training, 0, training->memory, me);
    else
        while ((group = take(me)) < training->groups)
            train_group(training, group, training->memory + me.number * training->size,
                        (struct member){&own, 0, 1});
}

/* Execute a block of updates. Returns 0, or 1 if there was no memory for the computation. */
int execute_updates(const struct update_arguments *args)
{
    int64_t groups = args->padded_lanes / LANES, threads = args->threads, spaces = 1;
    int64_t slices = args->batch < MANY_CHUNKS * ROWS ? 1 : SLICES;
    if (groups > 1)
        spaces = threads = threads < groups ? threads : groups;
    else if (!SHARED && slices == 1)
        threads = 1;
    struct training training = {args, groups, slices, slices * SLICE_SIZE, NULL};
    training.memory = aligned_alloc(64, (spaces * training.size * sizeof(real) + 63) / 64 * 64);
    if (!training.memory)
        return 1;
    work_together(train, &training, threads);
    free(training.memory);
    return 0;
}
