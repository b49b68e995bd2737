/* rawloop: the floor of the drain benchmark: consume a backlog through librdkafka and destroy each message.
 *
 *     rawloop LIBRDKAFKA BOOTSTRAP TOPIC GROUP RECORDS [name=value ...]
 *
 * The same library, the same properties and the same lane (partition queues forwarded to one queue) as tidegate.
 * Prints one JSON line: n, seconds (first to last record), cpu_seconds (whole process), rss_bytes.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "raw.h"

int main(int argc, char **argv)
{
    static tg_rdkafka rk;
    static rd_kafka_message_t *batch[1000];
    char words[512];
    if (argc < 6)
        fail("usage", "rawloop LIBRDKAFKA BOOTSTRAP TOPIC GROUP RECORDS [name=value ...]");
    if (!dlopen(argv[1], RTLD_NOW))
        fail(argv[1], dlerror());
    const char *problem = tg_rdkafka_load(argv[1], &rk, words, sizeof words);
    if (problem)
        fail("librdkafka", problem);
    long wanted = atol(argv[5]);
    rd_kafka_conf_t *conf = rk.conf_new();
    const char *pairs[][2] = {{"bootstrap.servers", argv[2]}, {"group.id", argv[4]}, {"auto.offset.reset", "earliest"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (rk.conf_set(conf, pairs[i][0], pairs[i][1], words, sizeof words))
            fail(pairs[i][0], words);
    for (int i = 6; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            fail(argv[i], "not name=value");
        *equals = 0;
        if (rk.conf_set(conf, argv[i], equals + 1, words, sizeof words))
            fail(argv[i], words);
    }
    rk.conf_set_events(conf, TG_RK_EVENT_REBALANCE | TG_RK_EVENT_ERROR);
    rd_kafka_t *client = rk.new(TG_RK_CONSUMER, conf, words, sizeof words);
    if (!client)
        fail("client", words);
    rk.poll_set_consumer(client);
    rd_kafka_queue_t *control = rk.queue_get_consumer(client), *lane = rk.queue_new(client);
    rd_kafka_topic_partition_list_t *topics = rk.topic_partition_list_new(1);
    rk.topic_partition_list_add(topics, argv[3], -1);
    if (rk.subscribe(client, topics))
        fail("subscribe", argv[3]);
    rk.topic_partition_list_destroy(topics);

    long n = 0;
    double first = 0, last = 0;
    while (n < wanted) {
        rd_kafka_event_t *event = rk.queue_poll(control, 0);
        if (event) {
            if (rk.event_type(event) == TG_RK_EVENT_REBALANCE && rk.event_error(event) == TG_RK_ERR_ASSIGN_PARTITIONS) {
                rd_kafka_topic_partition_list_t *list = rk.event_topic_partition_list(event);
                for (int i = 0; i < list->cnt; i++) {
                    rd_kafka_queue_t *queue =
                        rk.queue_get_partition(client, list->elems[i].topic, list->elems[i].partition);
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
        /* One message with a timeout, then the rest: a batch call with a timeout would wait until it is full. */
        ssize_t got = rk.consume_batch_queue(lane, 0, batch, 1000);
        if (got <= 0)
            got = rk.consume_batch_queue(lane, 1, batch, 1);
        for (ssize_t i = 0; i < got; i++) {
            if (!batch[i]->err)
                n++;
            rk.message_destroy(batch[i]);
        }
        if (got > 0) {
            last = now();
            if (!first && n)
                first = last;
        }
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"n\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"rss_bytes\": %ld}\n", n, last - first,
           usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6,
           usage.ru_maxrss * 1024L);
    fflush(stdout);
    _exit(0); /* how it leaves the group is not what is measured */
}
