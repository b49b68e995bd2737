# Origins: numbers for the places, topic and partition, at which parked records stood.
#
# The reader's thread gives numbers; the event loop reads the entry of a number that came with a record. Entries stand
# in blocks that never move and do not change once the number is given, and the record's publication (ring.pxd) orders
# the one before the other: no lock, no atomics.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cdef enum:
    TG_ORIGIN_BLOCK = 256        # entries
    TG_ORIGIN_BLOCKS = 256
    TG_MAX_ORIGINS = 65536

    TG_TOPIC_BYTES = 249         # Kafka's bound of a topic's name

cdef struct tg_place:
    const char *topic            # owned by the entry; not ended by a NUL
    uint32_t topic_len
    int32_t partition

cdef class Origins:
    cdef tg_place *_blocks[TG_ORIGIN_BLOCKS]       # owns
    cdef uint32_t _count
    cdef uint32_t *_table        # owns: numbers by hash of their place, 0: free; reader's own
    cdef uint32_t _mask
    cdef uint32_t _last          # the number given last: parked records come in runs

    # The reader's thread. The number, 1 or more, of a place, the same for the same; 0: no memory, TG_MAX_ORIGINS are
    # given, or `topic` is no name that a Kafka topic can have.
    cdef uint32_t number(self, const char *topic, size_t topic_len, int32_t partition) noexcept nogil
    # Any thread. Borrows the entry of a number that was given; it lives as long as this does.
    cdef const tg_place *place(self, uint32_t number) noexcept nogil

    cdef bint _grow(self) noexcept nogil
    cdef uint32_t _add(self, const char *topic, size_t topic_len, int32_t partition) noexcept nogil
