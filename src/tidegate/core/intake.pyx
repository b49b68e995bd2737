"""Intake: reads lanes; each message is checked, classified, copied into its class's ring and let go.

A message pins the whole fetch response that it came in, so it is copied out and destroyed at once. What a full ring
turns away stays in the lane's carry, at most one batch, and the lane is held; librdkafka then stops fetching for it by
itself, and nothing that was fetched is thrown away.
"""

from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memmove, strlen

from tidegate.core.atomic cimport tg_store_i32, tg_store_i64
from tidegate.core.csrc cimport TG_SCAN_EMPTY, TG_SCAN_HAS_BOM, TG_SCAN_HAS_NEWLINE, TG_SCAN_OK
from tidegate.core.lanes cimport TG_CARRY, TG_HALTED, TG_HELD_RING, TG_HELD_SPAN
from tidegate.core.ledger cimport TG_SLOT_LIVE, TG_SLOT_ORPHAN, Ledger, tg_lane_counts
from tidegate.core.mailbox cimport NOTE_ERROR, NOTE_HALTED, NOTE_RESET, NOTE_UNREADABLE, TG_NOTE_TEXT
from tidegate.core.rdkafka cimport (
    TG_RK_ERR_AUTO_OFFSET_RESET,
    TG_RK_ERR_BAD_COMPRESSION,
    TG_RK_ERR_BAD_MSG,
    TG_RK_ERR_INVALID_MSG,
    TG_RK_ERR_NOT_IMPLEMENTED,
    TG_RK_ERR_OK,
    TG_RK_ERR_PARTITION_EOF,
    TG_RK_ERR_UNDERFLOW,
    TG_RK_ERR_UNSUPPORTED_FEATURE,
    rd_kafka_headers_t,
)
from tidegate.core.ring cimport (
    TG_NULL_LEN,
    TG_RECORD_BOM,
    TG_RECORD_EMPTY,
    TG_RECORD_INVALID,
    TG_RECORD_NEWLINE,
    Rings,
    record_bytes,
)
from tidegate.core.rules cimport RuleTable

cdef extern from *:
    """
    #define tg_prefetch(p) __builtin_prefetch(p)
    """
    void tg_prefetch(const void *p) noexcept nogil


