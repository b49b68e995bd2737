# Eviction: out of the rings into the parking topic, where old records keep a partition's span full. Event loop's.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

from tidegate.core.csrc cimport tg_parked
from tidegate.core.dispatcher cimport Dispatcher
from tidegate.core.ledger cimport tg_lane_counts
from tidegate.core.producer cimport Producer
from tidegate.core.ring cimport TG_CLASSES, tg_record
from tidegate.core.slots cimport tg_slot

cdef class Eviction:
    cdef Dispatcher dispatcher
    cdef Producer producer
    cdef uint64_t until[TG_CLASSES]      # of each ring's count of popped records: as far as it is to be evicted
    cdef uint8_t *_scratch               # owns: the envelope in hand
    cdef size_t _room
    cdef readonly uint64_t evicted       # records, since the start

    cdef uint64_t _last_in_the_way(self, int klass) noexcept nogil
    cdef bint _in_the_way(self, const tg_slot *slot, int64_t offset) noexcept nogil
    cdef bint _park(self, int klass, tg_record *record) noexcept nogil
    cdef void _describe(self, int klass, tg_record *record, const tg_slot *slot, tg_parked *out) noexcept nogil
