"""Admission: records that do not simply go into their ring.

The gate (gate.pyx) says of each record whether it is delivered, parked or dropped. Parked ones are the producer's until
Kafka has them; what Kafka does not take comes back and is delivered. Records of the parking topic itself are unpacked
here: they never meet the gate, so nothing is parked twice or sampled again, and they keep their class, their place of
origin and what is known of their sampling.
"""

from libc.stdint cimport uint8_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from tidegate.core.atomic cimport tg_store_i32
from tidegate.core.csrc cimport (
    TG_PARKED_HAS_RANDOMNESS,
    TG_PARKED_HAS_THRESHOLD,
    TG_PARKED_OK,
    tg_parked_decode,
    tg_parked_header,
    tg_parked_status,
    tg_parked_status_name,
    tg_sample_settle,
    tg_time_read,
    tg_tracestate_read,
    tg_tracestate_read_parent,
)
from tidegate.core.gate cimport TG_DELIVER, TG_PARK
from tidegate.core.lanes cimport TG_HALTED, TG_HELD_PARKING, TG_HELD_RING
from tidegate.core.ledger cimport TG_EXPIRED, Ledger, tg_lane_counts
from tidegate.core.mailbox cimport NOTE_ERROR, NOTE_HALTED, TG_NOTE_TEXT, Mailbox
from tidegate.core.pool cimport tg_entry
from tidegate.core.producer cimport FULL, PARKED, Producer
from tidegate.core.ring cimport TG_EXTRA_REPLAYED, TG_NULL_LEN, Rings, record_bytes, tg_extra
from tidegate.core.rules cimport RuleTable

cdef enum:
    BULK = 3
    ENVELOPE_BYTES = 320   # about what an envelope adds to a record


