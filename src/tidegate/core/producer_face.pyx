"""ProducerFace: the producer for tests and benchmarks. One thread plays reader and event loop, or one plays each."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from posix.time cimport nanosleep, timespec

from tidegate.core.atomic cimport tg_store_i32
from tidegate.core.csrc cimport TG_PARKED_HAS_RANDOMNESS, TG_PARKED_HAS_THRESHOLD, tg_header, tg_parked
from tidegate.core.parked cimport to_python
from tidegate.core.pool cimport tg_entry
from tidegate.core.producer cimport FAILED, FULL, Producer
from tidegate.core.slots cimport tg_slot

RESULTS = ("parked", "full", "failed")


cdef class ProducerFace(Producer):
    """Slots go by their numbers."""

    cdef int32_t _test_wanted

    def test_park(self, uint32_t number, record, bytes key) -> str:
        """Reads a record at its offset and parks it; topic and partition are the slot's. ``"parked"`` and so on."""
        cdef tg_slot *slot = self.ledger.slots[number]
        cdef bytes payload = record.payload
        cdef tg_header headers[64]
        cdef tg_parked r
        cdef bytes name
        cdef bytes value
        cdef uint32_t gap, i
        cdef const char *key_bytes = NULL
        kept = list(record.headers)
        if len(kept) > 64 or record.offset < slot.next or not self.ledger.skip_to(slot, record.offset, &gap):
            raise ValueError("too many headers, an offset before the position, or the span is full")
        for i in range(<uint32_t>len(kept)):
            name, value = kept[i]
            headers[i].name, headers[i].name_len = name, len(name)
            headers[i].value, headers[i].value_len = NULL, 0
            if value is not None:
                headers[i].value, headers[i].value_len = <const uint8_t *><const char *>value, len(value)
        r.offset, r.klass, r.header_count = record.offset, record.klass, <uint32_t>len(kept)
        r.timestamp_ms, r.timestamp_type = record.timestamp_ms, record.timestamp_type
        r.flags, r.randomness, r.threshold = 0, 0, 0
        if record.randomness is not None:
            r.flags, r.randomness = r.flags | TG_PARKED_HAS_RANDOMNESS, record.randomness
        if record.threshold is not None:
            r.flags, r.threshold = r.flags | TG_PARKED_HAS_THRESHOLD, record.threshold
        r.payload, r.payload_len = NULL, 0
        if payload is not None:
            r.payload, r.payload_len = <const uint8_t *><const char *>payload, len(payload)
        if key is not None:
            key_bytes = key
        return RESULTS[self.put(slot, gap, &r, headers, key_bytes, 0 if key is None else len(key))]

    def test_park_many(self, uint32_t number, list keys not None, list payloads not None, uint64_t count) -> tuple:
        """Parks `count` records as the reader would, without the GIL: the next offsets of the slot, keys and payloads
        in turn; where it is FULL it goes on when there is room. Returns how often it was FULL, and how many failed."""
        cdef tg_slot *slot = self.ledger.slots[number]
        cdef size_t n = len(payloads)
        cdef const char **data = <const char **>malloc(2 * n * sizeof(char *))
        cdef size_t *lens = <size_t *>malloc(2 * n * sizeof(size_t))
        cdef tg_parked r
        cdef uint64_t done = 0, full = 0, failed = 0
        cdef uint32_t gap
        cdef size_t i
        cdef int answer
        cdef timespec nap
        cdef bytes one
        nap.tv_sec, nap.tv_nsec = 0, 200000
        try:
            for i in range(n):
                one = payloads[i]
                data[i], lens[i] = one, len(one)
                one = keys[i]
                data[n + i], lens[n + i] = one, len(one)
            r.timestamp_ms, r.timestamp_type, r.klass, r.flags, r.header_count = 1700000000000, 1, 3, 0, 0
            r.randomness = r.threshold = 0
            with nogil:
                while done < count:
                    i = <size_t>(done % n)
                    r.offset, r.payload, r.payload_len = max(slot.next, 0), <const uint8_t *>data[i], lens[i]
                    answer = FULL
                    if self.ledger.skip_to(slot, r.offset, &gap):
                        answer = self.put(slot, gap, &r, NULL, data[n + i], lens[n + i])
                    if answer == FULL:
                        full += 1
                        nanosleep(&nap, NULL)
                        continue
                    failed += answer == FAILED
                    done += 1
        finally:
            free(data)
            free(lens)
        return full, failed

    def test_back(self):
        """``(slot, gap, record, key)`` of the oldest record that was given back; None: none is there."""
        cdef tg_parked r
        cdef tg_entry *entry = self.oldest_back(&r)
        cdef const char *key
        if entry is NULL:
            return None
        key = <const char *>entry.copy + entry.size
        found = entry.slot, entry.gap, to_python(&r), None if entry.null_key else key[:entry.key_len]
        self.drop_back(entry)
        return found

    def test_room(self, size_t bytes) -> tuple:
        """`has_room`, and what FAILED last: ``(room, librdkafka's error)``."""
        return self.has_room(bytes), self.refused

    def test_fail(self, int32_t err) -> None:
        """librdkafka's client fails for good, for this reason."""
        with nogil:
            self.rk.test_fatal_error(self.client, err, b"a test")

    def test_want(self, int fd) -> None:
        """As a reader that holds a lane: `fd` is written to when there is room."""
        self._watch(None, &self._test_wanted, fd)
        tg_store_i32(&self._test_wanted, 1)
