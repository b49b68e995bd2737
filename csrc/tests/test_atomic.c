/* The two handshakes that tg_atomic.h is for, under load.
 *
 *   test_atomic           ring and sleep/wake, checked by their results
 *   test_atomic ring      the ring alone: under ThreadSanitizer its silence is the result
 *   test_atomic race      the ring with its release and acquire taken out: ThreadSanitizer must report it
 *
 * The ring is the pattern of ring.pyx: plain writes of a record, one release store of the count, slots given
 * back by another. ThreadSanitizer does not know fences, so sleep/wake is judged by its results only.
 */
#include "tg_atomic.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SLOTS 64
#define RECORDS 300000
#define OVER UINT64_MAX

static struct {
    uint64_t words[4];
} slots[SLOTS];
static uint64_t pushed, popped;
static int relaxed;

static uint64_t load(const uint64_t *p)
{
    return relaxed ? __atomic_load_n(p, __ATOMIC_RELAXED) : tg_load_u64(p);
}

static void store(uint64_t *p, uint64_t v)
{
    if (relaxed)
        __atomic_store_n(p, v, __ATOMIC_RELAXED);
    else
        tg_store_u64(p, v);
}

static void *produce(void *unused)
{
    (void)unused;
    for (uint64_t n = 0; n < RECORDS; n++) {
        while (n - load(&popped) >= SLOTS)
            sched_yield();
        for (int i = 0; i < 4; i++)
            slots[n % SLOTS].words[i] = n * 4 + (uint64_t)i;
        store(&pushed, n + 1);
    }
    return NULL;
}

/* Number of records that were not what was written. */
static uint64_t run_ring(void)
{
    pthread_t producer;
    uint64_t wrong = 0;
    pushed = popped = 0;
    pthread_create(&producer, NULL, produce, NULL);
    for (uint64_t n = 0; n < RECORDS; n++) {
        while (load(&pushed) == n)
            sched_yield();
        for (int i = 0; i < 4; i++)
            wrong += slots[n % SLOTS].words[i] != n * 4 + (uint64_t)i;
        memset(slots[n % SLOTS].words, 0xee, sizeof slots[0].words);
        store(&popped, n + 1);
    }
    pthread_join(producer, NULL);
    return wrong;
}

/* Sleep and wake: the reader publishes and then looks whether anybody sleeps; the sleeper says so and then looks
 * whether anything was published. Each may miss the other, never both. */
static int32_t armed;
static uint64_t published;
static uint64_t round_wanted, round_done;
static int32_t reader_saw;
static int fenced;

static void fence(void)
{
    if (fenced)
        tg_fence();
    else
        __asm__ volatile("" ::: "memory");
}

static void *reader(void *unused)
{
    (void)unused;
    for (uint64_t n = 1;; n++) {
        int spins = 0;
        while (tg_load_u64(&round_wanted) != n) {
            if (tg_load_u64(&round_wanted) == OVER)
                return NULL;
            if (++spins > 2000)
                sched_yield();
        }
        tg_store_u64(&published, n);
        fence();
        reader_saw = tg_load_i32(&armed);
        tg_store_u64(&round_done, n);
    }
}

/* Rounds in which both missed the other: records that nobody would be woken for. */
static uint64_t run_sleep(uint64_t rounds, int with_fence, double seconds)
{
    pthread_t thread;
    uint64_t lost = 0, n;
    struct timespec from, now;
    fenced = with_fence;
    published = round_wanted = round_done = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    pthread_create(&thread, NULL, reader, NULL);
    for (n = 1; n <= rounds; n++) {
        int spins = 0, seen;
        tg_store_i32(&armed, 0);
        tg_store_u64(&round_wanted, n);
        for (uint64_t delay = n % 61; delay; delay--) /* so that the two meet at one time or another */
            __asm__ volatile("" ::: "memory");
        tg_store_i32(&armed, 1);
        fence();
        seen = tg_load_u64(&published) == n;
        while (tg_load_u64(&round_done) != n)
            if (++spins > 2000)
                sched_yield();
        lost += !seen && !reader_saw;
        if (n % 1024 == 0) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            if ((double)(now.tv_sec - from.tv_sec) + (double)(now.tv_nsec - from.tv_nsec) / 1e9 > seconds)
                break;
        }
    }
    tg_store_u64(&round_wanted, OVER);
    pthread_join(thread, NULL);
    return lost;
}

int main(int argc, char **argv)
{
    uint64_t wrong, lost, without;
    const char *what = argc > 1 ? argv[1] : "";
    relaxed = strcmp(what, "race") == 0;
    wrong = run_ring();
    if (*what) {
        printf("ring%s: %d records, %llu wrong words\n", relaxed ? " without order" : "", RECORDS,
               (unsigned long long)wrong);
        return wrong && !relaxed;
    }
    lost = run_sleep(2000000, 1, 2.0);
    without = run_sleep(2000000, 0, 2.0);
    printf("atomic: %llu wrong words, %llu lost wake-ups (%llu with the fence taken out)\n", (unsigned long long)wrong,
           (unsigned long long)lost, (unsigned long long)without);
    if (!without)
        printf("atomic: this machine does not show what the fence is for\n");
    return wrong || lost;
}
