# Client: a librdkafka consumer, and what is done to its partitions.

from libc.stdint cimport int32_t, int64_t

from tidegate.core.intake cimport Intake
from tidegate.core.lanes cimport tg_lane
from tidegate.core.ledger cimport Ledger
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.rdkafka cimport rd_kafka_queue_t, rd_kafka_t, rd_kafka_topic_partition_list_t, tg_rdkafka
from tidegate.core.slots cimport tg_slot

cdef enum:
    RETRY_NS = 200000000                 # after what librdkafka or the brokers could not do now

cdef class Client:
    cdef const tg_rdkafka *rk
    cdef rd_kafka_t *client              # owns
    cdef rd_kafka_queue_t *queue         # owns: the consumer queue
    cdef readonly int number
    cdef bint failed
    cdef Intake intake
    cdef Ledger ledger
    cdef Mailbox mailbox
    cdef int wake_fd
    cdef bytes servers                   # bootstrap.servers
    cdef const char *servers_text        # borrowed from it

    cdef tg_slot *_slot(self, const char *topic, int32_t partition, tg_lane **lane) noexcept nogil
    cdef rd_kafka_topic_partition_list_t *_owned(self) noexcept nogil
    cdef bint _incremental(self) noexcept nogil
    cdef void _adopt(self, rd_kafka_topic_partition_list_t *list, bint add) noexcept nogil
    cdef void _forward(self, tg_lane *lane, const char *topic, int32_t partition) noexcept nogil
    cdef void _note_list(self, int kind, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef void find_brokers(self) noexcept nogil
    cdef void pause(self, tg_lane *lane, bint on, int64_t now_ns) noexcept nogil
    cdef void _resume_assigned(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil
