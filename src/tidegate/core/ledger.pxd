# Ledger: how many events went which way, by lane, class and disposition, beside what is settled.
#
# Each count has one writer. What the reader puts in hand and what the event loop ends stand in lines of memory of their
# own.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tidegate.core.origins cimport Origins
from tidegate.core.ring cimport TG_CLASSES
from tidegate.core.slots cimport Slots, tg_slot

cdef enum:
    TG_MAX_LANES = 4096

    TG_DELIVERED = 0
    TG_DEFERRED = 1
    TG_SAMPLED = 2
    TG_EXPIRED = 3
    TG_DEAD_LETTERED = 4
    TG_DISCARDED = 5
    TG_DISPOSITIONS = 6

cdef struct tg_lane_counts:
    const char *topic                    # borrowed from the ledger's list of names
    size_t topic_len
    uint64_t polled[TG_CLASSES]          # reader
    uint64_t unclassified
    uint64_t invalid
    uint64_t lost                        # reader: records that retention took before they were read
    uint64_t dropped[TG_CLASSES][2]      # reader: sampled, expired
    uint64_t _line[8]
    uint64_t ended[TG_CLASSES][TG_DISPOSITIONS]   # event loop

cdef class Ledger(Slots):
    cdef tg_lane_counts **lanes
    cdef readonly int lane_count
    cdef Origins origins                 # where parked records stood
    cdef list _lane_names
    cdef list _lane_bytes
    cdef int64_t first_read_ns
    cdef int64_t last_settled_ns
    cdef uint64_t taken[TG_CLASSES]      # event loop: records taken out of the rings
    cdef uint64_t parked[TG_CLASSES]     # reader: records given to the producer, less what came back into a ring
    cdef uint64_t dropped[TG_CLASSES]    # reader: records sampled and expired, over all lanes
    cdef uint64_t _line[8]
    cdef uint64_t unparked[TG_CLASSES]   # event loop: those of them that ended
    cdef uint64_t stale                  # acknowledgements that came too late to count for the offsets

    # reader
    cdef uint32_t origin(self, const char *topic, size_t topic_len, int32_t partition) noexcept nogil
    cdef void take_in(self, tg_slot *slot, int klass, int64_t offset) noexcept nogil
    cdef void drop(self, tg_slot *slot, int klass, int disposition, int64_t offset) noexcept nogil
    cdef void park(self, tg_slot *slot, int klass, int64_t offset) noexcept nogil
    cdef void park_refused(self, tg_slot *slot, int klass, int64_t next, int64_t covered) noexcept nogil
    cdef void park_failed(self, tg_slot *slot, int klass) noexcept nogil
    cdef uint64_t parked_begun(self) noexcept nogil
    cdef uint64_t parked_ended(self) noexcept nogil

    # event loop
    cdef void settle_run(self, int klass, int disposition, uint32_t slot, int64_t first, uint32_t count,
                         uint32_t gap) noexcept nogil
    cdef void settle_parked(self, int klass, int disposition, uint32_t slot, int64_t first, uint32_t count,
                            uint32_t gap) noexcept nogil
    cdef void evict(self, tg_slot *slot, int klass) noexcept nogil
    cdef uint64_t _ended(self, int lane, int klass, int disposition) noexcept nogil
