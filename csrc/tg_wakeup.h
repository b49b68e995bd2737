/* tg_wakeup: a thread sleeps in poll(2) or in an event loop, others wake it: eventfd where there is one, else a pipe.
 *
 * Whoever wakes writes eight bytes, in host order a 1, to `wake_fd`: write(2) does, and so does librdkafka by itself
 * (rd_kafka_queue_io_event_enable). The sleeper waits until `wait_fd` can be read, and clears it *before* it looks at
 * what it was woken for. Neither end blocks: a write into a full pipe is lost, and the sleeper is awake anyhow.
 * TG_WAKEUP_PIPE takes the pipe on Linux as well, for tests.
 */
#ifndef TG_WAKEUP_H
#define TG_WAKEUP_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#if defined(__linux__) && !defined(TG_WAKEUP_PIPE)
#define TG_WAKEUP_EVENTFD 1
#include <sys/eventfd.h>
#endif

typedef struct {
    int wait_fd;
    int wake_fd; /* the same one with eventfd */
} tg_wakeup;

/* Returns 0, or the errno of what failed; then both are -1 and there is nothing to close. */
static inline int tg_wakeup_open(tg_wakeup *w)
{
#ifdef TG_WAKEUP_EVENTFD
    w->wait_fd = w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return w->wait_fd < 0 ? errno : 0;
#else
    int ends[2] = {-1, -1}, failed = 0;
    if (pipe(ends) < 0)
        failed = errno;
    for (int i = 0; i < 2 && !failed; i++) {
        /* Not at once, as pipe2 would: a fork in another thread between the two inherits the pipe, which harms nobody. */
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) < 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) < 0)
            failed = errno;
    }
    if (failed && ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
        ends[0] = ends[1] = -1;
    }
    w->wait_fd = ends[0];
    w->wake_fd = ends[1];
    return failed;
#endif
}

/* From any thread. */
static inline void tg_wakeup_wake(int wake_fd)
{
    const uint64_t one = 1;
    ssize_t written = write(wake_fd, &one, sizeof one);
    (void)written;
}

/* Only the sleeper's thread. Takes every wake-up so far. */
static inline void tg_wakeup_clear(const tg_wakeup *w)
{
#ifdef TG_WAKEUP_EVENTFD
    uint64_t count;
    ssize_t taken = read(w->wait_fd, &count, sizeof count);
    (void)taken;
#else
    char bytes[1024];
    while (read(w->wait_fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        ;
#endif
}

/* Once, when nobody can write to it any more. Both may be -1. */
static inline void tg_wakeup_close(const tg_wakeup *w)
{
    if (w->wait_fd >= 0)
        close(w->wait_fd);
    if (w->wake_fd >= 0 && w->wake_fd != w->wait_fd)
        close(w->wake_fd);
}

#endif
