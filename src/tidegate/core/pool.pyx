"""Pool: a fixed number of entries for records that are with the producer, without a malloc for each."""

from libc.stdlib cimport calloc, free, malloc

from tidegate.core.atomic cimport tg_load_u64, tg_store_u64

cdef extern from *:
    """
    #define tg_prefetch(p) __builtin_prefetch(p, 1)
    """
    void tg_prefetch(const void *p) noexcept nogil


cdef class Pool:
    """Entries for records on their way to the parking topic.

    Args:
        records: most records at once, rounded up to a power of two.
        bytes: most bytes of their keys and envelopes; one that is larger than all goes alone. A quarter more is the
            event loop's own.
    """

    def __cinit__(self, uint32_t records, size_t bytes):
        cdef uint32_t i
        if not 0 < records <= 1 << 24:
            raise ValueError(f"a pool has 1 to {1 << 24} records, not {records}")
        self.size = 1
        while self.size < records:
            self.size *= 2
        self.max_bytes, self.own_max_bytes = bytes, bytes // 4
        self._own_most = self.size // 8
        self.entries = <tg_entry *>calloc(self.size, sizeof(tg_entry))
        self._free.at = <uint32_t *>malloc(self.size * sizeof(uint32_t))
        self._back.at = <uint32_t *>malloc(self.size * sizeof(uint32_t))
        self._spare = <uint32_t *>malloc(self.size * sizeof(uint32_t))
        self._own = <uint32_t *>malloc((self._own_most + 1) * sizeof(uint32_t))
        if (self.entries is NULL or self._free.at is NULL or self._back.at is NULL or self._spare is NULL
                or self._own is NULL):
            raise MemoryError
        for i in range(self.size):
            self._free.at[i] = i
        self._free.head = self._free.shown = self.size - self._own_most
        for i in range(self._own_most):
            self._own[i] = self.size - 1 - i
        self._own_len = self._own_most

    def __dealloc__(self):
        cdef uint32_t i
        if self.entries is not NULL:
            for i in range(self.size):
                free(self.entries[i].copy)
        free(self.entries)
        free(self._free.at)
        free(self._back.at)
        free(self._spare)
        free(self._own)

    # --- reader -----------------------------------------------------------------------------------

    cdef bint has_room(self, size_t bytes) noexcept nogil:
        """Whether a record of so many bytes would be taken."""
        cdef uint64_t held = self._in_bytes - tg_load_u64(&self._out_bytes)
        if held and held + bytes > self.max_bytes:
            return False
        return self._spare_len > 0 or tg_load_u64(&self._free.shown) != self._free.tail

    cdef tg_entry *take_spsc(self, size_t bytes) noexcept nogil:
        """An entry for a record of so many bytes; NULL: no room."""
        cdef tg_entry *entry
        if not self.has_room(bytes):
            return NULL
        if self._spare_len:
            self._spare_len -= 1
            entry = &self.entries[self._spare[self._spare_len]]
        else:
            entry = &self.entries[self._free.at[self._free.tail & (self.size - 1)]]
            self._free.tail += 1
            # The event loop wrote the next ones last. Beyond what is free stands an old number, which does no harm.
            tg_prefetch(&self.entries[self._free.at[(self._free.tail + 4) & (self.size - 1)]])
        self._in_bytes += bytes
        entry.out, entry.attempts, entry.err, entry.own = 1, 0, 0, 0
        return entry

    cdef void undo_spsc(self, tg_entry *entry) noexcept nogil:
        """An entry that librdkafka did not get, or whose record is in a ring now."""
        free(entry.copy)
        entry.copy = NULL
        entry.out = 0
        self._in_bytes -= entry.size + entry.key_len
        self._spare[self._spare_len] = <uint32_t>(entry - self.entries)
        self._spare_len += 1

    cdef tg_entry *oldest_back_spsc(self) noexcept nogil:
        """The record that was given back first, borrowed; NULL: none."""
        if tg_load_u64(&self._back.shown) == self._back.tail:
            return NULL
        return &self.entries[self._back.at[self._back.tail & (self.size - 1)]]

    cdef void drop_back_spsc(self, tg_entry *entry) noexcept nogil:
        """The record of `oldest_back_spsc` is dealt with; its bytes are gone."""
        self._back.tail += 1
        self.undo_spsc(entry)

    # --- event loop -------------------------------------------------------------------------------

    cdef tg_entry *take_own(self, size_t bytes) noexcept nogil:
        """An entry for a record of so many bytes that the event loop parks itself; NULL: no room."""
        cdef tg_entry *entry
        if self._own_len == 0 or (self._own_bytes and self._own_bytes + bytes > self.own_max_bytes):
            return NULL
        self._own_len -= 1
        entry = &self.entries[self._own[self._own_len]]
        self._own_bytes += bytes
        entry.out, entry.attempts, entry.err, entry.own = 1, 0, 0, 1
        return entry

    cdef void undo_own(self, tg_entry *entry) noexcept nogil:
        """An entry of `take_own` that is not in use after all, or no more."""
        entry.out = 0
        self._own_bytes -= entry.size + entry.key_len
        self._own[self._own_len] = <uint32_t>(entry - self.entries)
        self._own_len += 1

    cdef void free_spsc(self, tg_entry *entry) noexcept nogil:
        """The record has ended. The reader may use the entry again after `publish`."""
        if entry.copy is not NULL:
            free(entry.copy)
            entry.copy = NULL
        if entry.own:
            self.undo_own(entry)
            return
        entry.out = 0
        # Only the reader looks at it, and only for room: the entry itself is published below.
        tg_store_u64(&self._out_bytes, self._out_bytes + entry.size + entry.key_len)
        if self._own_owed:
            self._own_owed -= 1
            self._own[self._own_len] = <uint32_t>(entry - self.entries)
            self._own_len += 1
            return
        self._free.at[self._free.head & (self.size - 1)] = <uint32_t>(entry - self.entries)
        self._free.head += 1

    cdef void give_back_spsc(self, tg_entry *entry) noexcept nogil:
        """The record goes back to the reader, with the copy that the entry owns; and so does the entry."""
        if entry.own:
            entry.own = 0
            self._own_owed += 1
            self._own_bytes -= entry.size + entry.key_len
            tg_store_u64(&self._out_bytes, self._out_bytes - entry.size - entry.key_len)  # the reader takes them off
        self._back.at[self._back.head & (self.size - 1)] = <uint32_t>(entry - self.entries)
        self._back.head += 1

    cdef double fill(self) noexcept nogil:
        """How full the reader finds it, in records or in bytes, whichever is more, 0 to 1; about, while it goes on."""
        cdef double bytes = <double>(tg_load_u64(&self._in_bytes) - self._out_bytes) / <double>max(self.max_bytes, 1)
        cdef uint64_t unused = self._free.head - tg_load_u64(&self._free.tail) + self._spare_len
        cdef double records = 1.0 - <double>unused / <double>(self.size - self._own_most)
        return min(1.0, max(bytes, records, 0.0))

    cdef bint publish(self) noexcept nogil:
        """Shows the reader what was freed and given back. False: nothing was."""
        cdef bint more = self._free.head != self._free.shown or self._back.head != self._back.shown
        tg_store_u64(&self._free.shown, self._free.head)  # orders the entries before it
        tg_store_u64(&self._back.shown, self._back.head)
        return more
