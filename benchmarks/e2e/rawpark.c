/* rawpark: the floor of the parking benchmark: the very keys and envelopes that tidegate parks, produced by a bare loop.
 *
 *     rawpark HOW LIBRDKAFKA BOOTSTRAP TOPIC RECORDS FILE [name=value ...]
 *
 * HOW: producev, produce, or free: produce with a block of malloc's that librdkafka frees, in place of a copy.
 * FILE: records of two lengths (native 32 bit), key and value. Reports are counted and thrown away by the same thread.
 * rate=N among the properties is our own: so many records a second at most; 0, as fast as it goes.
 * Prints one JSON line: n, seconds (first record to last acknowledgement).
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "raw.h"

enum { END = 0, VALUE = 4, KEY = 5, OPAQUE = 6, FLAGS = 7, RKT = 2 }; /* rd_kafka_vtype_t */
#define F_FREE 1

static tg_rdkafka rk;
static long acknowledged;

int main(int argc, char **argv)
{
    char words[512];
    if (argc < 7)
        fail("usage", "rawpark HOW LIBRDKAFKA BOOTSTRAP TOPIC RECORDS FILE [name=value ...]");
    void *library = dlopen(argv[2], RTLD_NOW);
    if (!library)
        fail(argv[2], dlerror());
    const char *problem = tg_rdkafka_load(argv[2], &rk, words, sizeof words);
    if (problem)
        fail("librdkafka", problem);
    int32_t (*producev)(rd_kafka_t *, ...);
    *(void **)&producev = dlsym(library, "rd_kafka_producev");
    int how = !strcmp(argv[1], "producev") ? 0 : !strcmp(argv[1], "produce") ? 1 : 2;
    long wanted = atol(argv[5]);

    FILE *file = fopen(argv[6], "rb");
    if (!file)
        fail(argv[6], "cannot be opened");
    static char bytes[64 << 20];
    static struct {
        uint32_t *lens;
        char *key, *value;
    } records[100000];
    size_t size = fread(bytes, 1, sizeof bytes, file), at = 0, count = 0;
    for (; at + 8 <= size && count < 100000; count++) {
        uint32_t *lens = (uint32_t *)(bytes + at);
        records[count].lens = lens;
        records[count].key = bytes + at + 8;
        records[count].value = records[count].key + lens[0];
        at = (at + 8 + lens[0] + lens[1] + 3) & ~(size_t)3;
    }

    double rate = 0;
    rd_kafka_conf_t *conf = rk.conf_new();
    if (rk.conf_set(conf, "bootstrap.servers", argv[3], words, sizeof words))
        fail("bootstrap.servers", words);
    for (int i = 7; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            fail(argv[i], "not name=value");
        *equals = 0;
        if (!strcmp(argv[i], "rate")) {
            rate = atof(equals + 1);
            continue;
        }
        if (rk.conf_set(conf, argv[i], equals + 1, words, sizeof words))
            fail(argv[i], words);
    }
    rk.conf_set_events(conf, TG_RK_EVENT_DR | TG_RK_EVENT_ERROR);
    rd_kafka_t *client = rk.new(TG_RK_PRODUCER, conf, words, sizeof words);
    if (!client)
        fail("client", words);
    rd_kafka_queue_t *queue = rk.queue_get_main(client);
    rd_kafka_topic_t *topic = rk.topic_new(client, argv[4], NULL);

    double begun = now();
    for (long n = 0; n < wanted; n++) {
        while (rate > 0 && n % 64 == 0 && (double)n > (now() - begun) * rate)
            acknowledged += raw_reports(&rk, queue, 1);
        size_t i = (size_t)n % count;
        void *value = records[i].value;
        size_t len = records[i].lens[1];
        if (how == 2)
            value = memcpy(malloc(len), value, len);
        for (;;) {
            int32_t err;
            if (how == 0)
                err = producev(client, RKT, topic, FLAGS, TG_RK_MSG_F_COPY, KEY, records[i].key,
                               (size_t)records[i].lens[0], VALUE, value, len, OPAQUE, &records[i], END);
            else
                err = rk.produce(topic, TG_RK_PARTITION_UA, how == 2 ? F_FREE : TG_RK_MSG_F_COPY, value, len,
                                 records[i].key, records[i].lens[0], &records[i])
                          ? rk.last_error()
                          : 0;
            if (!err)
                break;
            if (err != TG_RK_ERR_QUEUE_FULL)
                fail("produce", rk.err2str(err));
            acknowledged += raw_reports(&rk, queue, 10);
        }
        if (n % 1000 == 0)
            acknowledged += raw_reports(&rk, queue, 0);
    }
    while (acknowledged < wanted)
        acknowledged += raw_reports(&rk, queue, 100);
    printf("{\"n\": %ld, \"seconds\": %.6f}\n", acknowledged, now() - begun);
    fflush(stdout);
    _exit(0); /* how it ends is not what is measured */
}
