/* Updates of gradient descent, one after the other, for lanes that never interact.
 *
 * What an update computes is in functions.h, which is generated for each program:
 *
 *   gradient(rows, w, x, y, share, g, loss, work)   mean loss over rows; its gradient times share
 *   descend(w, v, lr, factors, g, work)             moves weights and buffers by the gradient
 *
 * and constants: the PARAMETERS and FEATURES of the network, the columns of TARGETS, the BUFFERS of
 * the optimizer, the FACTORS of an update, the ROWS of the largest chunk of a batch that goes
 * through the network at a time, and the `real` at `work` (WORK).
 * LANES, the number of lanes in a `real`, is defined on the compiler's command line.
 */

#include <pthread.h>
#include <stdlib.h>

#include "numbers.h"
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

/* A batch of many chunks is cut into slices, whose gradients threads can compute in parallel. The
 * sums are the same, whatever the number of threads. */
#define MANY_CHUNKS 64
#define SLICES 8

struct slice {
    const struct update_arguments *args;
    int64_t epoch, lane;         /* of the block; the first lane of the group */
    int64_t first, batch;        /* the batch: its first visit in the epoch, and its rows */
    int64_t start, stop;         /* the rows of the batch that are in the slice */
    const real *w;
    real *x, *y, *g, *sum, *work; /* a chunk's rows and gradient; the sum of gradients */
    real loss;
};

/* Calls of a function with 0, 1, …, count - 1. */
struct task_queue {
    void (*task)(void *context, int64_t number);
    void *context;
    int64_t count, next;
};

static void *run_tasks(void *argument)
{
    struct task_queue *queue = argument;
    int64_t number;
    while ((number = __atomic_fetch_add(&queue->next, 1, __ATOMIC_RELAXED)) < queue->count)
        queue->task(queue->context, number);
    return NULL;
}

/* Run all tasks in up to `threads` threads, this one included; fewer if no more can be created. */
static void run_parallel(struct task_queue queue, int64_t threads)
{
    pthread_t others[threads];
    int64_t created = 0, most = threads < queue.count ? threads : queue.count;
    while (created < most - 1 && !pthread_create(&others[created], NULL, run_tasks, &queue))
        created++;
    run_tasks(&queue);
    for (int64_t k = 0; k < created; k++)
        pthread_join(others[k], NULL);
}

/* Copy the rows that a group's lanes visit from a visit of the epoch on, lanes innermost. */
static inline void gather(const struct slice *s, int64_t visit, int64_t rows)
{
    const struct update_arguments *args = s->args;
    int64_t epoch_rows = (args->updates - 1) * args->batch + args->last_batch;
    for (int64_t l = 0; l < LANES; l++) {
        int64_t lane = s->lane + l < args->index_lanes ? s->lane + l : args->index_lanes - 1;
        const int64_t *indices = NULL;
        if (args->indices)
            indices = args->indices + (s->epoch * args->index_lanes + lane) * epoch_rows;
        for (int64_t k = 0; k < rows; k++) {
            int64_t row = indices ? indices[visit + k] : visit + k;
            for (int64_t d = 0; d < FEATURES; d++)
                ((float *)s->x)[(k * FEATURES + d) * LANES + l] = args->x[row * FEATURES + d];
            for (int64_t d = 0; d < TARGETS; d++)
                ((float *)s->y)[(k * TARGETS + d) * LANES + l] = args->y[row * TARGETS + d];
        }
    }
}

/* A slice's part of the batch's loss and gradient: the sum over its chunks. */
static inline void slice_gradient(struct slice *s)
{
    real loss = R(0);
    for (int64_t at = s->start; at < s->stop; at += ROWS) {
        int64_t rows = at + ROWS < s->stop ? ROWS : s->stop - at;
        real chunk, share = R((float)rows / s->batch);
        real *restrict g = at == s->start ? s->sum : s->g;
        gather(s, s->first + at, rows);
        gradient(rows, s->w, s->x, s->y, share, g, &chunk, s->work);
        loss += share * chunk;
        if (at > s->start)
            for (int64_t i = 0; i < PARAMETERS; i++)
                s->sum[i] += g[i];
    }
    s->loss = loss;
}

static void slice_task(void *slices, int64_t number)
{
    slice_gradient((struct slice *)slices + number);
}

