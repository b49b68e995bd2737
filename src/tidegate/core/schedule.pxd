# Schedule: which class is next.

from libc.stdint cimport int64_t, uint32_t

from tidegate.core.ring cimport TG_CLASSES

cdef enum:
    NANOS = 1000000000

cdef class Schedule:
    cdef readonly uint32_t quantum            # records a round gives to weight 1
    cdef int64_t deficit[TG_CLASSES]          # records; slot 0 is not used
    cdef int64_t floor_owed                   # nineteenths of a record that the others are owed
    cdef int turn
    cdef int64_t age_budget_ns[TG_CLASSES]

    cdef int choose(self, int ready, const int64_t *waited_ns) noexcept nogil
    cdef void charge(self, int klass, uint32_t records, bint contended) noexcept nogil
    cdef int weight(self, int klass, int64_t waited_ns) noexcept nogil
