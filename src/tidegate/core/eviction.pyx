"""Eviction: what waits in the rings is parked where it stands in the way of what is still to be read.

A partition may have so many unsettled offsets and no more (`Ledger.span`). In a flood a few bulk records, read before
the law acted and delivered last of all, keep its frontier where it was, and then its critical records could not be read
any more. So, when more than half of a span is taken, the records that lie in its older half are parked after all, with
what stands before them in their ring (decision 6). A ring gives up its oldest first, whatever partition they are of.

What does not stand whole in its ring is left alone, and what is behind it as well: what was parked before, what Kafka
would not take, and what belongs to a topic that can wait in Kafka.
"""


from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, realloc

from tidegate.core.atomic cimport tg_load_i64
from tidegate.core.csrc cimport (
    TG_PARKED_HAS_RANDOMNESS,
    TG_PARKED_HAS_THRESHOLD,
    TG_PARKED_OK,
    tg_parked_count,
    tg_parked_encode,
    tg_parked_size,
)
from tidegate.core.pool cimport tg_entry
from tidegate.core.rdkafka cimport TG_RK_MSG_F_COPY, TG_RK_PARTITION_UA
from tidegate.core.ring cimport (
    TG_EXTRA_HAS_RANDOMNESS,
    TG_EXTRA_HAS_THRESHOLD,
    TG_NULL_LEN,
    TG_RECORD_APPENDED,
    TG_RECORD_EXTRA,
    TG_RECORD_NULL,
    TG_RECORD_WHOLE,
    get_extra,
    record_bytes,
    tg_cursor,
    tg_extra,
)


cdef class Eviction:
    """Parks out of the rings of one process. One thread only: the event loop's.

    Args:
        dispatcher: whose rings they are.
        producer: of the parking topic.
    """

    def __init__(self, Dispatcher dispatcher not None, Producer producer not None):
        self.dispatcher, self.producer = dispatcher, producer

    def __dealloc__(self):
        free(self._scratch)

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

    cdef bint _park(self, int klass, tg_record *record) noexcept nogil:
        """Gives a record that stands whole at the head of a ring, and is to be dropped from it right after, to the
        producer. False: it takes none now, or never will take this one."""
        cdef tg_slot *slot = self.producer.ledger.slots[record.slot]
        cdef tg_parked parked
        cdef tg_entry *entry
        cdef uint8_t *grown
        cdef uint8_t *key = record_bytes(record) + record.value_len
        cdef size_t key_len = 0 if record.key_len == TG_NULL_LEN else record.key_len, size, written
        cdef int32_t partition = TG_RK_PARTITION_UA
        if self.producer.client is NULL or self.producer.stalled or self.producer.failed:
            return False
        self._describe(klass, record, slot, &parked)
        size = tg_parked_size(&parked, NULL)
        if size > self._room:
            grown = <uint8_t *>realloc(self._scratch, size)
            if grown is NULL:
                return False
            self._scratch, self._room = grown, size
        if tg_parked_encode(&parked, NULL, self._scratch, self._room, &written) != TG_PARKED_OK:
            return False
        entry = self.producer.pool.take_own(size + key_len)
        if entry is NULL:
            return False
        entry.size, entry.key_len, entry.null_key = size, key_len, record.key_len == TG_NULL_LEN
        entry.slot, entry.gap, entry.offset, entry.klass = record.slot, record.gap, record.offset, <uint8_t>klass
        if self.producer._partitions:
            partition = slot.partition % self.producer._partitions
        if self.producer.rk.produce(self.producer.topic, partition, TG_RK_MSG_F_COPY, self._scratch, size,
                                    NULL if entry.null_key else key, key_len, entry) != 0:
            self.producer.pool.undo_own(entry)
            return False
        # Reports are dealt with in this thread, so nothing of this can be seen before it is whole.
        self.producer.ledger.evict(slot, klass)
        self.evicted += 1
        return True

    cdef void _describe(self, int klass, tg_record *record, const tg_slot *slot, tg_parked *out) noexcept nogil:
        """What its envelope says of a record; borrows from the ring."""
        cdef tg_lane_counts *lane = self.producer.ledger.lanes[slot.lane]
        cdef tg_extra extra
        cdef uint8_t *value = record_bytes(record)
        out.topic, out.topic_len, out.partition = lane.topic, lane.topic_len, slot.partition
        out.offset, out.klass, out.timestamp_ms = record.offset, <uint8_t>klass, record.timestamp_ms
        out.timestamp_type = 0 if record.timestamp_ms < 0 else 2 if record.flags & TG_RECORD_APPENDED else 1
        out.flags, out.randomness, out.threshold = 0, 0, 0
        if record.flags & TG_RECORD_EXTRA:
            get_extra(record, &extra)
            out.randomness, out.threshold = extra.randomness, extra.threshold
            if extra.flags & TG_EXTRA_HAS_RANDOMNESS:
                out.flags |= TG_PARKED_HAS_RANDOMNESS
            if extra.flags & TG_EXTRA_HAS_THRESHOLD:
                out.flags |= TG_PARKED_HAS_THRESHOLD
        out.payload, out.payload_len = NULL if record.flags & TG_RECORD_NULL else value, record.value_len
        out.headers = value + record.value_len + (0 if record.key_len == TG_NULL_LEN else record.key_len)
        out.headers_len = record.headers_len
        out.header_count = tg_parked_count(out.headers, out.headers_len)

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
                            or not self._park(k, record)):
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
