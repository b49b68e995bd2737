/* tg_rdkafka: the part of librdkafka's public ABI that tidegate uses, resolved at run time.
 *
 * The library is the one that the confluent-kafka wheel carries and has already loaded; nothing is linked
 * and no header of librdkafka is needed to build. Structs below are public ABI, unchanged since 1.0; numbers
 * are those of its enums. Source of each declaration: rdkafka.h of librdkafka 2.15 and later.
 */
#ifndef TG_RDKAFKA_H
#define TG_RDKAFKA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_op_s rd_kafka_event_t;
typedef struct rd_kafka_headers_s rd_kafka_headers_t;
typedef struct rd_kafka_error_s rd_kafka_error_t;
typedef struct rd_kafka_consumer_group_metadata_s rd_kafka_consumer_group_metadata_t;
typedef struct rd_kafka_AdminOptions_s rd_kafka_AdminOptions_t;
typedef struct rd_kafka_TopicCollection_s rd_kafka_TopicCollection_t;
typedef struct rd_kafka_TopicDescription_s rd_kafka_TopicDescription_t;
typedef struct rd_kafka_TopicPartitionInfo_s rd_kafka_TopicPartitionInfo_t;
typedef struct rd_kafka_ListOffsetsResultInfo_s rd_kafka_ListOffsetsResultInfo_t;
typedef struct rd_kafka_Uuid_s rd_kafka_Uuid_t;

typedef struct {
    int32_t err; /* 0 or an error code; RD_KAFKA_RESP_ERR__PARTITION_EOF is one */
    rd_kafka_topic_t *rkt;
    int32_t partition;
    void *payload; /* NULL: tombstone */
    size_t len;
    void *key; /* NULL: no key */
    size_t key_len;
    int64_t offset;
    void *_private;
} rd_kafka_message_t;

typedef struct {
    char *topic;
    int32_t partition;
    int64_t offset;
    void *metadata;
    size_t metadata_size;
    void *opaque;
    int32_t err;
    void *_private;
} rd_kafka_topic_partition_t;

typedef struct {
    int cnt;
    int size;
    rd_kafka_topic_partition_t *elems;
} rd_kafka_topic_partition_list_t;

typedef struct {
    char *topic;
    int partition_cnt;
    void *partitions;
    int32_t err;
} rd_kafka_metadata_topic_t;

typedef struct {
    int broker_cnt;
    void *brokers;
    int topic_cnt;
    rd_kafka_metadata_topic_t *topics;
    int32_t orig_broker_id;
    char *orig_broker_name;
} rd_kafka_metadata_t;

