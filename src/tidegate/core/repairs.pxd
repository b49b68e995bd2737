# Repairs: partitions that cannot go on where they are.

from libc.stdint cimport int64_t

from tidegate.core.commits cimport Commits
from tidegate.core.lanes cimport tg_lane
from tidegate.core.rdkafka cimport rd_kafka_topic_partition_list_t
from tidegate.core.slots cimport tg_slot

cdef class Repairs(Commits):
    cdef void _repair(self, int64_t now_ns) noexcept nogil
    cdef bint _replace(self, tg_lane *lane, tg_slot *slot) noexcept nogil
    cdef void _again(self, rd_kafka_topic_partition_list_t *broken, int64_t now_ns) noexcept nogil
