/* rawshed: the floor of parking beside reading: consume a backlog, producev most of it as it is, and destroy each.
 *
 *     rawshed LIBRDKAFKA BOOTSTRAP TOPIC GROUP RECORDS OUT EVERY [name=value ...] [producer.name=value ...]
 *
 * One message in EVERY is only read; the others' keys and values go to the topic OUT, copied, without an envelope. One
 * thread reads, produces and counts the reports. Reads as rawloop.c does.
 * Prints one JSON line: n, seconds (first record to last acknowledgement).
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "raw.h"

enum { END = 0, RKT = 2, VALUE = 4, KEY = 5, FLAGS = 7 }; /* rd_kafka_vtype_t */

static tg_rdkafka rk;
static long acknowledged;

static void assignment(rd_kafka_t *client, rd_kafka_queue_t *control, rd_kafka_queue_t *lane)
{
    rd_kafka_event_t *event = rk.queue_poll(control, 0);
    if (!event)
        return;
    if (rk.event_type(event) == TG_RK_EVENT_REBALANCE && rk.event_error(event) == TG_RK_ERR_ASSIGN_PARTITIONS) {
        rd_kafka_topic_partition_list_t *list = rk.event_topic_partition_list(event);
        for (int i = 0; i < list->cnt; i++) {
            rd_kafka_queue_t *queue = rk.queue_get_partition(client, list->elems[i].topic, list->elems[i].partition);
            rk.queue_forward(queue, lane);
            rk.queue_destroy(queue);
        }
        if (!strcmp(rk.rebalance_protocol(client), "COOPERATIVE"))
            rk.incremental_assign(client, list);
        else
            rk.assign(client, list);
    }
    rk.event_destroy(event);
}

int main(int argc, char **argv)
{
    static rd_kafka_message_t *batch[1000];
    static const char mark[] = "producer.";
    char words[512];
    if (argc < 8)
        fail("usage", "rawshed LIBRDKAFKA BOOTSTRAP TOPIC GROUP RECORDS OUT EVERY [name=value ...]");
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library)
        fail(argv[1], dlerror());
    const char *problem = tg_rdkafka_load(argv[1], &rk, words, sizeof words);
    if (problem)
        fail("librdkafka", problem);
    int32_t (*producev)(rd_kafka_t *, ...);
    *(void **)&producev = dlsym(library, "rd_kafka_producev");
    long wanted = atol(argv[5]), every = atol(argv[7]);
    rd_kafka_conf_t *conf = rk.conf_new(), *out_conf = rk.conf_new();
    const char *pairs[][2] = {{"bootstrap.servers", argv[2]}, {"group.id", argv[4]}, {"auto.offset.reset", "earliest"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (rk.conf_set(conf, pairs[i][0], pairs[i][1], words, sizeof words))
            fail(pairs[i][0], words);
    if (rk.conf_set(out_conf, "bootstrap.servers", argv[2], words, sizeof words))
        fail("bootstrap.servers", words);
    for (int i = 8; i < argc; i++) {
        int out = !strncmp(argv[i], mark, sizeof mark - 1);
        char *name = argv[i] + (out ? sizeof mark - 1 : 0), *equals = strchr(name, '=');
        if (!equals)
            fail(argv[i], "not name=value");
        *equals = 0;
        if (rk.conf_set(out ? out_conf : conf, name, equals + 1, words, sizeof words))
            fail(name, words);
    }
    rk.conf_set_events(conf, TG_RK_EVENT_REBALANCE | TG_RK_EVENT_ERROR);
    rk.conf_set_events(out_conf, TG_RK_EVENT_DR | TG_RK_EVENT_ERROR);
    rd_kafka_t *client = rk.new(TG_RK_CONSUMER, conf, words, sizeof words);
    rd_kafka_t *producer = client ? rk.new(TG_RK_PRODUCER, out_conf, words, sizeof words) : NULL;
    if (!producer)
        fail("client", words);
    rd_kafka_queue_t *told = rk.queue_get_main(producer);
    rd_kafka_topic_t *topic = rk.topic_new(producer, argv[6], NULL);
    rk.poll_set_consumer(client);
    rd_kafka_queue_t *control = rk.queue_get_consumer(client), *lane = rk.queue_new(client);
    rd_kafka_topic_partition_list_t *topics = rk.topic_partition_list_new(1);
    rk.topic_partition_list_add(topics, argv[3], -1);
    if (rk.subscribe(client, topics))
        fail("subscribe", argv[3]);
    rk.topic_partition_list_destroy(topics);

    long n = 0, parked = 0;
    double first = 0;
    while (n < wanted) {
        assignment(client, control, lane);
        acknowledged += raw_reports(&rk, told, 0);
        /* One message with a timeout, then the rest: a batch call with a timeout would wait until it is full. */
        ssize_t got = rk.consume_batch_queue(lane, 0, batch, 1000);
        if (got <= 0)
            got = rk.consume_batch_queue(lane, 1, batch, 1);
        for (ssize_t i = 0; i < got; i++) {
            rd_kafka_message_t *one = batch[i];
            if (!one->err && n++ % every) {
                int32_t err;
                while ((err = producev(producer, RKT, topic, FLAGS, TG_RK_MSG_F_COPY, KEY, one->key, one->key_len,
                                       VALUE, one->payload, one->len, END)) == TG_RK_ERR_QUEUE_FULL)
                    acknowledged += raw_reports(&rk, told, 1);
                if (err)
                    fail("producev", rk.err2str(err));
                parked++;
            }
        }
        for (ssize_t i = 0; i < got; i++)
            rk.message_destroy(batch[i]);
        if (!first && n)
            first = now();
    }
    while (acknowledged < parked)
        acknowledged += raw_reports(&rk, told, 100);
    printf("{\"n\": %ld, \"seconds\": %.6f}\n", n, now() - first);
    fflush(stdout);
    _exit(0); /* how it leaves the group is not what is measured */
}
