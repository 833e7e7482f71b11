/* Threads that execute the same code side by side, share its loops, and wait for each other. */

#include <pthread.h>
#include <sched.h>

struct team {
    int64_t arrived, rounds;    /* at the present meeting; meetings that all have left */
    int64_t asleep, taken;      /* members that wait asleep; tasks that were begun */
    int64_t count;              /* members; 0 until all are there that can be created */
    pthread_mutex_t lock;
    pthread_cond_t changed;     /* a meeting is over, or the count is known */
};

/* One of the threads, from 0. */
struct member {
    struct team *team;
    int64_t number, count;
};

#define ALONE ((struct member){NULL, 0, 1})

/* How often a thread that waits looks, some 10 µs, and then lets others go first, before it falls
 * asleep. Waking it up takes longer than most parts of an update; but two threads may be on one
 * core, and no core is kept long from other work. */
#define LOOKS 400
#define YIELDS 100

static inline void breathe(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Wait until all members are here; what they wrote before can be read after it. */
static void meet(struct member me)
{
    struct team *team = me.team;
    if (me.count == 1)
        return;
    int64_t rounds = __atomic_load_n(&team->rounds, __ATOMIC_SEQ_CST);
    if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_SEQ_CST) == me.count) {
        team->arrived = 0;
        __atomic_store_n(&team->rounds, rounds + 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&team->asleep, __ATOMIC_SEQ_CST)) {
            pthread_mutex_lock(&team->lock);
            pthread_cond_broadcast(&team->changed);
            pthread_mutex_unlock(&team->lock);
        }
        return;
    }
    for (int looks = 0; looks < LOOKS; looks++) {
        if (__atomic_load_n(&team->rounds, __ATOMIC_SEQ_CST) != rounds)
            return;
        breathe();
    }
    for (int looks = 0; looks < YIELDS; looks++) {
        if (__atomic_load_n(&team->rounds, __ATOMIC_SEQ_CST) != rounds)
            return;
        sched_yield();
    }
    pthread_mutex_lock(&team->lock);
    __atomic_add_fetch(&team->asleep, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&team->rounds, __ATOMIC_SEQ_CST) == rounds)
        pthread_cond_wait(&team->changed, &team->lock);
    __atomic_sub_fetch(&team->asleep, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&team->lock);
}

/* Where a member's part of a loop begins and ends; all but the end of the loop are multiples of
 * the block. */
static inline int64_t begin_of(struct member me, int64_t length, int64_t block)
{
    return length / block * me.number / me.count * block;
}

static inline int64_t end_of(struct member me, int64_t length, int64_t block)
{
    me.number++;
    return me.number == me.count ? length : begin_of(me, length, block);
}

/* The number of a task that no other member has begun. */
static inline int64_t take(struct member me)
{
    return __atomic_fetch_add(&me.team->taken, 1, __ATOMIC_RELAXED);
}

struct start {
    void (*work)(void *context, struct member me);
    void *context;
    struct member me;
};

static void *start_member(void *argument)
{
    struct start *start = argument;
    struct team *team = start->me.team;
    pthread_mutex_lock(&team->lock);
    while (!team->count)
        pthread_cond_wait(&team->changed, &team->lock);
    start->me.count = team->count;
    pthread_mutex_unlock(&team->lock);
    start->work(start->context, start->me);
    return NULL;
}

/* Work with up to so many threads, this one included; with fewer if no more can be created. */
static void work_together(void (*work)(void *, struct member), void *context, int64_t threads)
{
    struct team team = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct start starts[threads];
    pthread_t others[threads];
    int64_t count = 1;
    for (; count < threads; count++) {
        starts[count] = (struct start){work, context, {&team, count, 0}};
        if (pthread_create(&others[count], NULL, start_member, &starts[count]))
            break;
    }
    pthread_mutex_lock(&team.lock);
    team.count = count;
    pthread_cond_broadcast(&team.changed);
    pthread_mutex_unlock(&team.lock);
    work(context, (struct member){&team, 0, count});
    for (int64_t k = 1; k < count; k++)
        pthread_join(others[k], NULL);
}
