# Start: where each partition of an assignment begins.

from libc.stdint cimport int32_t, int64_t

from tidegate.core.intake cimport Intake, tg_lane
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.questions cimport Questions
from tidegate.core.rdkafka cimport rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_t

cdef class Start(Questions):
    cdef Mailbox mailbox

    cdef bint resolve(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil
    cdef int64_t committed(self, const char *topic, int32_t partition) noexcept nogil
    cdef bint _missing(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil
    cdef bint _met(self, tg_lane *lane, const char *topic, int64_t now_ns) noexcept nogil
    cdef void _decide(self, tg_lane *lane, bint met, rd_kafka_topic_partition_t *part, int at) noexcept nogil