cdef class Intake(Lanes):
    """Lanes and what happens to their messages."""

    def __init__(self, Rings rings not None, Ledger ledger not None, RuleTable rules not None,
                 Mailbox mailbox not None, *, bint keep_key, bint keep_headers, int level):
        Lanes.__init__(self, rings, ledger, rules)
        self.mailbox = mailbox
        self.keep_key, self.keep_headers, self.level = keep_key, keep_headers, level
        self.want_headers = keep_headers or rules.needs_headers
        self.peek = True
        self.headers = <tg_header *>calloc(TG_HEADERS, sizeof(tg_header))
        if self.headers is NULL:
            raise MemoryError
        self.header_room = TG_HEADERS

    def __dealloc__(self):
        free(self.headers)

    # --- while it is held -------------------------------------------------------------------------

    cdef void look(self, tg_lane *lane, int64_t now_ns) noexcept nogil:
        """Notes how long ago the record was written that a hold keeps waiting.

        Where the control held a lane there may be none in hand: a lane that may carry critical records takes one, so
        that what its hold costs them is known. Events, which need no room, are dealt with on the way."""
        cdef rd_kafka_message_t *head
        cdef int64_t head_ms = -1
        cdef int _turn
        if lane.topic_class <= 0:
            for _turn in range(16):
                if lane.carry_at == lane.carry_len:
                    lane.carry_at = lane.carry_len = 0
                    if lane.paused or self.rk.consume_batch_queue(lane.queue, 0, lane.carry, 1) < 1:
                        break
                    lane.carry_len = 1
                head = lane.carry[lane.carry_at]
                if head.err == 0:
                    head_ms = self.rk.message_timestamp(head, NULL)
                    break
                self._trouble(lane, head, now_ns)
                self.rk.message_destroy(head)
                lane.carry_at += 1
        tg_store_i64(&lane.head_ms, head_ms)

    cdef void shed(self, tg_lane *lane) noexcept nogil:
        """Lets librdkafka drop what a pause has outdated: it does so only when the queue is read.

        Pausing itself purges the head of the queue alone, as far as one partition reaches, and the rest would stay in
        memory for as long as the lane is not read. What is not outdated comes into the carry as in any read."""
        cdef ssize_t got
        if lane.carry_at:
            lane.carry_len -= lane.carry_at
            memmove(lane.carry, lane.carry + lane.carry_at, lane.carry_len * sizeof(rd_kafka_message_t *))
            lane.carry_at = 0
        if lane.carry_len > TG_CARRY:
            return
        got = self.rk.consume_batch_queue(lane.queue, 0, lane.carry + lane.carry_len, TG_CARRY + 1 - lane.carry_len)
        if got > 0:
            lane.carry_len += <uint32_t>got

    # --- messages ---------------------------------------------------------------------------------

    cdef int read(self, tg_lane *lane, int64_t now_ns) noexcept nogil:
        """Takes one batch from the lane's queue, or goes on with the carry. Returns the messages dealt with."""
        cdef ssize_t got
        cdef size_t bytes = 0
        cdef int64_t head_ms = -1
        cdef uint32_t i, first, done
        cdef rd_kafka_message_t *ahead
        cdef const uint8_t *payload
        if lane.carry_at == lane.carry_len:
            got = self.rk.consume_batch_queue(lane.queue, 0, lane.carry, lane.carry_max)
            lane.carry_at = 0
            lane.carry_len = <uint32_t>got if got > 0 else 0
        first = lane.carry_at
        for i in range(first, lane.carry_len):  # ends of other partitions may come before the first record
            if lane.carry[i].err == 0:
                head_ms = self.rk.message_timestamp(lane.carry[i], NULL)
                break
        i = first
        while i < lane.carry_len:
            # Messages were written by another core: ask for the next ones while this one is worked on.
            if i + 4 < lane.carry_len:
                tg_prefetch(lane.carry[i + 4])
            if i + 2 < lane.carry_len:
                ahead = lane.carry[i + 2]
                payload = <const uint8_t *>ahead.payload
                tg_prefetch(payload)
                tg_prefetch(payload + 64)
                tg_prefetch(payload + 128)
                tg_prefetch(payload + 192)
                tg_prefetch(payload + 256)
            if not self._take(lane, lane.carry[i], now_ns):
                break
            bytes += lane.carry[i].len + lane.carry[i].key_len
            i += 1
        # All at once, not one by one: librdkafka's thread allocates what is freed here, and two threads that take
        # turns at one arena's lock spend a fifth of their time in the kernel.
        for done in range(first, i):
            self.rk.message_destroy(lane.carry[done])
        lane.carry_at = i
        if i != first:
            self.rings.publish()
            lane.stirred = True
            if head_ms >= 0 and (lane.reading_ms < 0 or head_ms < lane.reading_ms):
                lane.reading_ms = head_ms
            lane.mean_bytes = (7 * lane.mean_bytes + <int64_t>(bytes // (i - first))) // 8 if lane.mean_bytes else (
                <int64_t>(bytes // (i - first)))
            lane.carry_max = <uint32_t>min(<size_t>TG_CARRY, 1 + TG_CARRY_BYTES // (1 + bytes // (i - first)))
        return <int>(i - first)

    cdef bint _take(self, tg_lane *lane, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil:
        """Deals with one message. False: the lane is held, and the message stays in the carry."""
        cdef tg_slot *slot = NULL
        cdef tg_verdict verdict
        cdef tg_record *record
        cdef tg_lane_counts *counts = self.ledger.lanes[lane.number]
        cdef uint8_t *to
        cdef uint32_t gap, flags = 0
        cdef size_t headers = 0, block = 0, key_len = 0, i, name_len
        cdef uint32_t two[2]
        cdef char words[200]
        if message.err:
            self._trouble(lane, message, now_ns)
            return True
        if message.partition < lane.slot_room:
            slot = lane.slots[message.partition]
        if slot is NULL or slot.state != TG_SLOT_LIVE:
            self.stale += 1
            return True
        if message.offset < slot.next or slot.reset_from >= 0 or slot.unreadable:
            if slot.unreadable:
                self.stale += 1  # it lies behind what could not be read, and comes again after that
                return True
            if not self._rewound(lane, &slot, message.offset):
                return True
        if not self.ledger.skip_to(slot, message.offset, &gap):
            self._hold(lane, TG_HELD_SPAN, 0, now_ns)
            return False
        if (self.keep_headers or (self.want_headers and lane.topic_class < 0)) and not self._headerless(message):
            headers = self._gather(message, &block)
        self.rules.judge(lane.topic_class, lane.topic_rule, self.headers, headers,
                         <const uint8_t *>message.key, message.key_len,
                         <const uint8_t *>message.payload, message.len, self.level, &verdict)
        if self.keep_key:
            key_len = message.key_len if message.key is not NULL else 0
        if not self.keep_headers:
            block = 0
        record = self.rings.reserve(verdict.klass, message.len + key_len + block)
        if record is NULL:
            if self.rings.fits_ever(message.len + key_len + block):
                lane.hold_bytes = message.len + key_len + block
                self._hold(lane, TG_HELD_RING, verdict.klass, now_ns)
                return False
            snprintf(words, sizeof(words), b"%s/%d offset %lld: record of %llu bytes is larger than half a ring; "
                     b"raise TIDEGATE_MEMORY_BYTES", counts.topic, message.partition,
                     <long long>message.offset, <unsigned long long>message.len)
            self.mailbox.put(NOTE_HALTED, verdict.klass, message.offset, words)
            self._hold(lane, TG_HALTED, verdict.klass, now_ns)
            return False
        if verdict.scan_status == TG_SCAN_OK:
            if verdict.scan_flags & TG_SCAN_HAS_NEWLINE:
                flags |= TG_RECORD_NEWLINE
            if verdict.scan_flags & TG_SCAN_HAS_BOM:
                flags |= TG_RECORD_BOM
        elif verdict.scan_status == TG_SCAN_EMPTY:
            flags |= TG_RECORD_EMPTY
        else:
            flags |= TG_RECORD_INVALID
            counts.invalid += 1
        record.flags |= flags
        record.value_len = <uint32_t>message.len
        record.headers_len = <uint32_t>block
        record.key_len = <uint32_t>key_len if self.keep_key and message.key is not NULL else TG_NULL_LEN
        record.slot, record.gap, record.offset = slot.number, gap, message.offset
        record.timestamp_ms = self.rk.message_timestamp(message, NULL)
        record.read_ns = now_ns
        to = record_bytes(record)
        if message.len:  # a tombstone's payload is NULL, which memcpy may not get
            memcpy(to, message.payload, message.len)
        to += message.len
        if key_len:
            memcpy(to, message.key, key_len)
            to += key_len
        if block:
            for i in range(headers):
                name_len = self.headers[i].name_len
                two[0] = <uint32_t>name_len
                two[1] = <uint32_t>self.headers[i].value_len if self.headers[i].value is not NULL else TG_NULL_LEN
                memcpy(to, two, 8)
                memcpy(to + 8, self.headers[i].name, name_len)
                to += 8 + name_len
                if two[1] != TG_NULL_LEN:
                    memcpy(to, self.headers[i].value, two[1])
                    to += two[1]
        # Counted before it can be seen: conservation never shows more ended than polled.
        counts.polled[verdict.klass] += 1
        counts.unclassified += verdict.unclassified
        if self.ledger.first_read_ns == 0:
            self.ledger.first_read_ns = now_ns
        slot.read += 1
        tg_store_i64(&slot.next, message.offset + 1)
        self.rings.commit(verdict.klass, record)
        return True

    cdef bint _rewound(self, tg_lane *lane, tg_slot **slot, int64_t offset) noexcept nogil:
        """The first record after an offset reset, or an offset that was read before. False: drop the message."""
        cdef tg_slot *old = slot[0]
        cdef tg_slot *fresh
        cdef tg_lane_counts *counts = self.ledger.lanes[lane.number]
        cdef char words[200]
        if old.reset_from < 0:
            self.refetched += 1  # read before, already accounted for
            return False
        if offset >= old.next:
            # Retention took what lies between; the records read before it stay valid.
            counts.lost += offset - old.next if old.next >= 0 else 0
            snprintf(words, sizeof(words), b"%s/%d: offsets %lld to %lld were deleted before they were read",
                     self.ledger.lanes[lane.number].topic, old.partition, <long long>old.next,
                     <long long>(offset - 1))
            self.mailbox.put(NOTE_RESET, old.partition, offset - old.next if old.next >= 0 else -1, words)
            old.reset_from = -1
            old.resetting = 0
            return True
        # The log begins before our position: another topic under the same name. Old acknowledgements are void.
        fresh = self.ledger.open(lane.number, old.partition, -1)
        if fresh is NULL:
            return False
        fresh.target = old.target
        fresh.anew, fresh.log = 1, lane.log_number
        snprintf(words, sizeof(words), b"%s/%d: the log was replaced, position %lld goes back to %lld",
                 self.ledger.lanes[lane.number].topic, old.partition, <long long>old.next, <long long>offset)
        self.mailbox.put(NOTE_RESET, old.partition, 0, words)
        lane.slots[old.partition] = fresh
        tg_store_i32(&old.state, TG_SLOT_ORPHAN)
        slot[0] = fresh
        return True

    cdef bint _headerless(self, rd_kafka_message_t *message) noexcept nogil:
        """True: the record has no headers. Saves the question to librdkafka, which allocates and parses for each.

        In a record batch of version 2, the only one with a leader epoch, the value is followed by the number of
        headers as a varint (Kafka's protocol guide, "Record"), and librdkafka hands out the value where it stands
        in the fetched batch. That is its habit and no promise of its: one answer in TG_PROBE is checked, and a wrong
        one ends the use of this."""
        cdef rd_kafka_headers_t *all = NULL
        if not self.peek or message.len == 0 or self.rk.message_leader_epoch(message) < 0:
            return False  # an empty value is not handed out in place
        if (<const uint8_t *>message.payload)[message.len] != 0:
            return False
        self.headerless += 1
        if self.headerless % TG_PROBE == 1 and self.rk.message_headers(message, &all) == TG_RK_ERR_OK:
            self.peek = False
            self.mailbox.put(NOTE_ERROR, 0, message.partition, b"this librdkafka does not hand out values in place: "
                             b"headers are asked for from now on; up to 4095 records may have been read without theirs")
            return False
        return True

    cdef size_t _gather(self, rd_kafka_message_t *message, size_t *block_bytes) noexcept nogil:
        """Fills self.headers; returns their number and the bytes they take in a record."""
        cdef rd_kafka_headers_t *all = NULL
        cdef tg_header *grown
        cdef size_t n = 0, bytes = 0
        cdef const void *value
        if self.rk.message_headers(message, &all) != TG_RK_ERR_OK:
            return 0
        while True:
            if n == self.header_room:
                grown = <tg_header *>realloc(self.headers, 2 * n * sizeof(tg_header))
                if grown is NULL:
                    break
                self.headers, self.header_room = grown, 2 * n
            if self.rk.header_get_all(all, n, &self.headers[n].name, &value,
                                      &self.headers[n].value_len) != TG_RK_ERR_OK:
                break
            self.headers[n].name_len = strlen(self.headers[n].name)
            self.headers[n].value = <const uint8_t *>value
            bytes += 8 + self.headers[n].name_len + (self.headers[n].value_len if value is not NULL else 0)
            n += 1
        block_bytes[0] = bytes
        return n

    cdef void _trouble(self, tg_lane *lane, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil:
        """Events that librdkafka puts among the messages."""
        cdef tg_slot *slot = NULL
        if 0 <= message.partition < lane.slot_room:
            slot = lane.slots[message.partition]
        if slot is not NULL and slot.unreadable:
            return  # librdkafka is somewhere behind, or takes damaged bytes for offsets
        if message.err == TG_RK_ERR_PARTITION_EOF:
            if slot is not NULL and slot.state == TG_SLOT_LIVE:
                if slot.reset_from >= 0 and not self._rewound(lane, &slot, message.offset):
                    return
                slot.end = message.offset
                if slot.target == -2:
                    slot.target = message.offset
                self.ledger.sweep_end(slot)
        elif message.err == TG_RK_ERR_AUTO_OFFSET_RESET:
            if slot is not NULL and slot.state == TG_SLOT_LIVE:
                lane.resets += 1
                if slot.reset_from < 0 and 0 <= message.offset < slot.next:
                    # Old errors, unlike old messages, stay in a lane's queue when their partition goes. One from before
                    # this assignment lies behind us, and beginning the log once more would be wrong; but so does one
                    # about a gap that we have passed. Fetching at our position tells which: that error comes again.
                    slot.resetting = 2
                    return
                # 0 where no position is known yet. A second reset before the first record asks for another repair.
                slot.reset_from = slot.next if slot.next >= 0 else 0
                slot.resetting = 0
        elif slot is not NULL and slot.state == TG_SLOT_LIVE and message.err in (
                TG_RK_ERR_INVALID_MSG, TG_RK_ERR_BAD_MSG, TG_RK_ERR_BAD_COMPRESSION, TG_RK_ERR_NOT_IMPLEMENTED,
                TG_RK_ERR_UNSUPPORTED_FEATURE, TG_RK_ERR_UNDERFLOW):
            self._stuck(lane, slot, message, now_ns)
        else:
            self.mailbox.put(NOTE_ERROR, message.err, message.partition, self.rk.message_errstr(message))

    cdef void _stuck(self, tg_lane *lane, tg_slot *slot, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil:
        """Data at the position that librdkafka cannot read: a checksum, a compression, a format.

        It goes on behind it, or at an offset made of the damaged bytes, and to follow would be to lose what lies
        between without a word. So nothing more is taken of this partition; `Handle._repair` has it fetched again at
        its position, for the damage may have been the network's, or another replica may be whole."""
        cdef int64_t wait_ns
        cdef char words[TG_NOTE_TEXT]
        tg_store_i32(&slot.tries, slot.tries + 1 if slot.stuck_at == slot.next else 1)
        tg_store_i64(&slot.stuck_at, slot.next)
        wait_ns = <int64_t>TG_MEND_NS << min(slot.tries - 1, <int>TG_MEND_DOUBLINGS)
        slot.unreadable, slot.mend_after_ns = 1, now_ns + wait_ns
        if lane.mend_after_ns == 0 or slot.mend_after_ns < lane.mend_after_ns:
            lane.mend_after_ns = slot.mend_after_ns
        snprintf(words, sizeof(words), b"%s/%d at offset %lld: %.120s; asked for again in %lld s",
                 self.ledger.lanes[lane.number].topic, slot.partition, <long long>slot.next,
                 self.rk.message_errstr(message), <long long>(wait_ns // 1000000000))
        self.mailbox.put(NOTE_UNREADABLE, message.err, slot.next, words)
