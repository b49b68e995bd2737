/* A sleeper and those who wake it: nothing is lost, nothing blocks, and one look takes all. Built with either kind. */
#include "tg_wakeup.h"

#include <poll.h>
#include <pthread.h>

#include "check.h"

#define CHECK(what) check_value(what, #what, NULL)

static int ready(const tg_wakeup *w, int timeout_ms)
{
    struct pollfd one = {w->wait_fd, POLLIN, 0};
    return poll(&one, 1, timeout_ms);
}

static void test_wakes_until_it_is_cleared(void)
{
    tg_wakeup w;
    CHECK(tg_wakeup_open(&w) == 0);
    CHECK(ready(&w, 0) == 0);
    tg_wakeup_clear(&w); /* with nothing there it does not block */
    for (int i = 0; i < 3; i++)
        tg_wakeup_wake(w.wake_fd);
    CHECK(ready(&w, 0) == 1);
    CHECK(ready(&w, 0) == 1); /* looking takes nothing */
    tg_wakeup_clear(&w);
    CHECK(ready(&w, 0) == 0);
    tg_wakeup_close(&w);
}

static void test_more_than_it_holds_blocks_nobody(void)
{
    tg_wakeup w;
    CHECK(tg_wakeup_open(&w) == 0);
    for (int i = 0; i < 100000; i++)
        tg_wakeup_wake(w.wake_fd);
    CHECK(ready(&w, 0) == 1);
    tg_wakeup_clear(&w);
    CHECK(ready(&w, 0) == 0);
    tg_wakeup_wake(w.wake_fd);
    CHECK(ready(&w, 0) == 1);
    tg_wakeup_close(&w);
}

static void test_is_not_inherited_and_never_blocks(void)
{
    tg_wakeup w;
    CHECK(tg_wakeup_open(&w) == 0);
    CHECK(fcntl(w.wait_fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(w.wake_fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(w.wait_fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(w.wake_fd, F_GETFL) & O_NONBLOCK);
    tg_wakeup_close(&w);
    CHECK(fcntl(w.wait_fd, F_GETFD) < 0);
    CHECK(fcntl(w.wake_fd, F_GETFD) < 0);
    tg_wakeup none = {-1, -1};
    tg_wakeup_close(&none);
}

enum { ROUNDS = 20000 };
static tg_wakeup there, back;

static void *answer(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (ready(&there, 10000) != 1)
            break; /* the other side counts it */
        tg_wakeup_clear(&there);
        tg_wakeup_wake(back.wake_fd);
    }
    return NULL;
}

static void test_no_wake_up_is_lost_between_threads(void)
{
    pthread_t thread;
    CHECK(tg_wakeup_open(&there) == 0 && tg_wakeup_open(&back) == 0);
    CHECK(pthread_create(&thread, NULL, answer, NULL) == 0);
    int woken = 0;
    while (woken < ROUNDS) {
        tg_wakeup_wake(there.wake_fd);
        if (ready(&back, 10000) != 1)
            break;
        tg_wakeup_clear(&back);
        woken++;
    }
    CHECK(woken == ROUNDS);
    pthread_join(thread, NULL);
    tg_wakeup_close(&there);
    tg_wakeup_close(&back);
}

int main(void)
{
    test_wakes_until_it_is_cleared();
    test_more_than_it_holds_blocks_nobody();
    test_is_not_inherited_and_never_blocks();
    test_no_wake_up_is_lost_between_threads();
    return check_result();
}
