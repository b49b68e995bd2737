"""Batch: records of one class on their way to a sink, with the offsets that they settle.

A batch owns its bytes; it does not change after it was built, so that each retry sends the same body under the same
idempotency key. What was parked is acknowledged in the parking topic, and told to the app under the ids that it had
where it stood before: there are two lists of runs then.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from tidegate.core.csrc cimport TG_DECIMAL_BYTES, tg_decimal_print, tg_xxh64
from tidegate.core.encode cimport TG_FORMAT_ENVELOPE, TG_FORMAT_JSON, TG_FORMAT_NDJSON, TG_FORMAT_OPAQUE, put_int
from tidegate.core.ledger cimport tg_lane_counts
from tidegate.core.origins cimport tg_place
from tidegate.core.slots cimport tg_slot

from tidegate.types import CLASS_LABELS

cdef dict CONTENT_TYPES = {
    TG_FORMAT_NDJSON: "application/x-ndjson",
    TG_FORMAT_JSON: "application/json",
    TG_FORMAT_ENVELOPE: "application/x-ndjson",
    TG_FORMAT_OPAQUE: "application/octet-stream",
}
cdef dict FORMAT_NAMES = {
    TG_FORMAT_NDJSON: "ndjson",
    TG_FORMAT_JSON: "json",
    TG_FORMAT_ENVELOPE: "envelope",
    TG_FORMAT_OPAQUE: "opaque",
}

cdef uint64_t KEY_SEED = 0x746964656761746  # of the second half of an idempotency key


cdef inline char *put_number(char *out, int64_t n) noexcept nogil:
    return <char *>put_int(<uint8_t *>out, n)


cdef inline bint begins_anew(const tg_run *before, const tg_run *run) noexcept nogil:
    """Whether the header names the place again: it is another, or the offsets go back."""
    return (run.origin != before.origin or (run.origin == 0 and run.slot != before.slot)
            or run.first - before.first < before.count)


cdef bint make_room(tg_run **runs, uint32_t count, uint32_t *room) noexcept nogil:
    """For one more. False: no memory, and nothing has changed."""
    cdef tg_run *grown
    if count < room[0]:
        return True
    grown = <tg_run *>realloc(runs[0], (2 * room[0] + 16) * sizeof(tg_run))
    if grown is NULL:
        return False
    runs[0] = grown
    room[0] = 2 * room[0] + 16
    return True


cdef class Batch:
    """What a sink gets: `body`, `headers` and counts. Made by the dispatcher only."""

    def __init__(self):
        raise TypeError("batches are made by the Dispatcher")

    def __dealloc__(self):
        free(self.runs)
        free(self.id_runs)
        free(self.ages_ms)

    def __len__(self):
        return self.records

    cdef bint add(self, uint32_t slot, int64_t offset, uint32_t gap, uint32_t origin,
                  int64_t origin_offset) noexcept nogil:
        """Appends one record: its offset, and where it stood before where `origin` is not 0. False: no memory, and
        nothing was added."""
        cdef tg_run *run
        if not make_room(&self.runs, self.run_count, &self.run_room):
            return False
        if (origin or self.id_runs is not NULL) and not self._add_id(slot, origin_offset if origin else offset, origin):
            return False
        if self.run_count:
            run = &self.runs[self.run_count - 1]
            if run.slot == slot and gap == 0 and run.first + run.count == offset:
                run.count += 1
                self.records += 1
                return True
        run = &self.runs[self.run_count]
        run.slot, run.count, run.gap, run.origin, run.first = slot, 1, gap, 0, offset
        self.run_count += 1
        self.records += 1
        return True

    cdef bint _add_id(self, uint32_t slot, int64_t offset, uint32_t origin) noexcept nogil:
        """Appends what the app knows a record by. The first that has an origin brings those before it along."""
        cdef tg_run *run
        if self.id_runs is NULL:
            self.id_runs = <tg_run *>malloc((self.run_count + 16) * sizeof(tg_run))
            if self.id_runs is NULL:
                return False
            self.id_run_room = self.run_count + 16
            memcpy(self.id_runs, self.runs, self.run_count * sizeof(tg_run))
            self.id_run_count = self.run_count
        if self.id_run_count:
            run = &self.id_runs[self.id_run_count - 1]
            if run.origin == origin and (origin or run.slot == slot) and offset - run.first == run.count:
                run.count += 1
                return True
        if not make_room(&self.id_runs, self.id_run_count, &self.id_run_room):
            return False
        run = &self.id_runs[self.id_run_count]
        run.slot, run.count, run.gap, run.origin, run.first = slot, 1, 0, origin, offset
        self.id_run_count += 1
        return True

    cdef void _where(self, const tg_run *run, tg_identity *out) noexcept nogil:
        """Of the first record of a run, for the app."""
        cdef const tg_place *place
        cdef tg_slot *slot
        cdef tg_lane_counts *lane
        out.offset = run.first
        if run.origin:
            place = self.ledger.origins.place(run.origin)
            out.topic, out.topic_len, out.partition = place.topic, place.topic_len, place.partition
        else:
            slot = self.ledger.slots[run.slot]
            lane = self.ledger.lanes[slot.lane]
            out.topic, out.topic_len, out.partition = lane.topic, lane.topic_len, slot.partition

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.format]

    cdef bytes _write_offsets(self):
        """The text of `offsets`. Native, because a batch of scattered records has a run for each."""
        cdef bytes text
        cdef size_t room = 64
        cdef uint32_t i, count = self.id_run_count if self.id_runs is not NULL else self.run_count
        cdef tg_run *runs = self.id_runs if self.id_runs is not NULL else self.runs
        cdef tg_run *run
        cdef tg_identity at
        cdef int64_t last = 0
        cdef char *start
        cdef char *out
        for i in range(count):
            room += 64  # two numbers of at most 20 digits, and marks
            if i == 0 or begins_anew(&runs[i - 1], &runs[i]):
                self._where(&runs[i], &at)
                room += at.topic_len
        start = <char *>malloc(room)
        if start is NULL:
            raise MemoryError
        out = start
        for i in range(count):
            run = &runs[i]
            if i == 0 or begins_anew(&runs[i - 1], run):
                if i:
                    out[0] = b";"
                    out += 1
                self._where(run, &at)
                memcpy(out, at.topic, at.topic_len)
                out[at.topic_len] = b"/"
                out = put_number(out + at.topic_len + 1, at.partition)
                out[0] = b":"
                out = put_number(out + 1, run.first)
            else:
                out[0] = b","
                out[1] = b"+"
                out = put_number(out + 2, run.first - last)
            if run.count > 1:
                out[0] = b"x"
                out = put_number(out + 1, run.count)
            last = run.first + (run.count - 1)  # an origin's may be the last number there is
        text = start[:out - start]
        free(start)
        return text

    @property
    def offsets(self) -> str:
        """The records' offsets in the order of the body, at most 4 KiB.

        ``topic/partition:ITEM,ITEM…;topic/partition:ITEM…`` where the first ITEM of a partition is ``START`` and
        each further one ``+STEP`` beyond the offset before it, either followed by ``xCOUNT`` for COUNT
        neighbouring offsets: ``orders/0:100x20,+3x6`` is 100–119 and 122–127.
        """
        return self._write_offsets().decode()

    @property
    def idempotency_key(self) -> str:
        """32 hexadecimal digits made of the ids of all records: the same for every attempt."""
        return self.headers["Idempotency-Key"]

    @property
    def headers(self) -> dict:
        """The HTTP headers of the batch; the same object each time."""
        cdef bytes ids
        cdef char text[TG_DECIMAL_BYTES]
        if self._headers is None:
            ids = self._write_offsets()
            self._headers = {
                "Content-Type": CONTENT_TYPES[self.format],
                "Idempotency-Key": f"{tg_xxh64(ids, len(ids), 0):016x}{tg_xxh64(ids, len(ids), KEY_SEED):016x}",
                "X-Tidegate-Class": CLASS_LABELS[self.klass],
                "X-Tidegate-Records": str(self.records),
                "X-Tidegate-Format": FORMAT_NAMES[self.format],
                "X-Tidegate-Offsets": ids.decode(),
            }
            if self.weight != 1.0:
                self._headers["X-Tidegate-Weight"] = text[:tg_decimal_print(self.weight, text)].decode()
            if self.replayed:
                self._headers["X-Tidegate-Replayed"] = "true"
        return self._headers

    def ids(self) -> list:
        """``(topic, partition, offset)`` of each record in the order of the body; of a parked one, where it stood."""
        cdef uint32_t i, j, count = self.id_run_count if self.id_runs is not NULL else self.run_count
        cdef tg_run *runs = self.id_runs if self.id_runs is not NULL else self.runs
        cdef tg_identity at
        found = []
        for i in range(count):
            self._where(&runs[i], &at)
            topic = at.topic[:at.topic_len].decode()
            for j in range(runs[i].count):
                found.append((topic, at.partition, at.offset + j))
        return found

    def test_runs(self) -> list:
        """``(slot, first offset, records, missing before it)`` of each run."""
        cdef uint32_t i
        return [(self.runs[i].slot, self.runs[i].first, self.runs[i].count, self.runs[i].gap)
                for i in range(self.run_count)]

    def __repr__(self):
        return f"<Batch {CLASS_LABELS[self.klass]} {self.records} records, {len(self.body)} bytes>"