/* Loss and gradient of a whole batch, computed slice by slice and left in the first slice. */
static void sliced_gradient(struct slice *slices)
{
    int64_t chunks = (slices->batch + ROWS - 1) / ROWS;
    for (int64_t k = 1; k < SLICES; k++) {
        slices[k].epoch = slices->epoch;
        slices[k].first = slices->first;
        slices[k].batch = slices->batch;
    }
    for (int64_t k = 0; k < SLICES; k++) {
        slices[k].start = chunks * k / SLICES * ROWS;
        slices[k].stop = k == SLICES - 1 ? slices->batch : chunks * (k + 1) / SLICES * ROWS;
    }
    struct task_queue queue = {slice_task, slices, SLICES, 0};
    run_parallel(queue, slices->args->padded_lanes > LANES ? 1 : slices->args->threads);
    for (int64_t k = 1; k < SLICES; k++) {
        slices->loss += slices[k].loss;
        for (int64_t i = 0; i < PARAMETERS; i++)
            slices->sum[i] += slices[k].sum[i];
    }
}

/* The `real` from one buffer to the next, so that each begins with a cache line. */
#define PADDED(count) (((int64_t)(count) + 15) / 16 * 16)
#define SLICE_SIZE \
    (PADDED(ROWS * FEATURES) + PADDED(ROWS * TARGETS) + 2 * PADDED(PARAMETERS) + PADDED(WORK))

/* All updates of a group's lanes; there is memory for as many slices as a batch has. */
static void train_group(
    const struct update_arguments *args, int64_t group, real *memory, int64_t slice_count)
{
    struct slice slices[SLICES];
    real *w = (real *)args->weights + group * PARAMETERS;
    real *v = (real *)args->buffers + group * BUFFERS * PARAMETERS;
    real lr;
    memcpy(&lr, args->lr + group * LANES, sizeof lr);
    for (int64_t k = 0; k < slice_count; k++) {
        struct slice *s = slices + k;
        s->args = args, s->lane = group * LANES, s->w = w;
        s->x = memory + k * SLICE_SIZE;
        s->y = s->x + PADDED(ROWS * FEATURES);
        s->g = s->y + PADDED(ROWS * TARGETS);
        s->sum = s->g + PADDED(PARAMETERS);
        s->work = s->sum + PADDED(PARAMETERS);
    }
    int64_t done = 0, end = 0;
    for (int64_t epoch = 0; epoch < args->epochs; epoch++) {
        for (int64_t k = 0; k < args->updates; k++) {
            struct slice *s = slices;
            s->epoch = epoch;
            s->first = k * args->batch;
            s->batch = k == args->updates - 1 ? args->last_batch : args->batch;
            s->start = 0;
            s->stop = s->batch;
            if (s->batch < MANY_CHUNKS * ROWS)
                slice_gradient(s);
            else
                sliced_gradient(s);
            const float *factors = args->factors + done * FACTORS;
            descend(w, v, FACTORS ? lr * R(factors[0]) : lr, factors + 1, s->sum, s->work);
            memcpy(args->losses + done * args->padded_lanes + s->lane, &s->loss, sizeof s->loss);
            if (++done < args->ends[end])
                continue;
            int64_t place = (end++ * (args->padded_lanes / LANES) + group) * PARAMETERS;
            memcpy((real *)args->end_weights + place, w, PARAMETERS * sizeof(real));
            place *= BUFFERS;
            memcpy((real *)args->end_buffers + place, v, BUFFERS * PARAMETERS * sizeof(real));
        }
    }
}

struct training {
    const struct update_arguments *args;
    int failed;
};

static void group_task(void *context, int64_t group)
{
    struct training *training = context;
    int64_t slice_count = training->args->batch < MANY_CHUNKS * ROWS ? 1 : SLICES;
    size_t bytes = (slice_count * SLICE_SIZE * sizeof(real) + 63) / 64 * 64;
    real *memory = aligned_alloc(64, bytes);
    if (memory)
        train_group(training->args, group, memory, slice_count);
    else
        training->failed = 1;
    free(memory);
}

/* Execute a block of updates. Returns 0, or 1 if there was no memory for the computation. */
int execute_updates(const struct update_arguments *args)
{
    struct training training = {args, 0};
    struct task_queue queue = {group_task, &training, args->padded_lanes / LANES, 0};
    run_parallel(queue, args->padded_lanes > LANES ? args->threads : 1);
    return training.failed;
}
