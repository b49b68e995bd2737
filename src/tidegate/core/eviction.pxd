# Eviction: out of the rings into the parking topic, where old records keep a partition's span full. Event loop's.

from libc.stdint cimport int64_t, uint64_t

from tidegate.core.dispatcher cimport Dispatcher
from tidegate.core.producer cimport Producer
from tidegate.core.ring cimport TG_CLASSES
from tidegate.core.slots cimport tg_slot

cdef class Eviction:
    cdef Dispatcher dispatcher
    cdef Producer producer
    cdef uint64_t until[TG_CLASSES]      # of each ring's count of popped records: as far as it is to be evicted

    cdef uint64_t _last_in_the_way(self, int klass) noexcept nogil
    cdef bint _in_the_way(self, const tg_slot *slot, int64_t offset) noexcept nogil
