/* Updates of gradient descent, one after the other, for lanes that never interact.
 *
 * What an update does is in functions.h, which is made for each program:
 *
 *   gradient(rows, w, x, y, share, g, loss, work)   ∇ of the mean loss over rows, times their share
 *   descend(w, v, lr, g, work)                      how it moves the weights
 *
 * and the sizes: LANES that are computed together, PARAMETERS, FEATURES and OUTPUTS of a network,
 * ROWS that go through it at a time, and how many numbers these take to WORK with.
 */

#include <pthread.h>
#include <stdlib.h>

#include "numbers.h"
#include "functions.h"

/* What is to be done; laps are epochs, or the part of one. Lanes are counted up to a whole number
 * of LANES, C groups of them, and lie innermost in memory. */
struct updates {
    int64_t laps, updates;     /* so many updates in each of so many laps */
    int64_t batch, last;       /* rows of an update, and of a lap's last one */
    int64_t lanes, visitors;   /* lanes, and how many of them come with numbers of rows */
    int64_t threads;           /* that compute; what comes out doesn't depend on it */
    const float *x, *y;        /* (N, FEATURES), (N, OUTPUTS) */
    const int64_t *rows;       /* (laps, visitors, rows of a lap), or NULL: 0, 1, … in each */
    float *weights, *velocity; /* (C, PARAMETERS, LANES) each, moved */
    const float *lr;           /* (C, LANES) */
    float *losses;             /* (laps, updates, C, LANES), of the batches before each update */
    float *ends_w, *ends_v;    /* (laps, C, PARAMETERS, LANES), weights and velocity after each */
};

/* A batch of very many pieces is cut into slices, which threads can share. */
#define MANY_PIECES 64
#define SLICES 8

struct slice {
    const struct updates *u;
    int64_t lap, lane;
    int64_t first, size;        /* where in the lap the batch begins, and its rows */
    int64_t start, stop;        /* rows of the batch that are the slice */
    const real *w;
    real *x, *y, *g, *sum, *work;
    real loss;
};

/* Tasks, and what they have in common. */
struct team {
    void (*task)(void *common, int64_t number);
    void *common;
    int64_t tasks, next;
};

static void *work_through(void *given)
{
    struct team *team = given;
    int64_t number;
    while ((number = __atomic_fetch_add(&team->next, 1, __ATOMIC_RELAXED)) < team->tasks)
        team->task(team->common, number);
    return NULL;
}

/* Have tasks done by so many threads; this one does what is left where no others can be had. */
static void share_out(struct team team, int64_t threads)
{
    pthread_t others[threads];
    int64_t count = 0, most = threads < team.tasks ? threads : team.tasks;
    while (count < most - 1 && !pthread_create(&others[count], NULL, work_through, &team))
        count++;
    work_through(&team);
    for (int64_t k = 0; k < count; k++)
        pthread_join(others[k], NULL);
}

/* The rows of LANES lanes, from some position of the lap on, next to each other. */
static inline void gather(const struct slice *s, int64_t at, int64_t rows)
{
    const struct updates *u = s->u;
    int64_t a_lap = (u->updates - 1) * u->batch + u->last;
    for (int64_t l = 0; l < LANES; l++) {
        int64_t visitor = s->lane + l < u->visitors ? s->lane + l : u->visitors - 1;
        const int64_t *visited = u->rows ? u->rows + (s->lap * u->visitors + visitor) * a_lap : NULL;
        for (int64_t k = 0; k < rows; k++) {
            int64_t row = visited ? visited[at + k] : at + k;
            for (int64_t d = 0; d < FEATURES; d++)
                ((float *)s->x)[(k * FEATURES + d) * LANES + l] = u->x[row * FEATURES + d];
            for (int64_t d = 0; d < OUTPUTS; d++)
                ((float *)s->y)[(k * OUTPUTS + d) * LANES + l] = u->y[row * OUTPUTS + d];
        }
    }
}

/* The sum of the gradients of a slice's pieces, each times its share of the batch. */
static inline void add_up(struct slice *s)
{
    real loss = R(0);
    for (int64_t at = s->start; at < s->stop; at += ROWS) {
        int64_t rows = at + ROWS < s->stop ? ROWS : s->stop - at;
        real piece, share = R((float)rows / s->size);
        real *restrict g = at == s->start ? s->sum : s->g;
        gather(s, s->first + at, rows);
        gradient(rows, s->w, s->x, s->y, share, g, &piece, s->work);
        loss += share * piece;
        if (at > s->start)
            for (int64_t i = 0; i < PARAMETERS; i++)
                s->sum[i] += g[i];
    }
    s->loss = loss;
}

