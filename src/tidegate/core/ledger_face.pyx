"""LedgerFace: the ledger from Python, for tests and benchmarks. One thread plays reader and event loop."""

from libc.stdint cimport int64_t, uint32_t

from tidegate.core.atomic cimport tg_store_i32, tg_store_i64
from tidegate.core.ledger cimport TG_DEFERRED, TG_DELIVERED, TG_SAMPLED, Ledger
from tidegate.core.origins cimport tg_place
from tidegate.core.slots cimport tg_slot


cdef class LedgerFace(Ledger):
    """Slots go by their numbers, classes and dispositions by theirs."""

    def test_open(self, int lane, int partition, int64_t start) -> int:
        cdef tg_slot *slot = self.open(lane, partition, start)
        if slot is NULL:
            raise MemoryError
        return slot.number

    def test_origin(self, bytes topic, int partition) -> int:
        """The number of a place, as the reader asks for it; 0: it gets none."""
        return self.origin(topic, len(topic), partition)

    def test_place(self, uint32_t number) -> tuple:
        """``(topic, partition)`` of a number. IndexError: it was not given."""
        if not 0 < number <= self.origins._count:
            raise IndexError(f"no origin {number}")
        cdef const tg_place *place = self.origins.place(number)
        return (<char *>place.topic)[:place.topic_len], place.partition

    def test_read(self, uint32_t number, int64_t offset, int klass=0):
        """Reads a record: its gap, or None where the span is full. ValueError: before the position."""
        cdef tg_slot *slot = self.slots[number]
        cdef uint32_t gap
        if offset < slot.next:
            raise ValueError("offset before the position")
        if not self.skip_to(slot, offset, &gap):
            return None
        self.take_in(slot, klass, offset)
        return gap

    def test_drop(self, uint32_t number, int64_t offset, int klass=0, int disposition=TG_SAMPLED) -> bool:
        """Reads a record and drops it. False: the span is full."""
        cdef tg_slot *slot = self.slots[number]
        cdef uint32_t gap
        if not self.skip_to(slot, offset, &gap):
            return False
        self.drop(slot, klass, disposition, offset)
        return True

    def test_catch_up(self, uint32_t number) -> None:
        self.catch_up(self.slots[number])

    def test_park(self, uint32_t number, int64_t offset, int klass=0):
        """As `test_read`, but the producer gets the record."""
        cdef tg_slot *slot = self.slots[number]
        cdef uint32_t gap
        if not self.skip_to(slot, offset, &gap):
            return None
        self.park(slot, klass, offset)
        return gap

    def test_park_refused(self, uint32_t number, int64_t next, int64_t covered, int klass=0) -> None:
        self.park_refused(self.slots[number], klass, next, covered)

    def test_park_failed(self, uint32_t number, int klass=0) -> None:
        self.park_failed(self.slots[number], klass)

    def test_settle_parked(self, uint32_t number, int64_t first, uint32_t count=1, uint32_t gap=0, int klass=0,
                           int disposition=TG_DEFERRED) -> None:
        self.settle_parked(klass, disposition, number, first, count, gap)

    def test_skip(self, uint32_t number, int64_t offset):
        """What the reader does before it looks for room: the gap, or None. `test_read` may follow, or not."""
        cdef uint32_t gap
        return gap if self.skip_to(self.slots[number], offset, &gap) else None

    def test_acknowledge(self, uint32_t number, int64_t first, uint32_t count=1, uint32_t gap=0) -> None:
        """Moves the offsets and no count: for faults that are planted."""
        self.acknowledge(self.slots[number], first, count, gap)

    def test_end(self, uint32_t number, int64_t end) -> None:
        self.slots[number].end = end
        self.sweep_end(self.slots[number])

    def test_settle(self, uint32_t number, int64_t first, uint32_t count=1, uint32_t gap=0, int klass=0,
                    int disposition=TG_DELIVERED) -> None:
        self.settle_run(klass, disposition, number, first, count, gap)

    def test_state(self, uint32_t number, int state) -> None:
        tg_store_i32(&self.slots[number].state, state)

    def test_log_end(self, uint32_t number, int64_t end) -> None:
        tg_store_i64(&self.slots[number].log_end, end)

    def test_slot(self, uint32_t number) -> dict:
        """What stands in a slot."""
        cdef tg_slot *slot = self.slots[number]
        return {"state": slot.state, "next": slot.next, "covered": slot.covered, "frontier": slot.frontier,
                "read": slot.read,
                "parked": slot.parked, "popped": slot.popped, "settled": slot.settled, "marked": slot.marked,
                "mapped": slot.map is not NULL}