#define TG_RK_PRODUCER 0 /* rd_kafka_type_t */
#define TG_RK_CONSUMER 1
#define TG_RK_CONF_OK 0 /* rd_kafka_conf_res_t */
#define TG_RK_OFFSET_BEGINNING (-2)
#define TG_RK_OFFSET_END (-1)
#define TG_RK_OFFSET_INVALID (-1001)
#define TG_RK_PARTITION_UA (-1)
#define TG_RK_MSG_F_COPY 0x2
#define TG_RK_PURGE_F_QUEUE 0x1
#define TG_RK_PURGE_F_INFLIGHT 0x2
#define TG_RK_PURGE_F_NON_BLOCKING 0x4
#define TG_RK_MSG_NOT_PERSISTED 0 /* rd_kafka_msg_status_t */
#define TG_RK_ERR_OK 0
#define TG_RK_ERR_INVALID_MSG 2
#define TG_RK_ERR_UNKNOWN_TOPIC_OR_PART 3
#define TG_RK_ERR_REQUEST_TIMED_OUT 7
#define TG_RK_ERR_COORDINATOR_LOAD_IN_PROGRESS 14
#define TG_RK_ERR_COORDINATOR_NOT_AVAILABLE 15
#define TG_RK_ERR_NOT_COORDINATOR 16
#define TG_RK_ERR_BAD_MSG (-199)
#define TG_RK_ERR_BAD_COMPRESSION (-198)
#define TG_RK_ERR_TRANSPORT (-195)
#define TG_RK_ERR_PARTITION_EOF (-191)
#define TG_RK_ERR_TIMED_OUT (-185)
#define TG_RK_ERR_WAIT_COORD (-180)
#define TG_RK_ERR_ASSIGN_PARTITIONS (-175)
#define TG_RK_ERR_REVOKE_PARTITIONS (-174)
#define TG_RK_ERR_STATE (-172)
#define TG_RK_ERR_NOT_IMPLEMENTED (-170)
#define TG_RK_ERR_UNSUPPORTED_FEATURE (-165)
#define TG_RK_ERR_UNDERFLOW (-155)
#define TG_RK_ERR_AUTO_OFFSET_RESET (-140)
#define TG_RK_ERR_FATAL (-150)
#define TG_RK_ERR_PURGE_INFLIGHT (-151)
#define TG_RK_ERR_PURGE_QUEUE (-152)
#define TG_RK_ERR_QUEUE_FULL (-184)
#define TG_RK_ERR_UNKNOWN_TOPIC (-188)
#define TG_RK_ERR_UNKNOWN_PARTITION (-190)
#define TG_RK_ERR_MSG_TIMED_OUT (-192)
#define TG_RK_ERR_MSG_SIZE_TOO_LARGE 10
#define TG_RK_ERR_RECORD_LIST_TOO_LARGE 18
#define TG_RK_ERR_TOPIC_AUTHORIZATION_FAILED 29
#define TG_RK_ERR_INVALID_RECORD 87
#define TG_RK_ERR_NO_OFFSET (-168)
#define TG_RK_ERR_ALL_BROKERS_DOWN (-187)
#define TG_RK_ERR_ILLEGAL_GENERATION 22
#define TG_RK_ERR_REBALANCE_IN_PROGRESS 27
#define TG_RK_ERR_STALE_MEMBER_EPOCH 113
#define TG_RK_EVENT_DR 0x1
#define TG_RK_EVENT_FETCH 0x2
#define TG_RK_EVENT_LOG 0x4
#define TG_RK_EVENT_ERROR 0x8
#define TG_RK_EVENT_REBALANCE 0x10
#define TG_RK_EVENT_OFFSET_COMMIT 0x20
#define TG_RK_EVENT_OAUTHBEARER_TOKEN_REFRESH 0x100
#define TG_RK_EVENT_DESCRIBETOPICS_RESULT 0x100000
#define TG_RK_EVENT_LISTOFFSETS_RESULT 0x400000
#define TG_RK_ADMIN_DESCRIBETOPICS 19 /* rd_kafka_admin_op_t */
#define TG_RK_ADMIN_LISTOFFSETS 21
#define TG_RK_READ_UNCOMMITTED 0 /* rd_kafka_IsolationLevel_t */
#define TG_RK_READ_COMMITTED 1

