"""Dispatcher: records out of the rings into batches, each of one class, in the order of `Schedule`."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from tidegate.core.atomic cimport tg_fence, tg_load_i32, tg_load_u64, tg_swap_i32
from tidegate.core.csrc cimport tg_wakeup_wake
from tidegate.core.cut cimport cut_batch, deliverable, identify, tg_cut
from tidegate.core.encode cimport (
    TG_FORMAT_ENVELOPE,
    TG_FORMAT_JSON,
    TG_FORMAT_NDJSON,
    TG_FORMAT_OPAQUE,
    envelope_write,
    plain_write,
    tg_identity,
)
from tidegate.core.ledger cimport TG_DELIVERED, TG_DISCARDED, TG_DISPOSITIONS
from tidegate.core.ring cimport TG_RECORD_EXTRA, get_extra, record_bytes, tg_cursor, tg_extra
from tidegate.core.schedule cimport NANOS, Schedule
from tidegate.core.slots cimport tg_slot

from tidegate.core.schedule import AGE_BUDGET_SECONDS

cdef extern from "Python.h":
    # As pointers: a bytes object may be resized only while nobody else holds a reference.
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *text, Py_ssize_t size) except NULL
    char *PyBytes_AS_STRING(PyObject *text) nogil
    int _PyBytes_Resize(PyObject **text, Py_ssize_t size) except -1
    void Py_DECREF(PyObject *text)

cdef enum:
    MAX_AGE_MS = 0x7FFFFFFF

FORMATS = {"ndjson": TG_FORMAT_NDJSON, "json": TG_FORMAT_JSON, "envelope": TG_FORMAT_ENVELOPE}


cdef int64_t wall_ms() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1000 + now.tv_nsec // 1000000


cdef int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * NANOS + now.tv_nsec


cdef class Dispatcher:
    """Takes records out of the rings as batches. One thread only: the event loop's.

    Args:
        format: ``"ndjson"``, ``"json"`` or ``"envelope"``.
        max_records: most records of a batch.
        max_bytes: a batch is not filled beyond this; one record that is larger goes alone.
        linger: seconds that a part-filled batch waits for more; critical never waits.
    """

    def __init__(self, Rings rings not None, Ledger ledger not None, str format="ndjson", uint32_t max_records=500,
                 size_t max_bytes=1 << 20, double linger=0.005, age_budgets=AGE_BUDGET_SECONDS):
        cdef int k
        self.rings = rings
        self.ledger = ledger
        self.format = FORMATS[format]
        self.max_records = max(1, max_records)
        self._batch_records = self.max_records
        self.max_bytes = max_bytes
        self.linger_ns = <int64_t>(linger * NANOS)
        self.schedule = Schedule(self.max_records, age_budgets)
        self.delays = Delays()
        self._out = set()
        self._reader_fd = -1
        for k in range(TG_CLASSES):
            self.in_flight[k] = 0

    cdef void _watch(self, object reader, int32_t *wanted, int fd) noexcept:
        self._reader = reader
        self._room_wanted = wanted
        self._reader_fd = fd

    cdef int64_t _now(self) noexcept nogil:
        return self._test_now_ns if self._test_now_ns else monotonic_ns()

    cdef tg_record *_head(self, int klass) noexcept nogil:
        """The oldest record whose partition is still ours; what was revoked before it is discarded."""
        cdef tg_cursor at
        cdef tg_record *record
        cdef tg_slot *slot
        while True:
            at = self.rings.cursor(klass)
            record = self.rings.peek(klass, &at)
            if record is NULL:
                return NULL
            slot = self.ledger.slots[record.slot]
            if deliverable(slot):
                return record
            record = self.rings.consume(klass)
            slot.popped += 1
            self.ledger.settle_run(klass, TG_DISCARDED, record.slot, record.offset, 1, record.gap)
            self.rings.drop(klass, record)

    cdef int _ready(self, int classes, int64_t now_ns, int64_t *waited_ns) noexcept nogil:
        """Bits of the classes that are due; `waited_ns` of each head."""
        cdef int k, ready = 0
        cdef tg_record *head
        for k in range(TG_CLASSES):
            waited_ns[k] = 0
            if not classes >> k & 1:
                continue
            head = self._head(k)
            if head is NULL:
                continue
            waited_ns[k] = now_ns - head.read_ns
            if (k == 0 or self.draining or waited_ns[k] >= self.linger_ns
                    or self.rings.records(k) >= self._batch_records or self.rings.bytes(k) >= self.max_bytes):
                ready |= 1 << k
        return ready

    @property
    def batch_records(self):
        """Most records of a batch at present: `max_records`, or what a limiter makes of it."""
        return self._batch_records

    @batch_records.setter
    def batch_records(self, uint32_t records):
        if not 0 < records <= self.max_records:
            raise ValueError(f"a batch has 1 to {self.max_records} records, not {records}")
        self._batch_records = records

    def take(self, int classes=15):
        """The next due batch among the classes whose bit ``1 << class`` is set; None: nothing is due now.

        Raises:
            MemoryError: no room for the body; nothing was taken.
        """
        cdef int64_t waited_ns[TG_CLASSES]
        cdef int64_t now_ns = self._now()
        cdef int ready, klass
        cdef Batch batch
        with nogil:
            ready = self._ready(classes, now_ns, waited_ns)
            klass = self.schedule.choose(ready, waited_ns)
        if klass < 0:
            batch = None
        else:
            batch = self._build(klass, now_ns)
            self.schedule.charge(klass, batch.records, ready & 1 and ready & ~1)
        self._made_room()
        return batch

    cdef void _made_room(self) noexcept nogil:
        """Wakes the reader where it holds a lane for want of room."""
        if self._room_wanted is not NULL:
            tg_fence()  # the room made is visible before the flag is read
            if tg_load_i32(self._room_wanted) and tg_swap_i32(self._room_wanted, 0):
                tg_wakeup_wake(self._reader_fd)

    cdef Batch _build(self, int klass, int64_t now_ns):
        """A batch of the class's oldest records. The head is known to be there and live."""
        cdef Batch batch = Batch.__new__(Batch)
        cdef tg_cut cut
        cdef tg_record *record
        cdef tg_slot *slot
        cdef tg_extra extra
        cdef tg_extra *more           # NULL: the record has none
        cdef tg_identity id
        cdef uint32_t i
        cdef int format
        cdef PyObject *body
        cdef uint8_t *start
        cdef uint8_t *out
        cdef int64_t now_ms = wall_ms()
        batch.klass, batch.ledger, batch.taken_ns, batch.oldest_ms = klass, self.ledger, now_ns, -1
        with nogil:
            cut_batch(self.rings, self.ledger, klass, self.format, self._batch_records, self.max_bytes, &cut)
        format = cut.format
        batch.weight, batch.replayed = cut.weight, cut.replayed
        body = new_bytes(NULL, <Py_ssize_t>cut.bound)
        start = <uint8_t *>PyBytes_AS_STRING(body)
        out = start
        batch.ages_ms = <int32_t *>malloc(cut.records * sizeof(int32_t))
        with nogil:
            if format == TG_FORMAT_JSON:
                out[0] = b"["
                out += 1
            for i in range(cut.records):
                record = self.rings.consume(klass)
                slot = self.ledger.slots[record.slot]
                more = NULL
                if record.flags & TG_RECORD_EXTRA:
                    more = &extra
                    get_extra(record, more)
                if not batch.add(record.slot, record.offset, record.gap, more.origin if more is not NULL else 0,
                                 more.origin_offset if more is not NULL else 0):
                    break
                slot.popped += 1
                if record.timestamp_ms >= 0 and (batch.oldest_ms < 0 or record.timestamp_ms < batch.oldest_ms):
                    batch.oldest_ms = record.timestamp_ms
                if batch.ages_ms is not NULL:
                    # A timestamp of the future is one of now.
                    batch.ages_ms[batch.records - 1] = -1 if record.timestamp_ms < 0 else (
                        <int32_t>min(max(now_ms - record.timestamp_ms, 0), MAX_AGE_MS))
                if format == TG_FORMAT_ENVELOPE:
                    identify(self.ledger, record, more, slot, &id)
                    out = envelope_write(record, &id, more, klass, &self._weights, out)
                    out[0] = b"\n"
                    out += 1
                elif format == TG_FORMAT_OPAQUE:
                    out = raw_write(record, out)
                else:
                    if format == TG_FORMAT_JSON and i:
                        out[0] = b","
                        out += 1
                    out = plain_write(record, out)
                    if format == TG_FORMAT_NDJSON:
                        out[0] = b"\n"
                        out += 1
                self.rings.drop(klass, record)
            if format == TG_FORMAT_JSON:
                out[0] = b"]"
                out += 1
        if not batch.records:
            Py_DECREF(body)
            raise MemoryError("offsets of a batch")
        _PyBytes_Resize(&body, out - start)
        batch.body = <bytes>body  # takes a reference of its own
        Py_DECREF(body)
        batch.format = format
        self.in_flight[klass] += batch.records
        self._out.add(batch)
        return batch

    def due_in(self):
        """Seconds until something is due (0.0: now); None: the rings are empty."""
        cdef int64_t waited_ns[TG_CLASSES]
        cdef int64_t now_ns = self._now()
        cdef int64_t left, least = -1
        cdef int k
        if self._ready(15, now_ns, waited_ns):
            return 0.0
        for k in range(1, TG_CLASSES):
            if self.rings.records(k):
                left = self.linger_ns - waited_ns[k]
                if least < 0 or left < least:
                    least = max(left, 0)
        return None if least < 0 else least / <double>NANOS

    def settle(self, Batch batch not None) -> None:
        """The sink acknowledged the batch.

        Raises:
            ValueError: it was settled or discarded before.
        """
        self._end(batch, TG_DELIVERED)

    def discard(self, Batch batch not None) -> int:
        """Gives the batch up without acknowledging its offsets: Kafka will bring them again. Returns its records.

        Raises:
            ValueError: it was settled or discarded before.
        """
        self._end(batch, TG_DISCARDED)
        return batch.records

    def _end(self, Batch batch, int disposition):
        cdef uint32_t i
        if batch.ended:
            raise ValueError(f"{batch!r} was settled before")
        batch.ended = True
        self._out.discard(batch)
        with nogil:
            if disposition == TG_DELIVERED and batch.ages_ms is not NULL:
                self.delays.add(batch.klass, batch.ages_ms, batch.records, (self._now() - batch.taken_ns) // 1000000)
            for i in range(batch.run_count):
                self.ledger.settle_run(batch.klass, disposition, batch.runs[i].slot, batch.runs[i].first,
                                       batch.runs[i].count, batch.runs[i].gap)
        self.in_flight[batch.klass] -= batch.records
        if disposition == TG_DELIVERED:
            self.ledger.last_settled_ns = self._now()

    def discard_buffered(self) -> int:
        """Empties the rings without acknowledging (shutdown past its deadline). Returns the records."""
        cdef int k
        cdef int total = 0
        cdef tg_record *record
        for k in range(TG_CLASSES):
            while True:
                record = self.rings.consume(k)
                if record is NULL:
                    break
                self.ledger.slots[record.slot].popped += 1
                self.ledger.settle_run(k, TG_DISCARDED, record.slot, record.offset, 1, record.gap)
                self.rings.drop(k, record)
                total += 1
        return total

    def test_clock(self, int64_t now_ns) -> None:
        """For tests: it is this time (ns, not 0) until the next call; 0 lets the clock run again."""
        self._test_now_ns = now_ns

    def oldest(self) -> tuple:
        """By class: age in seconds, by its own timestamp, of the oldest record buffered or in flight; 0.0: none.

        Of what is buffered it is each ring's head: what Kafka has longest of what is still to be delivered.
        """
        cdef int64_t now_ms = wall_ms()
        cdef int64_t oldest[TG_CLASSES]
        cdef tg_cursor at
        cdef tg_record *record
        cdef Batch batch
        cdef int k
        for k in range(TG_CLASSES):
            at = self.rings.cursor(k)
            record = self.rings.peek(k, &at)
            oldest[k] = record.timestamp_ms if record is not NULL and record.timestamp_ms >= 0 else now_ms
        for batch in self._out:
            if batch.oldest_ms >= 0:
                oldest[batch.klass] = min(oldest[batch.klass], batch.oldest_ms)
        return tuple(max(0, now_ms - oldest[k]) / 1000.0 for k in range(TG_CLASSES))

    def states(self) -> dict:
        """``{class index: (buffered records, buffered bytes, records in flight)}``."""
        return {k: (self.rings.records(k), self.rings.bytes(k), self.in_flight[k]) for k in range(TG_CLASSES)}

    def conservation(self) -> tuple:
        """By class: records polled less those that ended, are buffered, in flight or being parked. 0, or a count is
        lost.

        The reader goes on meanwhile. It counts a record as polled right beside putting it into the ring or giving it
        to the producer, so the sum of the polled ones lies between the counts of these before and after summing, give
        or take the one in hand: a fault of one record in the reader's half does not show. The event loop's half is
        exact.
        """
        cdef int k, lane, d, _attempt
        cdef int64_t before = 0, after = 0, polled = 0, ended, reader_half
        errors = []
        for k in range(TG_CLASSES):
            for _attempt in range(8):
                before = self._given(k)
                polled = 0
                for lane in range(self.ledger.lane_count):
                    polled += <int64_t>tg_load_u64(&self.ledger.lanes[lane].polled[k])
                after = self._given(k)
                if before == polled == after:
                    break
            reader_half = polled - min(max(polled, before - 1), after + 1)
            ended = 0
            for lane in range(self.ledger.lane_count):
                for d in range(TG_DISPOSITIONS):
                    ended += <int64_t>self.ledger.lanes[lane].ended[k][d]
            errors.append(reader_half + <int64_t>(self.rings.rings[k].popped + self.ledger.unparked[k]) - ended
                          - self.in_flight[k])
        return tuple(errors)

    cdef int64_t _given(self, int klass) noexcept nogil:
        """Records that the reader put into the ring, gave to the producer or dropped."""
        return <int64_t>(tg_load_u64(&self.rings.rings[klass].pushed_local) + tg_load_u64(&self.ledger.parked[klass])
                         + tg_load_u64(&self.ledger.dropped[klass]))


cdef uint8_t *raw_write(tg_record *record, uint8_t *out) noexcept nogil:
    memcpy(out, record_bytes(record), record.value_len)
    return out + record.value_len
