/* A wall clock that can be set for one process: preloaded, it adds the nanoseconds in the file WALLCLOCK_FILE (one
 * int64) to whatever reads CLOCK_REALTIME, at every reading. Other clocks are left alone.
 *
 * Waits with a deadline on that clock follow a step as the kernel's do: put forward, they end at once; put back, they
 * last longer. They are cut into slices, after each of which the clock is looked at. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum { SECOND_NS = 1000000000, SLICE_NS = 10000000, MONOTONIC_COND = 2 /* glibc's bit in __wrefs */ };

static const volatile int64_t *shift_ns;

__attribute__((constructor)) static void wallclock_open(void)
{
    const char *path = getenv("WALLCLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *at = mmap(NULL, sizeof *shift_ns, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) shift_ns = at;
    close(fd);
}

static int64_t real_ns(clockid_t clock)
{
    struct timespec t;
    syscall(SYS_clock_gettime, clock, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static int64_t wall_ns(void) { return real_ns(CLOCK_REALTIME) + (shift_ns ? *shift_ns : 0); }

static struct timespec spec(int64_t ns) { return (struct timespec){ns / SECOND_NS, ns % SECOND_NS}; }

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        *t = spec(wall_ns());
        return 0;
    }
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return next(clock, t);
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    (void)zone;
    int64_t now = wall_ns();
    *t = (struct timeval){now / SECOND_NS, now % SECOND_NS / 1000};
    return 0;
}

time_t time(time_t *t)
{
    time_t now = wall_ns() / SECOND_NS;
    if (t) *t = now;
    return now;
}

int timespec_get(struct timespec *t, int base)
{
    if (base != TIME_UTC) return 0;
    *t = spec(wall_ns());
    return base;
}

/* The deadline of the next slice on the real clock; its end is the whole wait's if *last. */
static struct timespec slice(const struct timespec *deadline, int *last)
{
    int64_t left = (int64_t)deadline->tv_sec * SECOND_NS + deadline->tv_nsec - wall_ns();
    *last = left <= SLICE_NS;
    return spec(real_ns(CLOCK_REALTIME) + (*last ? (left > 0 ? left : 0) : SLICE_NS));
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline)
{
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!next) next = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))
        dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (cond->__data.__wrefs & MONOTONIC_COND) return next(cond, mutex, deadline);
    for (int last;;) {
        struct timespec until = slice(deadline, &last);
        int result = next(cond, mutex, &until);
        if (result != ETIMEDOUT || last) return result;
    }
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict deadline)
{
    static int (*next)(cnd_t *, mtx_t *, const struct timespec *);
    if (!next) next = (int (*)(cnd_t *, mtx_t *, const struct timespec *))dlsym(RTLD_NEXT, "cnd_timedwait");
    for (int last;;) {
        struct timespec until = slice(deadline, &last);
        int result = next(cond, mutex, &until);
        if (result != thrd_timedout || last) return result;
    }
}
