# The table of librdkafka's functions; see csrc/tg_rdkafka.h for what each part is.

from libc.stdint cimport int32_t, int64_t

cdef extern from "tg_rdkafka.h" nogil:
    ctypedef struct rd_kafka_t:
        pass
    ctypedef struct rd_kafka_topic_t:
        pass
    ctypedef struct rd_kafka_conf_t:
        pass
    ctypedef struct rd_kafka_queue_t:
        pass
    ctypedef struct rd_kafka_event_t:
        pass
    ctypedef struct rd_kafka_headers_t:
        pass
    ctypedef struct rd_kafka_error_t:
        pass
    ctypedef struct rd_kafka_AdminOptions_t:
        pass
    ctypedef struct rd_kafka_TopicCollection_t:
        pass
    ctypedef struct rd_kafka_TopicDescription_t:
        pass
    ctypedef struct rd_kafka_TopicPartitionInfo_t:
        pass
    ctypedef struct rd_kafka_ListOffsetsResultInfo_t:
        pass
    ctypedef struct rd_kafka_Uuid_t:
        pass

    ctypedef struct rd_kafka_message_t:
        int32_t err
        rd_kafka_topic_t *rkt
        int32_t partition
        void *payload
        size_t len
        void *key
        size_t key_len
        int64_t offset
        void *_private

    ctypedef struct rd_kafka_topic_partition_t:
        char *topic
        int32_t partition
        int64_t offset
        int32_t err

    ctypedef struct rd_kafka_topic_partition_list_t:
        int cnt
        rd_kafka_topic_partition_t *elems

    ctypedef struct rd_kafka_metadata_topic_t:
        char *topic
        int partition_cnt
        int32_t err

    ctypedef struct rd_kafka_metadata_t:
        int topic_cnt
        rd_kafka_metadata_topic_t *topics

    int TG_RK_PRODUCER, TG_RK_CONSUMER, TG_RK_CONF_OK
    int64_t TG_RK_OFFSET_BEGINNING, TG_RK_OFFSET_END
    int32_t TG_RK_ERR_OK, TG_RK_ERR_PARTITION_EOF, TG_RK_ERR_ASSIGN_PARTITIONS, TG_RK_ERR_REVOKE_PARTITIONS
    int32_t TG_RK_ERR_AUTO_OFFSET_RESET, TG_RK_ERR_STATE, TG_RK_ERR_NO_OFFSET
    int32_t TG_RK_ERR_UNKNOWN_TOPIC_OR_PART, TG_RK_ERR_ALL_BROKERS_DOWN
    int32_t TG_RK_ERR_REQUEST_TIMED_OUT, TG_RK_ERR_COORDINATOR_LOAD_IN_PROGRESS, TG_RK_ERR_COORDINATOR_NOT_AVAILABLE
    int32_t TG_RK_ERR_NOT_COORDINATOR, TG_RK_ERR_TRANSPORT, TG_RK_ERR_TIMED_OUT, TG_RK_ERR_WAIT_COORD
    int32_t TG_RK_ERR_INVALID_MSG, TG_RK_ERR_BAD_MSG, TG_RK_ERR_BAD_COMPRESSION, TG_RK_ERR_NOT_IMPLEMENTED
    int32_t TG_RK_ERR_UNSUPPORTED_FEATURE, TG_RK_ERR_UNDERFLOW
    int32_t TG_RK_ERR_ILLEGAL_GENERATION, TG_RK_ERR_REBALANCE_IN_PROGRESS, TG_RK_ERR_STALE_MEMBER_EPOCH
    int TG_RK_EVENT_FETCH, TG_RK_EVENT_LOG, TG_RK_EVENT_ERROR, TG_RK_EVENT_REBALANCE, TG_RK_EVENT_OFFSET_COMMIT
    int TG_RK_EVENT_DESCRIBETOPICS_RESULT, TG_RK_EVENT_LISTOFFSETS_RESULT
    int TG_RK_EVENT_DR, TG_RK_MSG_F_COPY, TG_RK_PARTITION_UA
    int TG_RK_PURGE_F_QUEUE, TG_RK_PURGE_F_INFLIGHT, TG_RK_PURGE_F_NON_BLOCKING, TG_RK_MSG_NOT_PERSISTED
    int32_t TG_RK_ERR_QUEUE_FULL, TG_RK_ERR_PURGE_INFLIGHT, TG_RK_ERR_PURGE_QUEUE, TG_RK_ERR_UNKNOWN_TOPIC
    int32_t TG_RK_ERR_UNKNOWN_PARTITION, TG_RK_ERR_MSG_TIMED_OUT, TG_RK_ERR_MSG_SIZE_TOO_LARGE, TG_RK_ERR_FATAL
    int32_t TG_RK_ERR_RECORD_LIST_TOO_LARGE, TG_RK_ERR_TOPIC_AUTHORIZATION_FAILED, TG_RK_ERR_INVALID_RECORD
    int TG_RK_ADMIN_DESCRIBETOPICS, TG_RK_ADMIN_LISTOFFSETS, TG_RK_READ_UNCOMMITTED, TG_RK_READ_COMMITTED

    ctypedef struct tg_rdkafka:
        int (*version)() noexcept nogil
        const char *(*version_str)() noexcept nogil
        const char *(*err2str)(int32_t) noexcept nogil
        const char *(*err2name)(int32_t) noexcept nogil
        rd_kafka_conf_t *(*conf_new)() noexcept nogil
        void (*conf_destroy)(rd_kafka_conf_t *) noexcept nogil
        int (*conf_set)(rd_kafka_conf_t *, const char *, const char *, char *, size_t) noexcept nogil
        void (*conf_set_events)(rd_kafka_conf_t *, int) noexcept nogil
        rd_kafka_t *(*new_ "new")(int, rd_kafka_conf_t *, char *, size_t) noexcept nogil
        void (*destroy)(rd_kafka_t *) noexcept nogil
        int32_t (*set_log_queue)(rd_kafka_t *, rd_kafka_queue_t *) noexcept nogil
        rd_kafka_queue_t *(*queue_new)(rd_kafka_t *) noexcept nogil
        void (*queue_destroy)(rd_kafka_queue_t *) noexcept nogil
        rd_kafka_queue_t *(*queue_get_consumer)(rd_kafka_t *) noexcept nogil
        rd_kafka_queue_t *(*queue_get_partition)(rd_kafka_t *, const char *, int32_t) noexcept nogil
        void (*queue_forward)(rd_kafka_queue_t *, rd_kafka_queue_t *) noexcept nogil
        void (*queue_io_event_enable)(rd_kafka_queue_t *, int, const void *, size_t) noexcept nogil
        rd_kafka_event_t *(*queue_poll)(rd_kafka_queue_t *, int) noexcept nogil
        size_t (*queue_length)(rd_kafka_queue_t *) noexcept nogil
        int32_t (*poll_set_consumer)(rd_kafka_t *) noexcept nogil
        ssize_t (*consume_batch_queue)(rd_kafka_queue_t *, int, rd_kafka_message_t **, size_t) noexcept nogil
        void (*message_destroy)(rd_kafka_message_t *) noexcept nogil
        int64_t (*message_timestamp)(const rd_kafka_message_t *, int *) noexcept nogil
        const char *(*message_errstr)(const rd_kafka_message_t *) noexcept nogil
        int32_t (*message_leader_epoch)(const rd_kafka_message_t *) noexcept nogil
        int32_t (*message_headers)(const rd_kafka_message_t *, rd_kafka_headers_t **) noexcept nogil
        int32_t (*header_get_all)(const rd_kafka_headers_t *, size_t, const char **, const void **,
                                  size_t *) noexcept nogil
        int32_t (*event_type)(const rd_kafka_event_t *) noexcept nogil
        int32_t (*event_error)(rd_kafka_event_t *) noexcept nogil
        const char *(*event_error_string)(rd_kafka_event_t *) noexcept nogil
        int (*event_error_is_fatal)(rd_kafka_event_t *) noexcept nogil
        int (*event_log)(rd_kafka_event_t *, const char **, const char **, int *) noexcept nogil
        rd_kafka_topic_partition_list_t *(*event_topic_partition_list)(rd_kafka_event_t *) noexcept nogil
        void (*event_destroy)(rd_kafka_event_t *) noexcept nogil
        rd_kafka_topic_partition_list_t *(*topic_partition_list_new)(int) noexcept nogil
        void (*topic_partition_list_destroy)(rd_kafka_topic_partition_list_t *) noexcept nogil
        rd_kafka_topic_partition_list_t *(*topic_partition_list_copy)(
            const rd_kafka_topic_partition_list_t *) noexcept nogil
        rd_kafka_topic_partition_t *(*topic_partition_list_add)(rd_kafka_topic_partition_list_t *, const char *,
                                                                int32_t) noexcept nogil
        int32_t (*subscribe)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *) noexcept nogil
        int32_t (*assign)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *) noexcept nogil
        int32_t (*assignment)(rd_kafka_t *, rd_kafka_topic_partition_list_t **) noexcept nogil
        rd_kafka_error_t *(*incremental_assign)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *) noexcept nogil
        rd_kafka_error_t *(*incremental_unassign)(rd_kafka_t *,
                                                  const rd_kafka_topic_partition_list_t *) noexcept nogil
        int32_t (*pause_partitions)(rd_kafka_t *, rd_kafka_topic_partition_list_t *) noexcept nogil
        int32_t (*resume_partitions)(rd_kafka_t *, rd_kafka_topic_partition_list_t *) noexcept nogil
        const char *(*rebalance_protocol)(rd_kafka_t *) noexcept nogil
        int (*assignment_lost)(rd_kafka_t *) noexcept nogil
        const char *(*error_string)(const rd_kafka_error_t *) noexcept nogil
        void (*error_destroy)(rd_kafka_error_t *) noexcept nogil
        int32_t (*metadata)(rd_kafka_t *, int, rd_kafka_topic_t *, const rd_kafka_metadata_t **, int) noexcept nogil
        void (*metadata_destroy)(const rd_kafka_metadata_t *) noexcept nogil
        int32_t (*committed)(rd_kafka_t *, rd_kafka_topic_partition_list_t *, int) noexcept nogil
        int32_t (*offsets_store)(rd_kafka_t *, rd_kafka_topic_partition_list_t *) noexcept nogil
        char *(*memberid)(const rd_kafka_t *) noexcept nogil
        void (*mem_free)(rd_kafka_t *, void *) noexcept nogil
        rd_kafka_error_t *(*consumer_close_queue)(rd_kafka_t *, rd_kafka_queue_t *) noexcept nogil
        int (*consumer_closed)(rd_kafka_t *) noexcept nogil
        int32_t (*fatal_error)(rd_kafka_t *, char *, size_t) noexcept nogil
        int32_t (*test_fatal_error)(rd_kafka_t *, int32_t, const char *) noexcept nogil
        int (*brokers_add)(rd_kafka_t *, const char *) noexcept nogil
        int32_t (*commit_queue)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *, rd_kafka_queue_t *, void *,
                                void *) noexcept nogil
        int32_t (*error_code)(const rd_kafka_error_t *) noexcept nogil
        rd_kafka_topic_partition_t *(*topic_partition_list_find)(const rd_kafka_topic_partition_list_t *, const char *,
                                                                 int32_t) noexcept nogil
        void (*topic_partition_set_leader_epoch)(rd_kafka_topic_partition_t *, int32_t) noexcept nogil
        rd_kafka_AdminOptions_t *(*AdminOptions_new)(rd_kafka_t *, int) noexcept nogil
        void (*AdminOptions_destroy)(rd_kafka_AdminOptions_t *) noexcept nogil
        int32_t (*AdminOptions_set_request_timeout)(rd_kafka_AdminOptions_t *, int, char *, size_t) noexcept nogil
        rd_kafka_error_t *(*AdminOptions_set_isolation_level)(rd_kafka_AdminOptions_t *, int) noexcept nogil
        void (*AdminOptions_set_opaque)(rd_kafka_AdminOptions_t *, void *) noexcept nogil
        void *(*event_opaque)(rd_kafka_event_t *) noexcept nogil
        rd_kafka_TopicCollection_t *(*TopicCollection_of_topic_names)(const char **, size_t) noexcept nogil
        void (*TopicCollection_destroy)(rd_kafka_TopicCollection_t *) noexcept nogil
        void (*DescribeTopics)(rd_kafka_t *, const rd_kafka_TopicCollection_t *, const rd_kafka_AdminOptions_t *,
                               rd_kafka_queue_t *) noexcept nogil
        const rd_kafka_event_t *(*event_DescribeTopics_result)(rd_kafka_event_t *) noexcept nogil
        const rd_kafka_TopicDescription_t **(*DescribeTopics_result_topics)(const rd_kafka_event_t *,
                                                                            size_t *) noexcept nogil
        const char *(*TopicDescription_name)(const rd_kafka_TopicDescription_t *) noexcept nogil
        const rd_kafka_error_t *(*TopicDescription_error)(const rd_kafka_TopicDescription_t *) noexcept nogil
        const rd_kafka_Uuid_t *(*TopicDescription_topic_id)(const rd_kafka_TopicDescription_t *) noexcept nogil
        const rd_kafka_TopicPartitionInfo_t **(*TopicDescription_partitions)(const rd_kafka_TopicDescription_t *,
                                                                             size_t *) noexcept nogil
        int64_t (*Uuid_most_significant_bits)(const rd_kafka_Uuid_t *) noexcept nogil
        int64_t (*Uuid_least_significant_bits)(const rd_kafka_Uuid_t *) noexcept nogil
        void (*ListOffsets)(rd_kafka_t *, rd_kafka_topic_partition_list_t *, const rd_kafka_AdminOptions_t *,
                            rd_kafka_queue_t *) noexcept nogil
        const rd_kafka_event_t *(*event_ListOffsets_result)(rd_kafka_event_t *) noexcept nogil
        const rd_kafka_ListOffsetsResultInfo_t **(*ListOffsets_result_infos)(const rd_kafka_event_t *,
                                                                             size_t *) noexcept nogil
        const rd_kafka_topic_partition_t *(*ListOffsetsResultInfo_topic_partition)(
            const rd_kafka_ListOffsetsResultInfo_t *) noexcept nogil
        rd_kafka_queue_t *(*queue_get_main)(rd_kafka_t *) noexcept nogil
        rd_kafka_topic_t *(*topic_new)(rd_kafka_t *, const char *, void *) noexcept nogil
        void (*topic_destroy)(rd_kafka_topic_t *) noexcept nogil
        int (*produce)(rd_kafka_topic_t *, int32_t, int, void *, size_t, const void *, size_t, void *) noexcept nogil
        int32_t (*last_error)() noexcept nogil
        const rd_kafka_message_t *(*event_message_next)(rd_kafka_event_t *) noexcept nogil
        int (*message_status)(const rd_kafka_message_t *) noexcept nogil
        int32_t (*flush)(rd_kafka_t *, int) noexcept nogil
        int32_t (*purge)(rd_kafka_t *, int) noexcept nogil
        int (*outq_len)(rd_kafka_t *) noexcept nogil

    const char *tg_rdkafka_load(const char *path, tg_rdkafka *api, char *words, size_t size)

cdef const tg_rdkafka *rdkafka() noexcept nogil
cdef rd_kafka_t *new_client(int kind, dict properties, int events) except NULL
