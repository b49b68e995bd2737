# Start: where each partition of an assignment begins, and what is committed beside its offsets.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t

from tidegate.core.intake cimport Intake, tg_lane
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.questions cimport Questions
from tidegate.core.rdkafka cimport rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_t

cdef enum:
    TG_MARK = 80                 # room for what is committed beside an offset

cdef int mark(tg_lane *lane, char *words, size_t size) noexcept nogil

cdef class Start(Questions):
    cdef Mailbox mailbox
    cdef rd_kafka_topic_partition_list_t *commits   # owns: of every partition of the topics

    cdef int32_t resolve(self, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef int64_t committed(self, const char *topic, int32_t partition) noexcept nogil
    cdef int32_t _fetch_commits(self, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef void _know(self, tg_lane *lane, const char *topic) noexcept nogil
    cdef void _decide(self, tg_lane *lane, rd_kafka_topic_partition_t *part, int at) noexcept nogil
