"""Intake: reads lanes; each message is checked, classified, copied into its class's ring and let go.

A message pins the whole fetch response that it came in, so it is copied out and destroyed at once. What a full ring
turns away stays in the lane's carry, at most one batch, and the lane is held; librdkafka then stops fetching for it by
itself, and nothing that was fetched is thrown away.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memmove, memset

from tidegate.core.admission cimport TG_HOLD, scan_flags, write_extra
from tidegate.core.atomic cimport tg_load_i32, tg_store_i32, tg_store_i64
from tidegate.core.csrc cimport TG_SCAN_EMPTY, TG_SCAN_OK, tg_sample
from tidegate.core.gate cimport TG_DELIVER, TG_DROP, TG_PARK, tg_arrival
from tidegate.core.lanes cimport TG_CARRY, TG_HALTED, TG_HELD_RING, TG_HELD_SPAN
from tidegate.core.ledger cimport TG_EXPIRED, TG_SAMPLED, tg_lane_counts
from tidegate.core.mailbox cimport NOTE_ERROR, NOTE_HALTED, NOTE_RESET, NOTE_UNREADABLE, TG_NOTE_TEXT
from tidegate.core.rdkafka cimport (
    TG_RK_ERR_AUTO_OFFSET_RESET,
    TG_RK_ERR_BAD_COMPRESSION,
    TG_RK_ERR_BAD_MSG,
    TG_RK_ERR_INVALID_MSG,
    TG_RK_ERR_NOT_IMPLEMENTED,
    TG_RK_ERR_PARTITION_EOF,
    TG_RK_ERR_UNDERFLOW,
    TG_RK_ERR_UNSUPPORTED_FEATURE,
)
from tidegate.core.ring cimport (
    TG_CLASSES,
    TG_NULL_LEN,
    TG_RECORD_APPENDED,
    TG_RECORD_NULL,
    TG_RECORD_WHOLE,
    record_bytes,
    tg_extra,
    tg_record,
)
from tidegate.core.rules cimport tg_verdict
from tidegate.core.sample_key cimport tg_sample_place
from tidegate.core.slots cimport TG_SLOT_LIVE, TG_SLOT_ORPHAN

cdef extern from *:
    """
    #define tg_prefetch(p) __builtin_prefetch(p)
    """
    void tg_prefetch(const void *p) noexcept nogil


cdef class Intake(Admission):
    """Lanes and what happens to their messages."""

    # --- while it is held -------------------------------------------------------------------------

    cdef void look(self, tg_lane *lane, int64_t now_ns) noexcept nogil:
        """Notes how long ago the record was written that a hold keeps waiting.

        Where the control held a lane there may be none in hand: a lane that may carry critical records takes one, so
        that what its hold costs them is known. Events, which need no room, are dealt with on the way."""
        cdef rd_kafka_message_t *head
        cdef int64_t head_ms = -1
        cdef int _turn
        if lane.topic_class <= 0 and not lane.parking:
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
        cdef int64_t head_ms = -1, allowed = self.allowed(lane, now_ns)
        cdef uint32_t i, first, done, end
        cdef rd_kafka_message_t *ahead
        cdef const uint8_t *payload
        if allowed <= 0:
            return 0
        if lane.carry_at == lane.carry_len:
            got = self.rk.consume_batch_queue(lane.queue, 0, lane.carry, min(lane.carry_max, <size_t>allowed))
            lane.carry_at = 0
            lane.carry_len = <uint32_t>got if got > 0 else 0
        self.begin()
        first = lane.carry_at
        end = <uint32_t>min(<int64_t>lane.carry_len, first + allowed)
        for i in range(first, lane.carry_len):  # ends of other partitions may come before the first record
            if lane.carry[i].err == 0:
                head_ms = self.rk.message_timestamp(lane.carry[i], NULL)
                break
        i = first
        while i < end:
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
            if lane.bucket >= 0:
                self.buckets[lane.bucket].tokens -= i - first
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
        cdef tg_arrival arrival
        cdef tg_sample sample
        cdef tg_sample_place key
        cdef uint8_t *to
        cdef uint32_t gap
        cdef size_t headers = 0, block = 0, key_len = 0, extra = 0, i, name_len
        cdef uint32_t two[2]
        cdef int action = TG_DELIVER, kind = 0
        cdef bint at_gate = False, gathered = False, whole, keep_key
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
        if lane.parking:
            return self.take_parked(lane, slot, gap, message, now_ns)
        # Lanes that can wait in Kafka are read as fast as is good, and all that is read of them is delivered.
        at_gate = (self.ordered or self.counting) and lane.bucket < 0
        if self.keep_headers or lane.evictable or (self.want_headers and lane.topic_class < 0) or (
                at_gate and self.ordered and self.rules.sample_key.needs_headers) or (
                self.ttl_ms and (lane.topic_class < 0 or lane.topic_class == TG_CLASSES - 1)):
            gathered = True
            if not self._headerless(message):
                headers = self._gather(message, &block)
        if at_gate and self.ordered:
            self.rules.judge_keyed(lane.topic_class, lane.topic_rule, self.headers, headers,
                                   <const uint8_t *>message.key, message.key_len,
                                   <const uint8_t *>message.payload, message.len, self.level, &verdict, &key)
        else:
            key.ptr = NULL
            self.rules.judge(lane.topic_class, lane.topic_rule, self.headers, headers,
                             <const uint8_t *>message.key, message.key_len,
                             <const uint8_t *>message.payload, message.len, self.level, &verdict)
        if self.ttl_ms and self.expired(verdict.klass, self.rk.message_timestamp(message, NULL), headers):
            self.ledger.drop(slot, verdict.klass, TG_EXPIRED, message.offset)
            self._note_read(counts, &verdict, now_ns)
            return True
        if at_gate:
            action = self.decide(lane, message, &verdict, &key, headers, &arrival, &sample)
            if action == TG_DROP:
                self.ledger.drop(slot, verdict.klass, TG_SAMPLED, message.offset)
            elif action == TG_PARK:
                action = self.park(lane, slot, gap, verdict.klass, message, headers, gathered, &sample, now_ns)
                if action == TG_HOLD:
                    return False
            if action != TG_DELIVER:
                self.gate.count(&arrival, &sample, action)
                self._note_read(counts, &verdict, now_ns)
                return True
            if sample.threshold or sample.factor != 1.0:
                extra = sizeof(tg_extra)
        whole = lane.evictable >> verdict.klass & 1
        keep_key = self.keep_key or whole
        if keep_key:
            key_len = message.key_len if message.key is not NULL else 0
        if not (self.keep_headers or whole):
            block = 0
        record = self.rings.reserve(verdict.klass, message.len + key_len + block + extra)
        if record is NULL:
            if lane.bucket < 0 and tg_load_i32(&self.overflow) >> verdict.klass & 1:
                if not at_gate:
                    memset(&sample, 0, sizeof(tg_sample))
                action = self.park(lane, slot, gap, verdict.klass, message, headers, gathered, &sample, now_ns)
                if action == TG_PARK:
                    if at_gate:
                        self.gate.count(&arrival, &sample, action)
                    self._note_read(counts, &verdict, now_ns)
                    return True
                if action == TG_HOLD:
                    return False
            if self.rings.fits_ever(message.len + key_len + block + extra):
                lane.hold_bytes = message.len + key_len + block + extra
                self._hold(lane, TG_HELD_RING, verdict.klass, now_ns)
                return False
            snprintf(words, sizeof(words), b"%s/%d offset %lld: record of %llu bytes is larger than half a ring; "
                     b"raise TIDEGATE_MEMORY_BYTES", counts.topic, message.partition,
                     <long long>message.offset, <unsigned long long>message.len)
            self.mailbox.put(NOTE_HALTED, verdict.klass, message.offset, words)
            self._hold(lane, TG_HALTED, verdict.klass, now_ns)
            return False
        record.flags |= scan_flags(&verdict)
        record.value_len = <uint32_t>message.len
        record.headers_len = <uint32_t>block
        record.key_len = <uint32_t>key_len if keep_key and message.key is not NULL else TG_NULL_LEN
        record.slot, record.gap, record.offset = slot.number, gap, message.offset
        record.timestamp_ms = self.rk.message_timestamp(message, &kind)
        if whole:
            record.flags |= TG_RECORD_WHOLE
            if kind == 2:
                record.flags |= TG_RECORD_APPENDED
            if message.payload is NULL:
                record.flags |= TG_RECORD_NULL
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
        if extra:
            write_extra(record, &sample, 0, 0, 0)
        self.ledger.take_in(slot, verdict.klass, message.offset)
        self._note_read(counts, &verdict, now_ns)
        if at_gate:
            self.gate.count(&arrival, &sample, TG_DELIVER)
        self.rings.commit(verdict.klass, record)
        return True

    cdef void _note_read(self, tg_lane_counts *counts, const tg_verdict *verdict, int64_t now_ns) noexcept nogil:
        """What is counted of a record beside its class, whatever became of it."""
        counts.unclassified += verdict.unclassified
        counts.invalid += verdict.scan_status != TG_SCAN_OK and verdict.scan_status != TG_SCAN_EMPTY
        if self.ledger.first_read_ns == 0:
            self.ledger.first_read_ns = now_ns

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
