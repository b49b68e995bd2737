"""Batch: records of one class on their way to a sink, with the offsets that they settle.

A batch owns its bytes; it does not change after it was built, so that each retry sends the same body under the same
idempotency key.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from tidegate.core.csrc cimport tg_xxh64
from tidegate.core.encode cimport TG_FORMAT_ENVELOPE, TG_FORMAT_JSON, TG_FORMAT_NDJSON, TG_FORMAT_OPAQUE, put_int
from tidegate.core.ledger cimport tg_lane_counts

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


cdef class Batch:
    """What a sink gets: `body`, `headers` and counts. Made by the dispatcher only."""

    def __init__(self):
        raise TypeError("batches are made by the Dispatcher")

    def __dealloc__(self):
        free(self.runs)
        free(self.ages_ms)

    def __len__(self):
        return self.records

    cdef bint add(self, uint32_t slot, int64_t offset, uint32_t gap) noexcept nogil:
        """Appends one record's offset. False: no memory."""
        cdef tg_run *run
        cdef tg_run *grown
        if self.run_count:
            run = &self.runs[self.run_count - 1]
            if run.slot == slot and gap == 0 and run.first + run.count == offset:
                run.count += 1
                self.records += 1
                return True
        if self.run_count == self.run_room:
            grown = <tg_run *>realloc(self.runs, (2 * self.run_room + 16) * sizeof(tg_run))
            if grown is NULL:
                return False
            self.runs = grown
            self.run_room = 2 * self.run_room + 16
        run = &self.runs[self.run_count]
        run.slot, run.count, run.gap, run.first = slot, 1, gap, offset
        self.run_count += 1
        self.records += 1
        return True

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.format]

    cdef bytes _write_offsets(self):
        """The text of `offsets`. Native, because a batch of scattered records has a run for each."""
        cdef bytes text
        cdef size_t room = 64
        cdef uint32_t i
        cdef tg_run *run
        cdef tg_lane_counts *lane
        cdef int64_t last = 0
        cdef char *start
        cdef char *out
        for i in range(self.run_count):
            room += 64  # two numbers of at most 20 digits, and marks
            if i == 0 or self.runs[i].slot != self.runs[i - 1].slot:
                room += self.ledger.lanes[self.ledger.slots[self.runs[i].slot].lane].topic_len
        start = <char *>malloc(room)
        if start is NULL:
            raise MemoryError
        out = start
        for i in range(self.run_count):
            run = &self.runs[i]
            if i == 0 or run.slot != self.runs[i - 1].slot or run.first <= last:
                if i:
                    out[0] = b";"
                    out += 1
                lane = self.ledger.lanes[self.ledger.slots[run.slot].lane]
                if out + lane.topic_len + 64 > start + room:
                    break  # cannot be: a slot's offsets rise
                memcpy(out, lane.topic, lane.topic_len)
                out[lane.topic_len] = b"/"
                out = put_number(out + lane.topic_len + 1, self.ledger.slots[run.slot].partition)
                out[0] = b":"
                out = put_number(out + 1, run.first)
            else:
                out[0] = b","
                out[1] = b"+"
                out = put_number(out + 2, run.first - last)
            if run.count > 1:
                out[0] = b"x"
                out = put_number(out + 1, run.count)
            last = run.first + run.count - 1
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
        return self._headers

    def ids(self) -> list:
        """``(topic, partition, offset)`` of each record in the order of the body."""
        cdef uint32_t i, j
        found = []
        for i in range(self.run_count):
            topic = self.ledger.topic_of(self.runs[i].slot)
            partition = self.ledger.slots[self.runs[i].slot].partition
            for j in range(self.runs[i].count):
                found.append((topic, partition, self.runs[i].first + j))
        return found

    def test_runs(self) -> list:
        """``(slot, first offset, records, missing before it)`` of each run."""
        cdef uint32_t i
        return [(self.runs[i].slot, self.runs[i].first, self.runs[i].count, self.runs[i].gap)
                for i in range(self.run_count)]

    def __repr__(self):
        return f"<Batch {CLASS_LABELS[self.klass]} {self.records} records, {len(self.body)} bytes>"