/* Every function in use: X(return type, name without rd_kafka_, parameters). */
#define TG_RDKAFKA_FUNCTIONS(X)                                                                                       \
    X(int, version, (void))                                                                                           \
    X(const char *, version_str, (void))                                                                              \
    X(const char *, err2str, (int32_t err))                                                                           \
    X(const char *, err2name, (int32_t err))                                                                          \
    X(rd_kafka_conf_t *, conf_new, (void))                                                                            \
    X(void, conf_destroy, (rd_kafka_conf_t * conf))                                                                   \
    X(int, conf_set, (rd_kafka_conf_t * conf, const char *name, const char *value, char *errstr, size_t size))        \
    X(void, conf_set_events, (rd_kafka_conf_t * conf, int events))                                                    \
    X(rd_kafka_t *, new, (int type, rd_kafka_conf_t *conf, char *errstr, size_t size))                                \
    X(void, destroy, (rd_kafka_t * rk))                                                                               \
    X(int32_t, set_log_queue, (rd_kafka_t * rk, rd_kafka_queue_t * queue))                                            \
    X(rd_kafka_queue_t *, queue_new, (rd_kafka_t * rk))                                                               \
    X(void, queue_destroy, (rd_kafka_queue_t * queue))                                                                \
    X(rd_kafka_queue_t *, queue_get_consumer, (rd_kafka_t * rk))                                                      \
    X(rd_kafka_queue_t *, queue_get_partition, (rd_kafka_t * rk, const char *topic, int32_t partition))               \
    X(void, queue_forward, (rd_kafka_queue_t * src, rd_kafka_queue_t * dst))                                          \
    X(void, queue_io_event_enable, (rd_kafka_queue_t * queue, int fd, const void *payload, size_t size))              \
    X(rd_kafka_event_t *, queue_poll, (rd_kafka_queue_t * queue, int timeout_ms))                                     \
    X(size_t, queue_length, (rd_kafka_queue_t * queue))                                                               \
    X(int32_t, poll_set_consumer, (rd_kafka_t * rk))                                                                  \
    X(ssize_t, consume_batch_queue,                                                                                   \
      (rd_kafka_queue_t * queue, int timeout_ms, rd_kafka_message_t **messages, size_t room))                         \
    X(void, message_destroy, (rd_kafka_message_t * message))                                                          \
    X(int64_t, message_timestamp, (const rd_kafka_message_t *message, int *type))                                     \
    X(const char *, message_errstr, (const rd_kafka_message_t *message))                                              \
    X(int32_t, message_leader_epoch, (const rd_kafka_message_t *message))                                             \
    X(int32_t, message_headers, (const rd_kafka_message_t *message, rd_kafka_headers_t **headers))                    \
    X(int32_t, header_get_all,                                                                                        \
      (const rd_kafka_headers_t *headers, size_t index, const char **name, const void **value, size_t *size))         \
    X(int32_t, event_type, (const rd_kafka_event_t *event))                                                           \
    X(int32_t, event_error, (rd_kafka_event_t * event))                                                               \
    X(const char *, event_error_string, (rd_kafka_event_t * event))                                                   \
    X(int, event_error_is_fatal, (rd_kafka_event_t * event))                                                          \
    X(int, event_log, (rd_kafka_event_t * event, const char **facility, const char **text, int *level))               \
    X(rd_kafka_topic_partition_list_t *, event_topic_partition_list, (rd_kafka_event_t * event))                      \
    X(void, event_destroy, (rd_kafka_event_t * event))                                                                \
    X(rd_kafka_topic_partition_list_t *, topic_partition_list_new, (int size))                                        \
    X(void, topic_partition_list_destroy, (rd_kafka_topic_partition_list_t * list))                                   \
    X(rd_kafka_topic_partition_list_t *, topic_partition_list_copy, (const rd_kafka_topic_partition_list_t *list))    \
    X(rd_kafka_topic_partition_t *, topic_partition_list_add,                                                         \
      (rd_kafka_topic_partition_list_t * list, const char *topic, int32_t partition))                                 \
    X(int32_t, subscribe, (rd_kafka_t * rk, const rd_kafka_topic_partition_list_t *topics))                           \
    X(int32_t, assign, (rd_kafka_t * rk, const rd_kafka_topic_partition_list_t *partitions))                          \
    X(int32_t, assignment, (rd_kafka_t * rk, rd_kafka_topic_partition_list_t * *partitions))                          \
    X(rd_kafka_error_t *, incremental_assign, (rd_kafka_t * rk, const rd_kafka_topic_partition_list_t *partitions))   \
    X(rd_kafka_error_t *, incremental_unassign, (rd_kafka_t * rk, const rd_kafka_topic_partition_list_t *partitions)) \
    X(int32_t, pause_partitions, (rd_kafka_t * rk, rd_kafka_topic_partition_list_t * partitions))                     \
    X(int32_t, resume_partitions, (rd_kafka_t * rk, rd_kafka_topic_partition_list_t * partitions))                    \
    X(const char *, rebalance_protocol, (rd_kafka_t * rk))                                                            \
    X(int, assignment_lost, (rd_kafka_t * rk))                                                                        \
    X(const char *, error_string, (const rd_kafka_error_t *error))                                                    \
    X(void, error_destroy, (rd_kafka_error_t * error))                                                                \
    X(int32_t, metadata,                                                                                              \
      (rd_kafka_t * rk, int all_topics, rd_kafka_topic_t *only, const rd_kafka_metadata_t **found, int timeout_ms))   \
    X(void, metadata_destroy, (const rd_kafka_metadata_t *metadata))                                                  \
    X(int32_t, committed, (rd_kafka_t * rk, rd_kafka_topic_partition_list_t * partitions, int timeout_ms))            \
    X(int32_t, offsets_store, (rd_kafka_t * rk, rd_kafka_topic_partition_list_t * offsets))                           \
    X(char *, memberid, (const rd_kafka_t *rk))                                                                       \
    X(void, mem_free, (rd_kafka_t * rk, void *ptr))                                                                   \
    X(rd_kafka_error_t *, consumer_close_queue, (rd_kafka_t * rk, rd_kafka_queue_t * queue))                          \
    X(int, consumer_closed, (rd_kafka_t * rk))                                                                        \
    X(int32_t, fatal_error, (rd_kafka_t * rk, char *errstr, size_t size))                                             \
    X(int32_t, test_fatal_error, (rd_kafka_t * rk, int32_t err, const char *reason))                                  \
    X(int, brokers_add, (rd_kafka_t * rk, const char *brokers))                                                       \
    X(int32_t, error_code, (const rd_kafka_error_t *error))                                                           \
    X(int32_t, commit_queue,                                                                                          \
      (rd_kafka_t * rk, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_queue_t *queue, void *cb,            \
       void *opaque))                                                                                                 \
    X(rd_kafka_topic_partition_t *, topic_partition_list_find,                                                        \
      (const rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition))                            \
    X(void, topic_partition_set_leader_epoch, (rd_kafka_topic_partition_t * part, int32_t epoch))                     \
    X(rd_kafka_AdminOptions_t *, AdminOptions_new, (rd_kafka_t * rk, int operation))                                  \
    X(void, AdminOptions_destroy, (rd_kafka_AdminOptions_t * options))                                                \
    X(int32_t, AdminOptions_set_request_timeout,                                                                      \
      (rd_kafka_AdminOptions_t * options, int timeout_ms, char *errstr, size_t size))                                 \
    X(rd_kafka_error_t *, AdminOptions_set_isolation_level, (rd_kafka_AdminOptions_t * options, int level))           \
    X(void, AdminOptions_set_opaque, (rd_kafka_AdminOptions_t * options, void *opaque))                               \
    X(void *, event_opaque, (rd_kafka_event_t * event))                                                               \
    X(rd_kafka_TopicCollection_t *, TopicCollection_of_topic_names, (const char **topics, size_t count))              \
    X(void, TopicCollection_destroy, (rd_kafka_TopicCollection_t * topics))                                           \
    X(void, DescribeTopics,                                                                                           \
      (rd_kafka_t * rk, const rd_kafka_TopicCollection_t *topics, const rd_kafka_AdminOptions_t *options,             \
       rd_kafka_queue_t *queue))                                                                                      \
    X(const rd_kafka_event_t *, event_DescribeTopics_result, (rd_kafka_event_t * event))                              \
    X(const rd_kafka_TopicDescription_t **, DescribeTopics_result_topics,                                             \
      (const rd_kafka_event_t *result, size_t *count))                                                                \
    X(const char *, TopicDescription_name, (const rd_kafka_TopicDescription_t *topic))                                \
    X(const rd_kafka_error_t *, TopicDescription_error, (const rd_kafka_TopicDescription_t *topic))                   \
    X(const rd_kafka_Uuid_t *, TopicDescription_topic_id, (const rd_kafka_TopicDescription_t *topic))                 \
    X(const rd_kafka_TopicPartitionInfo_t **, TopicDescription_partitions,                                            \
      (const rd_kafka_TopicDescription_t *topic, size_t *count))                                                      \
    X(int64_t, Uuid_most_significant_bits, (const rd_kafka_Uuid_t *id))                                               \
    X(int64_t, Uuid_least_significant_bits, (const rd_kafka_Uuid_t *id))                                              \
    X(void, ListOffsets,                                                                                              \
      (rd_kafka_t * rk, rd_kafka_topic_partition_list_t * partitions, const rd_kafka_AdminOptions_t *options,         \
       rd_kafka_queue_t *queue))                                                                                      \
    X(const rd_kafka_event_t *, event_ListOffsets_result, (rd_kafka_event_t * event))                                 \
    X(const rd_kafka_ListOffsetsResultInfo_t **, ListOffsets_result_infos,                                            \
      (const rd_kafka_event_t *result, size_t *count))                                                                \
    X(const rd_kafka_topic_partition_t *, ListOffsetsResultInfo_topic_partition,                                      \
      (const rd_kafka_ListOffsetsResultInfo_t *info))                                                                 \
    X(rd_kafka_queue_t *, queue_get_main, (rd_kafka_t * rk))                                                          \
    X(rd_kafka_topic_t *, topic_new, (rd_kafka_t * rk, const char *topic, void *conf))                                \
    X(void, topic_destroy, (rd_kafka_topic_t * rkt))                                                                  \
    X(int, produce,                                                                                                   \
      (rd_kafka_topic_t * rkt, int32_t partition, int flags, void *payload, size_t len, const void *key,              \
       size_t key_len, void *opaque))                                                                                 \
    X(int32_t, last_error, (void))                                                                                    \
    X(const rd_kafka_message_t *, event_message_next, (rd_kafka_event_t * event))                                     \
    X(int, message_status, (const rd_kafka_message_t *message))                                                       \
    X(int32_t, flush, (rd_kafka_t * rk, int timeout_ms))                                                              \
    X(int32_t, purge, (rd_kafka_t * rk, int flags))                                                                   \
    X(int, outq_len, (rd_kafka_t * rk))

#define TG_RDKAFKA_DECLARE(type, name, params) type(*name) params;
typedef struct {
    TG_RDKAFKA_FUNCTIONS(TG_RDKAFKA_DECLARE)
} tg_rdkafka;
#undef TG_RDKAFKA_DECLARE

#define TG_RDKAFKA_MIN_VERSION 0x020f0000 /* 2.15.0: the fixes that the rebalance rules rest on */

/* Fills `api` from the shared library at `path`, which must be loaded already (the symbols may stand in a
 * library that it depends on). NULL when all is well; otherwise static or `words` text: what is missing.
 * Call under the GIL, once. */
const char *tg_rdkafka_load(const char *path, tg_rdkafka *api, char *words, size_t size);

#endif
