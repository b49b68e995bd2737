"""Producer: records of the reader's thread into the parking topic, without the GIL, without waiting.

The value is an envelope (csrc/tg_parked.h), the key the record's own. librdkafka copies both: it makes one block of
memory for a message and its bytes, which is cheaper than a block of ours that it frees (`make bench-e2e`, park). What a
message was rides along as its opaque, an entry of the pool; delivery reports come to the main queue and wake the event
loop through a descriptor.

librdkafka's client can fail for good, as an idempotent one does that is no longer sure of its sequence. It then takes
nothing more, and reports what it holds; once that has been settled or given back, another takes its place (`renew`).
"""

import os

from libc.stdlib cimport free, malloc, realloc
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from tidegate.core.atomic cimport tg_fence, tg_load_i32, tg_store_i32, tg_swap_i32
from tidegate.core.csrc cimport (
    TG_PARKED_OK,
    tg_parked_decode,
    tg_parked_encode,
    tg_parked_size,
    tg_wakeup_clear,
    tg_wakeup_close,
    tg_wakeup_open,
    tg_wakeup_wake,
)
from tidegate.core.ledger cimport Ledger
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.pool cimport Pool
from tidegate.core.rdkafka cimport (
    TG_RK_ERR_FATAL,
    TG_RK_ERR_MSG_SIZE_TOO_LARGE,
    TG_RK_ERR_PURGE_QUEUE,
    TG_RK_ERR_QUEUE_FULL,
    TG_RK_ERR_UNKNOWN_PARTITION,
    TG_RK_EVENT_DR,
    TG_RK_EVENT_ERROR,
    TG_RK_EVENT_LOG,
    TG_RK_MSG_F_COPY,
    TG_RK_PARTITION_UA,
    TG_RK_PRODUCER,
    TG_RK_PURGE_F_INFLIGHT,
    TG_RK_PURGE_F_QUEUE,
    new_client,
    rdkafka,
)
from tidegate.core.reports cimport tg_trouble

from tidegate.core.parking import ParkingFailure, explain
from tidegate.errors import KafkaClientError

cdef enum:
    EVENTS = 64             # of librdkafka at a time: each has up to ten thousand reports
    FLUSH_MS = 20
    PURGE_NS = 2000000000
    SCRATCH_BYTES = 1 << 16

# What is measured as right for many small records; what the caller gives stands over it.
PROPERTIES = {
    "client.id": "tidegate",
    "enable.idempotence": "true",  # no record twice by librdkafka's own retries
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": "10",
    # The largest record that Kafka's default lets into a topic, give or take what a batch adds.
    "message.max.bytes": "1048576",
    # Beyond it the record is not parked but delivered: its partition's commits wait for it meanwhile.
    "message.timeout.ms": "60000",
    "topic.metadata.refresh.interval.ms": "10000",  # a topic that was missing is seen again so soon
    "log.queue": "true",
    "statistics.interval.ms": "0",
}


