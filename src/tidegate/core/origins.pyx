"""Origins: numbers for the places at which parked records stood, because a record in a ring has no room for names.

What reads like a parked record may have been written by anybody. So a topic that Kafka would not take gets no number:
it would reach HTTP headers, and their bound counts on Kafka's.
"""

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from tidegate.core.csrc cimport tg_xxh64

cdef enum:
    FIRST_TABLE = 256            # places of the hash table at first; it doubles when it is half full


cdef inline uint64_t hash_of(const char *topic, size_t topic_len, int32_t partition) noexcept nogil:
    return tg_xxh64(<const uint8_t *>topic, topic_len, <uint32_t>partition)


cdef bint is_topic(const char *name, size_t n) noexcept nogil:
    """Letters, digits, dot, underscore and hyphen, 1 to 249 of them."""
    cdef size_t i
    cdef char c
    if not 0 < n <= TG_TOPIC_BYTES:
        return False
    for i in range(n):
        c = name[i]
        if not (b"a" <= c <= b"z" or b"A" <= c <= b"Z" or b"0" <= c <= b"9" or c == b"." or c == b"_" or c == b"-"):
            return False
    return True


cdef inline bint is_at(const tg_place *place, const char *topic, size_t topic_len, int32_t partition) noexcept nogil:
    return (place.partition == partition and place.topic_len == topic_len
            and memcmp(place.topic, topic, topic_len) == 0)


cdef class Origins:
    """Up to 65,536 places. Made by the Ledger; a table of 256 entries until there are more than 128.

    Raises:
        MemoryError: no room for the table.
    """

    def __cinit__(self):
        self._table = <uint32_t *>calloc(FIRST_TABLE, sizeof(uint32_t))
        if self._table is NULL:
            raise MemoryError
        self._mask = FIRST_TABLE - 1

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self._count):
            free(<void *>self.place(i + 1).topic)
        for i in range(TG_ORIGIN_BLOCKS):
            free(self._blocks[i])
        free(self._table)

    cdef const tg_place *place(self, uint32_t number) noexcept nogil:
        return &self._blocks[(number - 1) // TG_ORIGIN_BLOCK][(number - 1) % TG_ORIGIN_BLOCK]

    cdef uint32_t number(self, const char *topic, size_t topic_len, int32_t partition) noexcept nogil:
        cdef uint32_t at, found
        if self._last and is_at(self.place(self._last), topic, topic_len, partition):
            return self._last
        if not is_topic(topic, topic_len):
            return 0
        at = <uint32_t>hash_of(topic, topic_len, partition) & self._mask
        while True:
            found = self._table[at]
            if found == 0:
                break
            if is_at(self.place(found), topic, topic_len, partition):
                self._last = found
                return found
            at = (at + 1) & self._mask
        return self._add(topic, topic_len, partition)

    cdef uint32_t _add(self, const char *topic, size_t topic_len, int32_t partition) noexcept nogil:
        """Without memory nothing has changed, and the next record of the place may find some."""
        cdef tg_place **block
        cdef tg_place *entry
        cdef char *name
        cdef uint32_t at
        if self._count == TG_MAX_ORIGINS or (2 * (self._count + 1) > self._mask and not self._grow()):
            return 0
        block = &self._blocks[self._count // TG_ORIGIN_BLOCK]
        if block[0] is NULL:
            block[0] = <tg_place *>calloc(TG_ORIGIN_BLOCK, sizeof(tg_place))
            if block[0] is NULL:
                return 0
        name = <char *>malloc(topic_len)
        if name is NULL:
            return 0
        memcpy(name, topic, topic_len)
        entry = &block[0][self._count % TG_ORIGIN_BLOCK]
        entry.topic, entry.topic_len, entry.partition = name, <uint32_t>topic_len, partition
        self._count += 1
        at = <uint32_t>hash_of(topic, topic_len, partition) & self._mask
        while self._table[at]:
            at = (at + 1) & self._mask
        self._table[at] = self._count
        self._last = self._count
        return self._count

    cdef bint _grow(self) noexcept nogil:
        """Twice the table, filled anew; only numbers move. False: no memory, and the table is as it was."""
        cdef uint32_t mask = 2 * self._mask + 1
        cdef uint32_t at, i
        cdef const tg_place *place
        cdef uint32_t *table = <uint32_t *>calloc(<size_t>mask + 1, sizeof(uint32_t))
        if table is NULL:
            return False
        for i in range(1, self._count + 1):
            place = self.place(i)
            at = <uint32_t>hash_of(place.topic, place.topic_len, place.partition) & mask
            while table[at]:
                at = (at + 1) & mask
            table[at] = i
        free(self._table)
        self._table, self._mask = table, mask
        return True
