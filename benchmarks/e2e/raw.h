/* What the raw loops share: the clock, how they give up, and a producer's reports. */
#ifndef RAW_H
#define RAW_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tg_rdkafka.h"

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static inline void fail(const char *what, const char *words)
{
    fprintf(stderr, "%s: %s\n", what, words);
    exit(1);
}

/* Takes the reports that are there, or waits so long for the first; returns how many records Kafka has acknowledged. */
static inline long raw_reports(const tg_rdkafka *rk, rd_kafka_queue_t *queue, int timeout_ms)
{
    rd_kafka_event_t *event;
    long acknowledged = 0;
    while ((event = rk->queue_poll(queue, timeout_ms))) {
        const rd_kafka_message_t *message;
        if (rk->event_type(event) == TG_RK_EVENT_DR)
            while ((message = rk->event_message_next(event))) {
                if (message->err)
                    fail("report", rk->err2str(message->err));
                acknowledged++;
            }
        rk->event_destroy(event);
        timeout_ms = 0;
    }
    return acknowledged;
}

#endif