cdef int64_t clock_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef class Producer(Reports):
    """The writer of one parking topic.

    Args:
        properties: librdkafka configuration, over PROPERTIES.
        topic: where the records go.
        ledger: what is acknowledged is settled there.
        records, bytes: at most so many are with the producer at once, keys and envelopes counted; then it is FULL. An
            eighth of the records, and a quarter of the bytes on top, are for what is parked out of the rings.
        attempts: how often a record is produced before it goes back to the reader.
        retry_seconds: before the second attempt, twice as long before each further one, at most 30.
        partitions: of the topic, as far as is known: a record goes to the one with its own partition's number, modulo
            them. So what was read together stays together, and nobody has to hash the key again, by which its own
            partition was chosen. 0: librdkafka chooses by the key.

    Raises:
        ConfigError: librdkafka refuses a property.
        KafkaClientError: the client cannot be created.
    """

    def __init__(self, dict properties not None, str topic not None, Ledger ledger not None, *,
                 uint32_t records=65536, size_t bytes=16 << 20, int attempts=3, double retry_seconds=1.0,
                 int32_t partitions=0):
        self.rk = rdkafka()
        self._wakeup.wait_fd = self._wakeup.wake_fd = self._reader_fd = -1
        self.ledger, self.mailbox, self.name = ledger, Mailbox(), topic
        self.pool = Pool(records, bytes)
        self.max_attempts, self.retry_ns = min(max(attempts, 1), 16), <int64_t>(retry_seconds * 1e9)
        self.waiting = <uint32_t *>malloc(self.pool.size * sizeof(uint32_t))
        self._scratch = <uint8_t *>malloc(SCRATCH_BYTES)
        if self.waiting is NULL or self._scratch is NULL:
            raise MemoryError
        self._scratch_room = SCRATCH_BYTES
        self._partitions = max(partitions, 0)
        made = PROPERTIES | properties
        self._servers = str(made.get("bootstrap.servers", "")).encode()
        # The pool's limits are reached first: they count what waits to be produced again, too.
        largest_kbytes = int(made["message.max.bytes"]) // 1024 if str(made["message.max.bytes"]).isdigit() else 0
        made = {
            "queue.buffering.max.messages": str(self.pool.size),
            "queue.buffering.max.kbytes": str((self.pool.max_bytes + self.pool.own_max_bytes) // 1024
                                              + 2 * largest_kbytes + 1),
        } | made
        if (problem := tg_wakeup_open(&self._wakeup)) != 0:
            raise OSError(problem, os.strerror(problem))
        self._properties = made
        cdef tg_connection one = self._connect()
        self.client, self.queue, self.topic = one.client, one.queue, one.topic

    def __dealloc__(self):
        cdef tg_connection one = tg_connection(self.client, self.queue, self.topic)
        with nogil:
            self._destroy(&one)
        tg_wakeup_close(&self._wakeup)
        free(self._scratch)

    cdef tg_connection _connect(self) except *:
        """Another client for the topic. The caller owns it."""
        cdef tg_connection one
        one.client = new_client(TG_RK_PRODUCER, self._properties,
                                TG_RK_EVENT_DR | TG_RK_EVENT_ERROR | TG_RK_EVENT_LOG)
        one.queue = self.rk.queue_get_main(one.client)
        self.rk.set_log_queue(one.client, one.queue)
        self.rk.queue_io_event_enable(one.queue, self._wakeup.wake_fd, b"\1\0\0\0\0\0\0\0", 8)
        one.topic = self.rk.topic_new(one.client, self.name.encode(), NULL)
        if one.topic is NULL:
            words = self.rk.err2str(self.rk.last_error()).decode()
            self._destroy(&one)
            raise KafkaClientError(words)
        return one

    cdef void _destroy(self, tg_connection *one) noexcept nogil:
        if one.client is NULL:
            return
        if one.topic is not NULL:
            self.rk.topic_destroy(one.topic)
        self.rk.queue_destroy(one.queue)
        self.rk.destroy(one.client)

    # --- reader -----------------------------------------------------------------------------------

    cdef int park(self, tg_slot *slot, uint32_t gap, int klass, const rd_kafka_message_t *message,
                  const tg_header *headers, uint32_t header_count, int sampling, uint64_t randomness,
                  uint64_t threshold) noexcept nogil:
        """Parks the message in hand, whole: PARKED, FULL or FAILED. It may be destroyed whatever is answered.

        `slot` and `gap` as `Ledger.skip_to` left them; `headers` are all of the message's, borrowed; `sampling` is
        TG_PARKED_HAS_* for which of the next two count. PARKED: read, polled and slot.next are counted here."""
        cdef tg_parked record
        cdef int kind = 0
        record.timestamp_ms = self.rk.message_timestamp(message, &kind)
        record.timestamp_type = <uint8_t>kind
        record.offset, record.klass = message.offset, <uint8_t>klass
        record.flags, record.randomness, record.threshold = <uint8_t>sampling, randomness, threshold
        record.header_count = header_count
        record.payload, record.payload_len = <const uint8_t *>message.payload, message.len
        return self.put(slot, gap, &record, headers, message.key, message.key_len)

    cdef int put(self, tg_slot *slot, uint32_t gap, tg_parked *record, const tg_header *headers, const void *key,
                 size_t key_len) noexcept nogil:
        """`park` with the envelope's content made ready, but for topic and partition."""
        cdef int answer = FAILED
        tg_store_i32(&self._inside, 1)
        tg_fence()  # `retire` sees that the reader is here, or the reader that the client has failed
        if tg_load_i32(&self.failed):
            self.refused = TG_RK_ERR_FATAL
        else:
            answer = self._put(slot, gap, record, headers, key, key_len)
        tg_store_i32(&self._inside, 0)
        return answer

    cdef int _put(self, tg_slot *slot, uint32_t gap, tg_parked *record, const tg_header *headers, const void *key,
                  size_t key_len) noexcept nogil:
        """`put` where the client is well."""
        cdef tg_entry *entry
        cdef uint8_t *grown
        cdef size_t size, written
        cdef int64_t next = slot.next, covered = slot.covered
        cdef int32_t err, partition = TG_RK_PARTITION_UA
        if tg_load_i32(&self.stalled):
            return FULL
        record.topic = self.ledger.lanes[slot.lane].topic
        record.topic_len = self.ledger.lanes[slot.lane].topic_len
        record.partition = slot.partition
        key_len = key_len if key is not NULL else 0
        size = tg_parked_size(record, headers)
        entry = self.pool.take_spsc(size + key_len)
        if entry is NULL:
            return FULL
        entry.size, entry.key_len, entry.null_key = size, key_len, key is NULL
        entry.slot, entry.gap, entry.offset, entry.klass = slot.number, gap, record.offset, record.klass
        if size > self._scratch_room:
            grown = <uint8_t *>realloc(self._scratch, size)
            if grown is NULL:
                self.pool.undo_spsc(entry)
                return FULL
            self._scratch, self._scratch_room = grown, size
        if tg_parked_encode(record, headers, self._scratch, self._scratch_room, &written) != TG_PARKED_OK:
            self.pool.undo_spsc(entry)
            self.refused = TG_RK_ERR_MSG_SIZE_TOO_LARGE  # nothing else can be wrong with what Kafka handed out
            return FAILED
        self.ledger.park(slot, record.klass, record.offset)
        if self._partitions:
            partition = slot.partition % self._partitions
        if self.rk.produce(self.topic, partition, TG_RK_MSG_F_COPY, self._scratch, size, key, key_len, entry) == 0:
            return PARKED
        err = self.rk.last_error()
        if err == TG_RK_ERR_UNKNOWN_PARTITION and self._partitions:
            # The topic was made anew with fewer. Retries let librdkafka choose as well.
            self._partitions = 0
            if self.rk.produce(self.topic, TG_RK_PARTITION_UA, TG_RK_MSG_F_COPY, self._scratch, size, key, key_len,
                               entry) == 0:
                return PARKED
            err = self.rk.last_error()
        self.ledger.park_refused(slot, record.klass, next, covered)
        self.pool.undo_spsc(entry)
        if err == TG_RK_ERR_QUEUE_FULL:
            return FULL
        self.refused = err
        return FAILED

    cdef bint has_room(self, size_t bytes) noexcept nogil:
        """Whether a lane that was held with FULL for a record of about so many bytes may go on; also where nothing is
        parked any more: then its record is delivered."""
        if tg_load_i32(&self._resting):
            return True
        return not tg_load_i32(&self.stalled) and self.pool.has_room(bytes)

    cdef tg_entry *oldest_back(self, tg_parked *record) noexcept nogil:
        """The oldest record that Kafka did not take, decoded into `record`; NULL: none. Both are borrowed until
        `drop_back`. The reader puts it into the ring of its class, with the entry's slot, offset and gap, and counts
        nothing anew; or leaves it, when the ring is full, and asks again. The dispatcher discards it as any other if
        its partition is taken away."""
        cdef tg_entry *entry = self.pool.oldest_back_spsc()
        if entry is not NULL:
            tg_parked_decode(entry.copy, entry.size, record)
        return entry

    cdef void drop_back(self, tg_entry *entry) noexcept nogil:
        """The record of `oldest_back` is in a ring, to be committed right after."""
        self.ledger.park_failed(self.ledger.slots[entry.slot], entry.klass)
        self.pool.drop_back_spsc(entry)

    # --- event loop -------------------------------------------------------------------------------

    def fileno(self) -> int:
        """A descriptor that is readable when `drain` has something to do. It stays this object's."""
        return self._wakeup.wait_fd

    def drain(self) -> list:
        """Settles what Kafka acknowledged and tries again what it did not. When `fileno` is readable, and with every
        tick, for retries are due by time. Returns what failed since the last call, one `ParkingFailure` a reason."""
        cdef int64_t now_ns = clock_ns()
        cdef bint again, was_stalled = self.stalled
        if self.client is NULL:
            return []
        with nogil:
            tg_wakeup_clear(&self._wakeup)
        if self._renewing:
            return []
        with nogil:
            again = not self.serve(now_ns, EVENTS)
            if self.pool.publish() or (was_stalled and not self.stalled):
                self._wake()
            if again:
                tg_wakeup_wake(self._wakeup.wake_fd)
        return self._failures() if self.trouble_count else []

    cdef void _watch(self, object reader, int32_t *wanted, int fd) noexcept:
        """Wakes the reader through `fd` after room was made, or something given back, while `wanted` is set."""
        self._reader = reader
        self._room_wanted = wanted
        self._reader_fd = fd

    cdef void _wake(self) noexcept nogil:
        if self._room_wanted is NULL:
            return
        tg_fence()  # the room made is visible before the flag is read
        if tg_load_i32(self._room_wanted) and tg_swap_i32(self._room_wanted, 0):
            tg_wakeup_wake(self._reader_fd)

    cdef list _failures(self):
        cdef tg_trouble *one
        cdef int i
        found = []
        for i in range(self.trouble_count):
            one = &self.troubles[i]
            code, hint = explain(one.err, self.name)
            found.append(ParkingFailure(
                code, self.rk.err2str(one.err).decode(), hint, one.records, one.again, one.returned, one.discarded,
                self.ledger.topic_of(one.slot), self.ledger.slots[one.slot].partition, one.offset))
        self.trouble_count = 0
        return found

    def stats(self) -> dict:
        """Counts since the start: records acknowledged, and the runs in which they were settled; repeated, uncertain,
        returned, discarded; clients put into the place of one that had failed; and now: waiting to be produced again,
        bytes with the producer, messages in librdkafka."""
        return {
            "acknowledged": self.acknowledged, "runs": self.runs, "repeated": self.repeated,
            "uncertain": self.uncertain, "returned": self.returned, "discarded": self.discarded,
            "renewed": self.renewed, "waiting": self.waiting_len, "bytes": self.pool._in_bytes - self.pool._out_bytes,
            "queued": self.rk.outq_len(self.client) if self.client is not NULL else 0,
        }

    def rest(self, bint resting) -> None:
        """Whether nothing is ordered to be parked for now: then lanes do not wait for room here."""
        tg_store_i32(&self._resting, resting)

    def find_brokers(self) -> None:
        """Makes bootstrap.servers known to librdkafka once more, which can forget every broker (docs/adr/0014)."""
        if self.client is not NULL:
            self.rk.brokers_add(self.client, self._servers)

    @property
    def ended(self) -> int:
        """Records whose way through here has ended since the start, well or not. As long as it grows, the topic is not
        stuck."""
        return self.acknowledged + self.returned + self.discarded

    @property
    def fill(self) -> float:
        """How full it is, in records or in bytes, 0 to 1."""
        return self.pool.fill()

    @property
    def usable(self) -> bool:
        """False: librdkafka's client has failed for good (idempotence lost); see `renew`."""
        return not self.failed

    @property
    def failure(self) -> tuple:
        """``(code, reason, hint)`` of the last client that failed for good, as in `ParkingFailure`."""
        code, hint = explain(self.failed_err, self.name)
        return code, self.rk.err2str(self.failed_err).decode(), hint

    def retire(self) -> bool:
        """Whether the client has failed for good and holds nothing any more. If so, `drain` does nothing until `renew`,
        which has to follow."""
        if self.client is NULL or not self.failed or self._renewing:
            return False
        tg_fence()  # `failed` was stored before the look at the reader: if it is out now, it gives the client nothing
        self._renewing = not tg_load_i32(&self._inside) and self.rk.outq_len(self.client) == 0
        return self._renewing

    def renew(self) -> None:
        """Puts another client into the place of one that was retired; it produces what waits to be produced again. In
        any thread, while nobody calls `close`. It blocks for as long as librdkafka needs to end the old one, without
        the GIL.

        Raises:
            KafkaClientError: there can be no other client now. The old one stays; another turn of both may succeed.
        """
        cdef tg_connection old = tg_connection(self.client, self.queue, self.topic)
        cdef tg_connection fresh
        if not self._renewing:
            return
        try:
            fresh = self._connect()
            # The reader looks at none of them while `failed` is set, and at these when it is not.
            self.client, self.queue, self.topic = fresh.client, fresh.queue, fresh.topic
            self.renewed += 1
            tg_store_i32(&self.failed, 0)
        finally:
            self._renewing = False
        with nogil:
            self._destroy(&old)

    def close(self, double timeout) -> list:
        """Waits up to `timeout` seconds for what is with Kafka, without linger; then gives up the rest, which is
        discarded: not acknowledged, so Kafka brings it again. Only when the reader parks no more. The GIL is let go.
        A second call does nothing. Returns failures as `drain` does, what was given up among them."""
        cdef int64_t until_ns = clock_ns() + <int64_t>(max(timeout, 0.0) * 1e9)
        cdef tg_entry *entry
        cdef tg_connection one = tg_connection(self.client, self.queue, self.topic)
        cdef uint32_t i
        if self.client is NULL:
            return []
        with nogil:
            while self.serve(clock_ns(), EVENTS) == 0 or (
                    (self.rk.outq_len(self.client) or self.waiting_len) and clock_ns() < until_ns
                    and not self.failed):
                self.rk.flush(self.client, FLUSH_MS)
            self.ending = True
            self.rk.purge(self.client, TG_RK_PURGE_F_QUEUE | TG_RK_PURGE_F_INFLIGHT)
            until_ns = clock_ns() + PURGE_NS
            while self.serve(clock_ns(), EVENTS) == 0 or (
                    self.rk.outq_len(self.client) and clock_ns() < until_ns):
                self.rk.flush(self.client, FLUSH_MS)
        self.client, self.queue, self.topic = NULL, NULL, NULL  # first: others may ask for `stats` meanwhile
        with nogil:
            self._destroy(&one)
        for i in range(self.pool.size):  # what waits, what was given back, what no report came for
            entry = &self.pool.entries[i]
            if entry.out:
                self.discard(entry, entry.err if entry.err else TG_RK_ERR_PURGE_QUEUE)
        self.waiting_len = 0
        tg_store_i32(&self.stalled, 1)  # park answers FULL from now on
        return self._failures()
