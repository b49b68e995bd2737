# Handle: one consumer of the group.

from libc.stdint cimport int64_t, uint64_t

from tidegate.core.ends cimport Ends
from tidegate.core.rdkafka cimport rd_kafka_event_t, rd_kafka_topic_partition_list_t
from tidegate.core.repairs cimport Repairs
from tidegate.core.start cimport Start

cdef class Handle(Repairs):
    cdef rd_kafka_topic_partition_list_t *assigning   # owns: an assignment whose start offsets are not known yet
    cdef rd_kafka_topic_partition_list_t *revoking    # owns: a revocation whose in-flight work is not settled yet
    cdef bint asked                      # the questions of that assignment are under way
    cdef int64_t assign_after_ns
    cdef int64_t look_after_ns
    cdef int64_t look_every_ns
    cdef int64_t revoke_until_ns
    cdef int64_t awaiting_ns             # since when an assignment is waited for; 0: the last word was an assignment
    cdef int64_t changed_ns              # when the assignment last changed; 0: never had one
    cdef uint64_t assignments            # that began, empty ones too
    cdef uint64_t revocations
    cdef uint64_t losses
    cdef bint silent                     # a member without partitions is told nothing (KIP-848)
    cdef Start start
    cdef Ends log_ends
    cdef bint find_ends

    cdef bint changing(self) noexcept nogil
    cdef void await_assignment(self, int64_t now_ns, bint afresh) noexcept nogil
    cdef void serve(self, int64_t now_ns) noexcept nogil
    cdef void begin_close(self, int64_t now_ns) noexcept nogil
    cdef void destroy(self) noexcept nogil
    cdef void _event(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil
    cdef void _rebalance(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil
    cdef void _assign(self, int64_t now_ns) noexcept nogil
    cdef bint _open(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil
    cdef bint _busy(self) noexcept nogil
    cdef void _revoke(self, int64_t now_ns) noexcept nogil
    cdef void _decline(self) noexcept nogil
