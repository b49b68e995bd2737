"""Slots: acknowledged offsets by partition and assignment.

Acknowledgements come in any order; the offset that may be committed is the contiguous frontier. Offsets in front of it
that are settled already stand in a circular bitmap of `span` bits, made at the first acknowledgement out of order.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef extern from *:
    """
    #define tg_ctz64(x) __builtin_ctzll(x)
    #define tg_popcount64(x) __builtin_popcountll(x)
    """
    int ctz "tg_ctz64"(uint64_t x) noexcept nogil
    int popcount "tg_popcount64"(uint64_t x) noexcept nogil

from tidegate.core.atomic cimport tg_load_i64, tg_load_u64, tg_store_i32, tg_store_i64
from tidegate.core.rdkafka cimport TG_RK_OFFSET_BEGINNING


cdef class Slots:
    """Base of Ledger; not made by itself.

    Args:
        span: how many offsets of one partition may be unsettled at once, rounded up to a power of two (records).
    """

    def __cinit__(self, uint32_t span=131072):
        self.span = 64
        while self.span < span:
            self.span *= 2
        self.slots = <tg_slot **>calloc(TG_MAX_SLOTS, sizeof(tg_slot *))
        self._free = <uint32_t *>calloc(TG_MAX_SLOTS, sizeof(uint32_t))
        if self.slots is NULL or self._free is NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef int32_t i
        if self.slots is not NULL:
            for i in range(self._used):
                free(self.slots[i].map)
                free(self.slots[i])
        free(self.slots)
        free(self._free)

    # --- reader -----------------------------------------------------------------------------------

    cdef tg_slot *open(self, int lane, int partition, int64_t start) noexcept nogil:
        """A live slot for a partition just assigned; `start` -1: known with the first record. NULL: no memory."""
        cdef tg_slot *slot
        cdef uint64_t *kept
        cdef uint32_t number
        if self._free_len == 0:
            self.recycle()
        if self._free_len > 0:
            self._free_len -= 1
            slot = self.slots[self._free[self._free_len]]
            kept, number = slot.map, slot.number
        else:
            if self._used == TG_MAX_SLOTS:
                return NULL
            slot = <tg_slot *>calloc(1, sizeof(tg_slot))
            if slot is NULL:
                return NULL
            kept, number = NULL, self._used
            self.slots[number] = slot
            tg_store_i32(&self._used, <int32_t>number + 1)  # free as yet, but the event loop looks at all of them
        memset(slot, 0, sizeof(tg_slot))
        if kept is not NULL:
            memset(kept, 0, self.span // 8)
        slot.map, slot.number = kept, number
        slot.lane, slot.partition = lane, partition
        slot.next = slot.covered = slot.frontier = start
        slot.stored = start
        slot.end = slot.target = slot.reset_from = -1
        slot.log_end = -1
        self._opened += 1
        slot.serial = self._opened
        slot.begin = start if start >= 0 else TG_RK_OFFSET_BEGINNING
        tg_store_i32(&slot.state, TG_SLOT_LIVE)
        return slot

    cdef void recycle(self) noexcept nogil:
        """Finds the dead slots that no record carries any more."""
        cdef uint32_t i
        cdef tg_slot *slot
        for i in range(self._used):
            slot = self.slots[i]
            if slot.state in (TG_SLOT_DEAD, TG_SLOT_ORPHAN) and tg_load_u64(&slot.settled) == slot.read:
                slot.state = TG_SLOT_FREE
                self._free[self._free_len] = i
                self._free_len += 1

    cdef bint skip_to(self, tg_slot *slot, int64_t offset, uint32_t *gap) noexcept nogil:
        """Prepares for a record at `offset` >= slot.next. False: the span is full, try again later.

        `gap` is how many offsets before it the record settles along with itself."""
        cdef int64_t frontier = tg_load_i64(&slot.frontier)
        gap[0] = 0
        if slot.next < 0 or frontier == slot.covered:
            if offset != frontier:
                slot.next = slot.covered = offset
                tg_store_i64(&slot.frontier, offset)
            return True
        if offset - frontier >= self.span:
            return False
        gap[0] = <uint32_t>(offset - slot.covered)
        return True

    cdef void catch_up(self, tg_slot *slot) noexcept nogil:
        """What was dropped behind the last record that was read is settled, once nothing is outstanding."""
        if slot.covered != slot.next and tg_load_i64(&slot.frontier) == slot.covered:
            slot.covered = slot.next
            tg_store_i64(&slot.frontier, slot.next)

    cdef void sweep_end(self, tg_slot *slot) noexcept nogil:
        """Behind the last record only control records are left: with nothing outstanding, that is settled too."""
        if slot.end > slot.next and (slot.next < 0 or tg_load_i64(&slot.frontier) == slot.covered):
            slot.covered = slot.end
            tg_store_i64(&slot.next, slot.end)
            tg_store_i64(&slot.frontier, slot.end)

    # --- event loop -------------------------------------------------------------------------------

    cdef void _advance(self, tg_slot *slot) noexcept nogil:
        """Moves the frontier over all set bits, clearing them."""
        cdef int64_t frontier = slot.frontier
        cdef uint32_t mask = self.span - 1
        cdef uint32_t at, bit, run
        cdef uint64_t word, low
        while slot.marked:
            at = <uint32_t>(frontier & mask)
            bit = at & 63
            word = slot.map[at >> 6] >> bit
            if not word & 1:
                break
            # Length of the run of ones from here to the word's end.
            run = <uint32_t>ctz(~word) if ~word else 64
            if run > 64 - bit:
                run = 64 - bit
            low = (<uint64_t>-1 if run == 64 else (<uint64_t>1 << run) - 1) << bit
            slot.map[at >> 6] &= ~low
            slot.marked -= run
            frontier += run
        tg_store_i64(&slot.frontier, frontier)

    cdef void acknowledge(self, tg_slot *slot, int64_t first, uint32_t count, uint32_t gap) noexcept nogil:
        """Offsets first … first + count - 1, and the `gap` missing ones before them, are settled."""
        cdef int64_t start = first - gap
        cdef int64_t end = first + count
        cdef int64_t at
        cdef uint32_t mask = self.span - 1
        cdef uint32_t place, bit, run
        cdef uint64_t bits
        if start < slot.frontier:
            start = slot.frontier
        if start >= end:
            return
        if start == slot.frontier:
            # In order: no bit is needed for what the frontier passes at once, and none of it can be set.
            if slot.marked == 0:
                tg_store_i64(&slot.frontier, end)
                return
            slot.frontier = end
            self._advance(slot)
            return
        if slot.map is NULL:
            slot.map = <uint64_t *>calloc(self.span // 64, sizeof(uint64_t))
            if slot.map is NULL:
                return  # not acknowledged: redelivered after a restart rather than lost
        at = start
        while at < end:
            place = <uint32_t>(at & mask)
            bit = place & 63
            run = 64 - bit
            if run > end - at:
                run = <uint32_t>(end - at)
            bits = (<uint64_t>-1 if run == 64 else (<uint64_t>1 << run) - 1) << bit
            slot.marked += popcount(bits & ~slot.map[place >> 6])
            slot.map[place >> 6] |= bits
            at += run
