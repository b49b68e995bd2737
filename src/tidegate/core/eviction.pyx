"""Eviction: what waits in the rings is parked where it stands in the way of what is still to be read.

A partition may have so many unsettled offsets and no more (`Ledger.span`). In a flood a few bulk records, read before
the law acted and delivered last of all, keep its frontier where it was, and then its critical records could not be read
any more. So, when more than half of a span is taken, the records that lie in its older half are parked after all, with
what stands before them in their ring (decision 6). A ring gives up its oldest first, whatever partition they are of.

What does not stand whole in its ring is left alone, and what is behind it as well: what was parked before, what Kafka
would not take, and what belongs to a topic that can wait in Kafka.
"""


from tidegate.core.atomic cimport tg_load_i64
from tidegate.core.producer cimport PARKED
from tidegate.core.ring cimport TG_RECORD_WHOLE, tg_cursor, tg_record


cdef class Eviction:
    """Parks out of the rings of one process. One thread only: the event loop's.

    Args:
        dispatcher: whose rings they are.
        producer: of the parking topic.
    """

    def __init__(self, Dispatcher dispatcher not None, Producer producer not None):
        self.dispatcher, self.producer = dispatcher, producer

    cdef bint _in_the_way(self, const tg_slot *slot, int64_t offset) noexcept nogil:
        cdef int64_t half = self.dispatcher.ledger.span // 2, next = tg_load_i64(&slot.next)
        return next - slot.frontier > half and next - offset > half

    cdef uint64_t _last_in_the_way(self, int klass) noexcept nogil:
        """How many of a ring's records reach as far as the last one that is to go; 0: none is."""
        cdef tg_cursor at = self.dispatcher.rings.cursor(klass)
        cdef tg_record *record
        cdef uint64_t seen = 0, reach = 0
        while True:
            record = self.dispatcher.rings.peek(klass, &at)
            if record is NULL or not record.flags & TG_RECORD_WHOLE:
                return reach
            seen += 1
            if self._in_the_way(self.dispatcher.ledger.slots[record.slot], record.offset):
                reach = seen
            self.dispatcher.rings.step(&at, record)

    def look(self, classes) -> None:
        """Looks, over the rings of these classes, which records are to go; those of the others are left alone."""
        cdef int k
        for k in range(TG_CLASSES):
            self.until[k] = 0
        for klass in classes:
            k = klass
            with nogil:
                self.until[k] = self.dispatcher.rings.rings[k].popped + self._last_in_the_way(k)

    def go_on(self) -> int:
        """Parks of these as many as the producer takes now, and says how many. After `look`, and when it has room."""
        cdef int k
        cdef int parked = 0
        cdef tg_record *record
        with nogil:
            for k in range(TG_CLASSES - 1, -1, -1):
                while self.dispatcher.rings.rings[k].popped < self.until[k]:
                    record = self.dispatcher._head(k)  # drops what is no longer ours
                    if (record is NULL or self.dispatcher.rings.rings[k].popped >= self.until[k]
                            or not record.flags & TG_RECORD_WHOLE
                            or self.producer.evict(k, record) != PARKED):
                        break
                    self.dispatcher.rings.consume(k)
                    self.dispatcher.rings.drop(k, record)
                    parked += 1
            if parked:
                self.dispatcher._made_room()
        return parked

    @property
    def under_way(self) -> bool:
        """Something is left to go."""
        cdef int k
        for k in range(TG_CLASSES):
            if self.dispatcher.rings.rings[k].popped < self.until[k]:
                return True
        return False