cdef class Admission(Headers):
    """Base of Intake; not made by itself.

    Args:
        gate: None: everything is delivered.
        producer: of the parking topic; None: nothing is parked.
        waits: classes of which whole topics can wait in Kafka.
        defers: classes that may be parked, also out of their rings.
        ttl_seconds: bulk records that are older are dropped, and counted as expired, and so are those whose header
            ce_expirytime has passed; 0: none is.
    """

    def __init__(self, Rings rings not None, Ledger ledger not None, RuleTable rules not None,
                 Mailbox mailbox not None, *, bint keep_key, bint keep_headers, int level, Gate gate=None,
                 Producer producer=None, waits=(), defers=(), double ttl_seconds=0.0):
        Headers.__init__(self, rings, ledger, rules, mailbox, keep_headers=keep_headers)
        self.keep_key, self.level = keep_key, level
        self.gate, self.gated = gate, gate is not None
        self.counting = self.gated and gate.samples
        self.producer = producer
        self.parking_topic = None if producer is None else producer.name
        for klass in waits:
            self.waits[klass] = True
        for klass in defers if producer is not None else ():
            self.evictable |= 1 << <int>klass
        self.ttl_ms = <int64_t>(ttl_seconds * 1000)

    cdef void begin(self) noexcept nogil:
        """Takes the orders for a batch; see Gate.begin."""
        cdef timespec now
        if self.gated:
            self.ordered = self.gate.begin()
        if self.ttl_ms:
            clock_gettime(CLOCK_REALTIME, &now)
            self.wall_ms = <int64_t>now.tv_sec * 1000 + now.tv_nsec // 1000000

    cdef bint expired(self, int klass, int64_t timestamp_ms, size_t headers) noexcept nogil:
        """Whether a record is too old to be of use; so many of `self.headers` are its own."""
        cdef size_t i
        if klass != BULK or not self.ttl_ms:
            return False
        if timestamp_ms >= 0 and self.wall_ms - timestamp_ms > self.ttl_ms:
            return True
        for i in range(headers):
            if self._passed(&self.headers[i]):
                return True
        return False

    cdef bint _passed(self, const tg_header *header) noexcept nogil:
        """Whether it is CloudEvents' expirytime, and lies behind us."""
        cdef int64_t ms
        return (header.name_len == 13 and memcmp(header.name, b"ce_expirytime", 13) == 0 and header.value is not NULL
                and tg_time_read(header.value, header.value_len, &ms) and ms < self.wall_ms)

    # --- the gate ---------------------------------------------------------------------------------

    cdef int decide(self, tg_lane *lane, rd_kafka_message_t *message, const tg_verdict *verdict,
                    const tg_sample_place *key, size_t headers, tg_arrival *arrival, tg_sample *sample) noexcept nogil:
        """What the gate says of a record. Changes nothing, so the record may come again; `Gate.count` afterwards."""
        cdef tg_lane_counts *counts = self.ledger.lanes[lane.number]
        cdef size_t i
        memset(sample, 0, sizeof(tg_sample))
        sample.factor = 1.0
        for i in range(headers):
            self._heed(&self.headers[i], sample)
        arrival.klass = verdict.klass
        arrival.type_ptr, arrival.type_len = verdict.type_ptr, verdict.type_len
        arrival.key = key[0]
        arrival.record_key, arrival.record_key_len = <const uint8_t *>message.key, message.key_len
        arrival.topic, arrival.topic_len = counts.topic, counts.topic_len
        arrival.partition, arrival.offset = message.partition, message.offset
        return self.gate.decide(arrival, sample)

    cdef void _heed(self, const tg_header *header, tg_sample *sample) noexcept nogil:
        """What a header says of how the record was sampled before: OpenTelemetry's thresholds, CloudEvents' rate."""
        cdef uint64_t rate = 0
        cdef size_t i
        cdef int digit
        if header.value is NULL:
            return
        if header.name_len == 10 and memcmp(header.name, b"tracestate", 10) == 0:
            tg_tracestate_read(header.value, header.value_len, sample)
            if sample.has_threshold:
                sample.factor = 1.0
        elif header.name_len == 11 and memcmp(header.name, b"traceparent", 11) == 0:
            if not sample.has_randomness:
                tg_tracestate_read_parent(header.value, header.value_len, sample)
        elif header.name_len == 14 and memcmp(header.name, b"ce_sampledrate", 14) == 0:
            if not sample.has_threshold and 0 < header.value_len <= 10:
                for i in range(header.value_len):
                    digit = header.value[i] - 48
                    if not 0 <= digit <= 9:
                        return
                    rate = 10 * rate + <uint64_t>digit
                if rate > 1:
                    sample.factor = <double>rate

    # --- parking ----------------------------------------------------------------------------------

    cdef int park(self, tg_lane *lane, tg_slot *slot, uint32_t gap, int klass, rd_kafka_message_t *message,
                  size_t headers, bint gathered, const tg_sample *sample, int64_t now_ns) noexcept nogil:
        """Parks the message in hand: TG_PARK, or TG_HOLD where the producer takes none now, or TG_DELIVER where it
        never can be parked as it is. `headers` are in self.headers where `gathered`."""
        cdef size_t bytes = message.len + message.key_len + ENVELOPE_BYTES, i
        cdef int sampling = 0, answer
        cdef char words[TG_NOTE_TEXT]
        if self.producer is None:
            return TG_DELIVER  # ordered by somebody who does not know
        if not gathered and not self._headerless(message):
            headers = self._gather(message, &bytes)
            bytes += message.len + message.key_len + ENVELOPE_BYTES
        else:
            for i in range(headers):
                bytes += 8 + self.headers[i].name_len + self.headers[i].value_len
        if not self.rings.fits_ever(bytes):
            return TG_DELIVER  # it could never come back
        if sample.has_randomness:
            sampling |= TG_PARKED_HAS_RANDOMNESS
        if sample.has_threshold:
            sampling |= TG_PARKED_HAS_THRESHOLD
        answer = self.producer.park(slot, gap, klass, message, self.headers, <uint32_t>headers, sampling,
                                    sample.randomness, sample.threshold)
        if answer == PARKED:
            return TG_PARK
        if answer == FULL:
            lane.hold_bytes = bytes
            self._hold(lane, TG_HELD_PARKING, klass, now_ns)
            return TG_HOLD
        if now_ns - self.refused_said_ns > TG_REFUSED_SAID_NS or self.refused_said_ns == 0:
            self.refused_said_ns = now_ns
            snprintf(words, sizeof(words), b"%s/%d offset %lld cannot be parked, it is delivered: %.150s",
                     self.ledger.lanes[lane.number].topic, message.partition, <long long>message.offset,
                     self.rk.err2str(self.producer.refused))
            self.mailbox.put(NOTE_ERROR, self.producer.refused, message.offset, words)
        return TG_DELIVER

    cdef bint take_parked(self, tg_lane *lane, tg_slot *slot, uint32_t gap, rd_kafka_message_t *message,
                          int64_t now_ns) noexcept nogil:
        """A record of the parking topic goes into the ring of its class. False: the lane is held."""
        cdef tg_parked parked
        cdef tg_sample sample
        cdef tg_record *record
        cdef uint32_t origin
        cdef tg_parked_status status
        cdef char words[TG_NOTE_TEXT]
        status = tg_parked_decode(<const uint8_t *>message.payload, message.len, &parked)
        if status != TG_PARKED_OK:
            # Of a newer version, or not ours at all: never thrown away, and never jumped over without a word.
            snprintf(words, sizeof(words), b"%s/%d offset %lld is no record that this version can read (%s); run the "
                     b"version that wrote it, or give the rest up with `tidegate parked drop`",
                     self.ledger.lanes[lane.number].topic, message.partition, <long long>message.offset,
                     tg_parked_status_name(status))
            self.mailbox.put(NOTE_HALTED, 0, message.offset, words)
            self._hold(lane, TG_HALTED, -1, now_ns)
            return False
        if self.expired(parked.klass, parked.timestamp_ms, 0) or self._expired_parked(&parked):
            self.ledger.drop(slot, parked.klass, TG_EXPIRED, message.offset)
            return True
        self._recall(&parked, &sample)
        origin = self.ledger.origin(parked.topic, parked.topic_len, parked.partition)
        record = self._lay(&parked, message.key, message.key_len, &sample, origin, True)
        if record is NULL:
            lane.hold_bytes = parked.payload_len + parked.headers_len + message.key_len + sizeof(tg_extra)
            if self.rings.fits_ever(lane.hold_bytes):
                self._hold(lane, TG_HELD_RING, parked.klass, now_ns)
                return False
            snprintf(words, sizeof(words), b"%s/%d offset %lld: a parked record of %llu bytes is larger than half a "
                     b"ring; raise TIDEGATE_MEMORY_BYTES", self.ledger.lanes[lane.number].topic, message.partition,
                     <long long>message.offset, <unsigned long long>message.len)
            self.mailbox.put(NOTE_HALTED, parked.klass, message.offset, words)
            self._hold(lane, TG_HALTED, parked.klass, now_ns)
            return False
        record.slot, record.gap, record.offset, record.read_ns = slot.number, gap, message.offset, now_ns
        self.ledger.take_in(slot, parked.klass, message.offset)
        self.rings.commit(parked.klass, record)
        return True

    cdef bint _expired_parked(self, const tg_parked *parked) noexcept nogil:
        cdef tg_header header
        cdef size_t at = 0
        if parked.klass != BULK or not self.ttl_ms:
            return False
        while at < parked.headers_len:
            at = tg_parked_header(parked, at, &header)
            if self._passed(&header):
                return True
        return False

    cdef int give_back(self, int64_t now_ns) noexcept nogil:
        """What Kafka did not take goes into the rings, as far as they have room; it was counted when it was read.
        Returns the records."""
        cdef tg_parked parked
        cdef tg_sample sample
        cdef tg_record *record
        cdef tg_entry *entry
        cdef int given = 0
        while True:
            entry = self.producer.oldest_back(&parked)
            if entry is NULL:
                break
            self._recall(&parked, &sample)
            record = self._lay(&parked, NULL if entry.null_key else entry.copy + entry.size, entry.key_len, &sample,
                               0, False)
            if record is NULL:
                break
            record.slot, record.gap, record.offset, record.read_ns = entry.slot, entry.gap, entry.offset, now_ns
            self.producer.drop_back(entry)
            self.rings.commit(parked.klass, record)
            given += 1
        if given:
            self.rings.publish()
        return given

    cdef void _recall(self, const tg_parked *parked, tg_sample *sample) noexcept nogil:
        """What was known of the record's sampling when it was parked; parking changes no weight."""
        cdef tg_header header
        cdef size_t at = 0
        memset(sample, 0, sizeof(tg_sample))
        sample.factor = 1.0
        while at < parked.headers_len:
            at = tg_parked_header(parked, at, &header)
            self._heed(&header, sample)
        if parked.flags & TG_PARKED_HAS_RANDOMNESS:
            tg_sample_settle(sample, parked.randomness)
            if parked.flags & TG_PARKED_HAS_THRESHOLD and parked.threshold > sample.threshold:
                sample.threshold, sample.has_threshold = parked.threshold, 1

    cdef tg_record *_lay(self, const tg_parked *parked, const void *key, size_t key_len, const tg_sample *sample,
                         uint32_t origin, bint replayed) noexcept nogil:
        """The record in its ring, but for slot, gap, offset and time of reading; NULL: the ring is full."""
        cdef tg_verdict verdict
        cdef tg_record *record
        cdef uint8_t *to
        cdef size_t block = parked.headers_len if self.keep_headers else 0
        cdef bint has_extra = replayed or sample.threshold or sample.factor != 1.0
        # Its class is known: only whether it is one JSON value is asked.
        self.rules.judge(parked.klass, 0, NULL, 0, NULL, 0, parked.payload, parked.payload_len, self.level, &verdict)
        if not self.keep_key:
            key, key_len = NULL, 0
        record = self.rings.reserve(parked.klass, parked.payload_len + key_len + block
                                    + (sizeof(tg_extra) if has_extra else 0))
        if record is NULL:
            return NULL
        record.flags |= scan_flags(&verdict)
        record.value_len, record.headers_len = <uint32_t>parked.payload_len, <uint32_t>block
        record.key_len = <uint32_t>key_len if key is not NULL else TG_NULL_LEN
        record.timestamp_ms = parked.timestamp_ms
        to = record_bytes(record)
        if parked.payload_len:
            memcpy(to, parked.payload, parked.payload_len)
            to += parked.payload_len
        if key_len:
            memcpy(to, key, key_len)
            to += key_len
        if block:
            memcpy(to, parked.headers, block)
        if has_extra:
            write_extra(record, sample, origin, parked.offset, TG_EXTRA_REPLAYED if replayed else 0)
        return record

    # --- event loop -------------------------------------------------------------------------------

    def park_overflow(self, classes) -> None:
        """Classes of which a record is parked where its ring is full; of others it holds its lane."""
        cdef int32_t bits = 0
        for klass in classes:
            bits |= 1 << <int>klass
        tg_store_i32(&self.overflow, bits)


def read_time(bytes text not None):
    """Unix milliseconds of a moment as RFC 3339 writes it; None: it is no such text. For tests."""
    cdef int64_t ms
    return ms if tg_time_read(text, len(text), &ms) else None
