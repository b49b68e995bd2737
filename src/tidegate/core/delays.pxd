# Delays: how old records were when they were acknowledged, as a histogram for each class.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tidegate.core.ring cimport TG_CLASSES

cdef enum:
    TG_DELAY_BOUNDS = 16

cdef class Delays:
    cdef uint64_t counts[TG_CLASSES][TG_DELAY_BOUNDS + 1]    # the last: older than every bound
    cdef int64_t total_ms[TG_CLASSES]

    cdef void add(self, int klass, const int32_t *ages_ms, uint32_t records, int64_t later_ms) noexcept nogil