static void add_up_one(void *slices, int64_t number) { add_up((struct slice *)slices + number); }

/* The same of a whole batch, in the first slice. */
static void add_up_all(struct slice *slices)
{
    int64_t pieces = (slices->size + ROWS - 1) / ROWS;
    for (int64_t k = 1; k < SLICES; k++) {
        slices[k].lap = slices->lap;
        slices[k].first = slices->first;
        slices[k].size = slices->size;
    }
    for (int64_t k = 0; k < SLICES; k++) {
        slices[k].start = pieces * k / SLICES * ROWS;
        slices[k].stop = k == SLICES - 1 ? slices->size : pieces * (k + 1) / SLICES * ROWS;
    }
    struct team team = {add_up_one, slices, SLICES, 0};
    share_out(team, slices->u->lanes > LANES ? 1 : slices->u->threads);
    for (int64_t k = 1; k < SLICES; k++) {
        slices->loss += slices[k].loss;
        for (int64_t i = 0; i < PARAMETERS; i++)
            slices->sum[i] += slices[k].sum[i];
    }
}

/* Numbers from one buffer to the next, so that each begins with a line of the cache. */
#define ROOM(numbers) (((int64_t)(numbers) + 15) / 16 * 16)
#define OF_A_SLICE (ROOM(ROWS * FEATURES) + ROOM(ROWS * OUTPUTS) + 2 * ROOM(PARAMETERS) + ROOM(WORK))

/* All updates of the lanes of a group. */
static void train(const struct updates *u, int64_t group, real *memory, int64_t count)
{
    struct slice slices[SLICES];
    real *w = (real *)u->weights + group * PARAMETERS;
    real *v = u->velocity ? (real *)u->velocity + group * PARAMETERS : NULL;
    real lr;
    memcpy(&lr, u->lr + group * LANES, sizeof lr);
    for (int64_t k = 0; k < count; k++) {
        struct slice *s = slices + k;
        s->u = u, s->lane = group * LANES, s->w = w;
        s->x = memory + k * OF_A_SLICE;
        s->y = s->x + ROOM(ROWS * FEATURES);
        s->g = s->y + ROOM(ROWS * OUTPUTS);
        s->sum = s->g + ROOM(PARAMETERS);
        s->work = s->sum + ROOM(PARAMETERS);
    }
    for (int64_t lap = 0; lap < u->laps; lap++) {
        for (int64_t k = 0; k < u->updates; k++) {
            struct slice *s = slices;
            s->lap = lap;
            s->first = k * u->batch;
            s->size = k == u->updates - 1 ? u->last : u->batch;
            s->start = 0;
            s->stop = s->size;
            if (s->size < MANY_PIECES * ROWS)
                add_up(s);
            else
                add_up_all(s);
            descend(w, v, lr, s->sum, s->work);
            memcpy(u->losses + (lap * u->updates + k) * u->lanes + s->lane, &s->loss, sizeof lr);
        }
        int64_t place = (lap * (u->lanes / LANES) + group) * PARAMETERS;
        memcpy((real *)u->ends_w + place, w, PARAMETERS * sizeof(real));
        if (v)
            memcpy((real *)u->ends_v + place, v, PARAMETERS * sizeof(real));
    }
}

struct groups {
    const struct updates *u;
    int failed;
};

static void train_one(void *given, int64_t group)
{
    struct groups *groups = given;
    int64_t count = groups->u->batch < MANY_PIECES * ROWS ? 1 : SLICES;
    real *memory = aligned_alloc(64, (count * OF_A_SLICE * sizeof(real) + 63) / 64 * 64);
    if (memory)
        train(groups->u, group, memory, count);
    else
        groups->failed = 1;
    free(memory);
}

/* 0, or 1 where memory is out. */
int run(const struct updates *u)
{
    struct groups groups = {u, 0};
    struct team team = {train_one, &groups, u->lanes / LANES, 0};
    share_out(team, u->lanes > LANES ? u->threads : 1);
    return groups.failed;
}
