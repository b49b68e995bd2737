"""Rings: one bounded byte budget over a queue per class, one producer thread, one consumer thread.

Memory is one lazily committed mapping cut into chunks. Each class has a reserved number of chunks; the rest is
shared by demand. Freed chunks come back to the producer, which takes the last freed first, so a flow that keeps
up stays in the CPU's cache and a small resident set however large the budget is.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap

from tidegate.core.atomic cimport tg_load_u64, tg_store_u64

from tidegate.core.extra import Extra

cdef enum:
    ALIGN = 8


cdef inline size_t aligned(size_t n) noexcept nogil:
    return (n + ALIGN - 1) & ~(<size_t>ALIGN - 1)


cdef class Rings:
    """The four class rings over one budget.

    Args:
        budget_bytes: memory for all rings together; at least eight chunks.
        chunk_bytes: a multiple of 8, at least 4096; default: 256 KiB, or less where the budget is small.

    Raises:
        ValueError: the budget is too small for the chunk size.
        MemoryError: the mapping was refused.
    """

    def __cinit__(self, size_t budget_bytes, chunk_bytes=None):
        cdef uint32_t size, k, entries
        if chunk_bytes is None:
            chunk_bytes = 256 * 1024
            while chunk_bytes > 16 * 1024 and budget_bytes // chunk_bytes < 96:
                chunk_bytes //= 2
        if chunk_bytes % ALIGN or not 4096 <= chunk_bytes <= 1 << 26:
            raise ValueError(f"chunk_bytes must be a multiple of 8 from 4096 to 64 MiB, not {chunk_bytes}")
        size = chunk_bytes
        self.chunk_bytes = size
        self.chunks = <uint32_t>(budget_bytes // size)
        if self.chunks < 2 * TG_CLASSES:
            raise ValueError(f"{budget_bytes} bytes are too few for rings of {chunk_bytes}-byte chunks")
        # 48 MiB give 4 MiB to each class: a twelfth (decision 6).
        self.reserved = max(1, self.chunks // 12)
        self.shared = self.chunks - TG_CLASSES * self.reserved
        entries = 1
        while entries < self.chunks + 1:
            entries *= 2
        self._mask = entries - 1
        self._memory_bytes = <size_t>self.chunks * size
        self._memory = <uint8_t *>mmap(NULL, self._memory_bytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if self._memory == <uint8_t *>MAP_FAILED:
            self._memory = NULL
            raise MemoryError(f"{self._memory_bytes} bytes for the rings")
        self._stack = <uint32_t *>calloc(entries, sizeof(uint32_t))
        self._returned = <uint32_t *>calloc(entries, sizeof(uint32_t))
        if self._stack is NULL or self._returned is NULL:
            raise MemoryError
        for k in range(self.chunks):
            self._stack[k] = self.chunks - 1 - k  # chunk 0 on top
        self._stack_len = self.chunks
        memset(self.rings, 0, sizeof(self.rings))
        for k in range(TG_CLASSES):
            self.rings[k].order = <uint32_t *>calloc(entries, sizeof(uint32_t))
            if self.rings[k].order is NULL:
                raise MemoryError
            self.rings[k].write_at = size  # "full": the first record takes a chunk
            self.rings[k].read_at = size

    def __dealloc__(self):
        cdef int k
        cdef tg_record *record
        if self._memory is not NULL:
            for k in range(TG_CLASSES):
                if self.rings[k].order is not NULL:
                    while True:  # jumbo records own mappings
                        record = self.consume(k)
                        if record is NULL:
                            break
                        self.drop(k, record)
            munmap(self._memory, self._memory_bytes)
        for k in range(TG_CLASSES):
            free(self.rings[k].order)
        free(self._stack)
        free(self._returned)

    # --- producer ---------------------------------------------------------------------------------

    cdef int64_t room_chunks(self, int klass) noexcept nogil:
        """Chunks that the class could still take: its own reserve and what is left of the shared ones."""
        cdef int64_t used, shared_used = 0, own = 0
        cdef int k
        for k in range(TG_CLASSES):
            used = <int64_t>(self.rings[k].taken - tg_load_u64(&self.rings[k].released))
            if used > self.reserved:
                shared_used += used - self.reserved
            elif k == klass:
                own = self.reserved - used
        return own + self.shared - shared_used

    cdef bint has_room(self, int klass, size_t payload_bytes) noexcept nogil:
        """Whether a lane held by a record so large may go on: room for it, and for half a reserve, so that holding
        does not flicker."""
        cdef int64_t need = max(1, self.reserved // 2)
        if aligned(sizeof(tg_record) + payload_bytes) > self.chunk_bytes:
            need = max(need, <int64_t>((payload_bytes + self.chunk_bytes - 1) // self.chunk_bytes) + 1)
        return self.room_chunks(klass) >= need

    cdef bint fits_ever(self, size_t payload_bytes) noexcept nogil:
        """False: larger than half of what one class could hold when all others keep only their reserve."""
        return payload_bytes <= <size_t>(self.reserved + self.shared) * self.chunk_bytes // 2

    cdef bint _take_chunk(self, int klass) noexcept nogil:
        cdef tg_ring *ring = &self.rings[klass]
        cdef uint64_t head
        if self.room_chunks(klass) < 1:
            return False
        head = tg_load_u64(&self._returned_head)
        while self._returned_tail != head:
            self._stack[self._stack_len] = self._returned[self._returned_tail & self._mask]
            self._stack_len += 1
            self._returned_tail += 1
        if self._stack_len == 0:
            return False
        if ring.write_chunk != 0 and ring.write_at + sizeof(uint32_t) <= self.chunk_bytes:
            (<tg_record *>(ring.write_base + ring.write_at)).size = 0
        self._stack_len -= 1
        ring.order[ring.write_chunk & self._mask] = self._stack[self._stack_len]
        ring.write_base = self._memory + <size_t>self._stack[self._stack_len] * self.chunk_bytes
        ring.write_chunk += 1
        ring.write_at = 0
        ring.taken += 1
        return True

    cdef tg_record *reserve(self, int klass, size_t payload_bytes) noexcept nogil:
        """Place for a record with so many bytes of value, key, headers and tg_extra; NULL: the ring is full.

        The caller fills header (flags are only added to) and bytes, and must then call commit."""
        cdef tg_ring *ring = &self.rings[klass]
        cdef size_t need = aligned(sizeof(tg_record) + payload_bytes)
        cdef bint jumbo = need > self.chunk_bytes
        cdef uint64_t units = 0
        cdef tg_record *record
        cdef uint8_t *mapping = NULL
        if jumbo:
            units = (payload_bytes + self.chunk_bytes - 1) // self.chunk_bytes
            if self.room_chunks(klass) < <int64_t>units + 1:
                return NULL
            need = sizeof(tg_record) + sizeof(uint8_t *)
        if ring.write_at + need > self.chunk_bytes and not self._take_chunk(klass):
            return NULL
        record = <tg_record *>(ring.write_base + ring.write_at)
        record.flags = 0
        if jumbo:
            mapping = <uint8_t *>mmap(NULL, payload_bytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            if mapping == <uint8_t *>MAP_FAILED:
                return NULL  # as full: the lane waits until memory is there
            (<uint8_t **>(record + 1))[0] = mapping
            record.flags = TG_RECORD_JUMBO
            ring.taken += units
        record.size = <uint32_t>need
        return record

    cdef void commit(self, int klass, tg_record *record) noexcept nogil:
        """Adds the record; the consumer sees it after publish. Flags may be added to, never overwritten."""
        cdef tg_ring *ring = &self.rings[klass]
        ring.write_at += record.size
        ring.pushed_local += 1
        ring.pushed_bytes_local += record.value_len

    cdef void publish(self) noexcept nogil:
        cdef int k
        for k in range(TG_CLASSES):
            if self.rings[k].pushed_local != self.rings[k].pushed:
                tg_store_u64(&self.rings[k].pushed_bytes, self.rings[k].pushed_bytes_local)
                tg_store_u64(&self.rings[k].pushed, self.rings[k].pushed_local)

    # --- consumer ---------------------------------------------------------------------------------

    cdef uint64_t records(self, int klass) noexcept nogil:
        return tg_load_u64(&self.rings[klass].pushed) - self.rings[klass].popped

    cdef uint64_t bytes(self, int klass) noexcept nogil:
        """Bytes of values published and not consumed (never too few: the count of bytes is written first)."""
        cdef uint64_t pushed = tg_load_u64(&self.rings[klass].pushed_bytes)
        return pushed - self.rings[klass].popped_bytes

    cdef tg_cursor cursor(self, int klass) noexcept nogil:
        """A look-ahead position at the oldest record; it takes nothing."""
        cdef tg_ring *ring = &self.rings[klass]
        cdef tg_cursor at
        at.left = tg_load_u64(&ring.pushed) - ring.popped
        at.chunk = ring.read_chunk
        at.at = ring.read_at
        return at

    cdef tg_record *peek(self, int klass, tg_cursor *at) noexcept nogil:
        """The record under the cursor, or NULL at the end. Borrows from the ring until consumed."""
        cdef tg_ring *ring = &self.rings[klass]
        cdef tg_record *record
        if at.left == 0:
            return NULL
        if at.at + sizeof(uint32_t) <= self.chunk_bytes:
            record = <tg_record *>(self._memory
                                   + <size_t>ring.order[(at.chunk - 1) & self._mask] * self.chunk_bytes + at.at)
            if record.size != 0:
                return record
        at.chunk += 1
        at.at = 0
        return <tg_record *>(self._memory + <size_t>ring.order[(at.chunk - 1) & self._mask] * self.chunk_bytes)

    cdef void step(self, tg_cursor *at, tg_record *record) noexcept nogil:
        at.at += record.size
        at.left -= 1

    cdef tg_record *consume(self, int klass) noexcept nogil:
        """The oldest record, still in its place; NULL: empty. `drop` gives its room back and must follow
        before the next consume."""
        cdef tg_cursor at = self.cursor(klass)
        cdef tg_ring *ring = &self.rings[klass]
        cdef tg_record *record = self.peek(klass, &at)
        if record is NULL:
            return NULL
        if at.chunk != ring.read_chunk:
            if ring.read_chunk != 0:
                self._returned[self._returned_head & self._mask] = ring.order[(ring.read_chunk - 1) & self._mask]
                tg_store_u64(&self._returned_head, self._returned_head + 1)
                tg_store_u64(&ring.released, ring.released + 1)
            ring.read_chunk = at.chunk
            ring.read_at = 0
        return record

    cdef void drop(self, int klass, tg_record *record) noexcept nogil:
        cdef tg_ring *ring = &self.rings[klass]
        cdef size_t payload
        ring.read_at += record.size
        ring.popped += 1
        ring.popped_bytes += record.value_len
        if record.flags & TG_RECORD_JUMBO:
            payload = record_len(record)
            if record.flags & TG_RECORD_EXTRA:
                payload += sizeof(tg_extra)
            munmap(record_bytes(record), payload)
            tg_store_u64(&ring.released,
                         ring.released + (payload + self.chunk_bytes - 1) // self.chunk_bytes)

    # --- a small face for tests -------------------------------------------------------------------

    def push(self, int klass, bytes value, *, uint32_t slot=0, int64_t offset=0, uint32_t gap=0, uint32_t flags=0,
             bytes key=None, bytes headers=b"", int64_t timestamp_ms=-1, int64_t read_ns=0, bint publish=True,
             extra=None) -> bool:
        """Adds one record as the reader would; False: the ring is full. Producer's thread only."""
        cdef size_t key_len = len(key) if key is not None else 0
        cdef size_t extra_len = sizeof(tg_extra) if extra is not None else 0
        cdef tg_record *record = self.reserve(klass, len(value) + key_len + len(headers) + extra_len)
        cdef tg_extra more
        cdef uint8_t *to
        if record is NULL:
            return False
        record.value_len = len(value)
        record.key_len = TG_NULL_LEN if key is None else key_len
        record.headers_len = len(headers)
        record.slot, record.gap, record.offset = slot, gap, offset
        record.flags |= flags
        record.timestamp_ms, record.read_ns = timestamp_ms, read_ns
        to = record_bytes(record)
        memcpy(to, <const char *>value, len(value))
        if key is not None:
            memcpy(to + len(value), <const char *>key, key_len)
        memcpy(to + len(value) + key_len, <const char *>headers, len(headers))
        if extra is not None:
            more.origin, more.origin_offset, more.factor = extra.origin, extra.origin_offset, extra.factor
            more.randomness, more.threshold = extra.randomness or 0, extra.threshold or 0
            more.flags = ((TG_EXTRA_HAS_RANDOMNESS if extra.randomness is not None else 0)
                          | (TG_EXTRA_HAS_THRESHOLD if extra.threshold is not None else 0)
                          | (TG_EXTRA_REPLAYED if extra.replayed else 0))
            put_extra(record, &more)
        self.commit(klass, record)
        if publish:
            self.publish()
        return True

    def show(self) -> None:
        """Publishes what was pushed with ``publish=False``."""
        self.publish()

    def pop(self, int klass):
        """Takes the oldest record: ``(offset, value, key)``, or None. Consumer's thread only."""
        cdef tg_record *record = self.consume(klass)
        cdef uint8_t *at
        if record is NULL:
            return None
        at = record_bytes(record)
        value = (<char *>at)[:record.value_len]
        key = None
        if record.key_len != TG_NULL_LEN:
            key = (<char *>at)[record.value_len:record.value_len + record.key_len]
        offset = record.offset
        self.drop(klass, record)
        return offset, value, key

    def test_extra(self, int klass):
        """What stands behind the oldest record; None: nothing, or no record."""
        cdef tg_cursor at = self.cursor(klass)
        cdef tg_record *record = self.peek(klass, &at)
        cdef tg_extra extra
        if record is NULL or not record.flags & TG_RECORD_EXTRA:
            return None
        get_extra(record, &extra)
        return Extra(extra.origin, extra.origin_offset,
                     extra.randomness if extra.flags & TG_EXTRA_HAS_RANDOMNESS else None,
                     extra.threshold if extra.flags & TG_EXTRA_HAS_THRESHOLD else None,
                     extra.factor, bool(extra.flags & TG_EXTRA_REPLAYED))

    def peek_all(self, int klass) -> list:
        """Values of all published records, oldest first, through a cursor; takes nothing."""
        cdef tg_cursor at = self.cursor(klass)
        cdef tg_record *record
        values = []
        while True:
            record = self.peek(klass, &at)
            if record is NULL:
                return values
            values.append((<char *>record_bytes(record))[:record.value_len])
            self.step(&at, record)

    def buffered(self, int klass) -> tuple:
        """``(records, bytes of values)`` published and not yet taken."""
        return self.records(klass), self.bytes(klass)

    def usage(self, int klass) -> tuple:
        """``(chunks in use, chunks it could still take, chunks ever given back, records ever taken out)``.
        Consumer's thread."""
        cdef uint64_t released = tg_load_u64(&self.rings[klass].released)
        cdef uint64_t taken = self.rings[klass].taken
        return (taken - released if taken > released else 0, max(0, self.room_chunks(klass)), released,
                self.rings[klass].popped)

    def room(self, int klass) -> int:
        """Chunks that the class could still take."""
        return self.room_chunks(klass)

    def test_room(self, int klass, size_t payload_bytes) -> bool:
        """`has_room`: whether a lane held by so large a record may go on."""
        return self.has_room(klass, payload_bytes)
