# Commits: what was acknowledged goes to the group; the last of it before the client closes.

from libc.stdint cimport int32_t, int64_t

from tidegate.core.client cimport Client
from tidegate.core.rdkafka cimport rd_kafka_event_t

cdef class Commits(Client):
    cdef int32_t commit_err              # of the last commit that was answered
    cdef int64_t last_commit_until_ns    # until when the last commit is tried; 0: the end has not begun
    cdef int64_t last_commit_ns          # when the next try is due; 0: one is under way
    cdef bint closing
    cdef bint closed

    cdef void sweep(self) noexcept nogil
    cdef void _answered(self, rd_kafka_event_t *event) noexcept nogil
    cdef void _begin_end(self, int64_t now_ns) noexcept nogil
    cdef void _end(self, int64_t now_ns) noexcept nogil
    cdef bint _try_again(self, int32_t err, int64_t now_ns) noexcept nogil
    cdef void _hurry(self, int64_t now_ns) noexcept nogil
    cdef void _close(self) noexcept nogil
