# Record, chunk pool and class rings: what the reader writes and the dispatcher reads.
#
# A ring is a queue of chunks; a record stands in one chunk, never across two:
#
#   chunk  | record | record | ... | end mark (size 0) or the chunk's last byte |
#   record | tg_record header | value | key | headers | tg_extra where flagged | padding to 8 |
#
# A record that is larger than a chunk has its own mapping (TG_RECORD_JUMBO): its place in the chunk holds the
# header and a pointer. One producer thread calls reserve/commit/publish, one consumer thread cursor/peek/consume.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    TG_CLASSES = 4
    TG_NULL_LEN = 0xFFFFFFFF     # key_len of a null key

    TG_RECORD_INVALID = 1        # not one JSON value: may never stand beside others
    TG_RECORD_NEWLINE = 2        # line feeds between tokens, to be blanked in a line format
    TG_RECORD_BOM = 4            # starts with a byte order mark, to be left out of a body
    TG_RECORD_EMPTY = 8          # no value or only blanks: stands as `null`
    TG_RECORD_JUMBO = 16
    TG_RECORD_EXTRA = 32         # a tg_extra stands behind the headers
    TG_RECORD_NULL = 64          # its value is null, not of no bytes
    TG_RECORD_APPENDED = 128     # its timestamp is the log's, not its writer's
    TG_RECORD_WHOLE = 256        # all of it stands here, key and headers too: it may be parked still (eviction.pyx)

    TG_EXTRA_HAS_RANDOMNESS = 1
    TG_EXTRA_HAS_THRESHOLD = 2
    TG_EXTRA_REPLAYED = 4        # it was parked, and comes out of the parking topic

cdef struct tg_record:
    uint32_t size                # bytes to the next record in the chunk, header and padding included; 0: end mark
    uint32_t value_len
    uint32_t key_len             # TG_NULL_LEN: null
    uint32_t headers_len
    uint32_t slot                # index in the ledger
    uint32_t gap                 # offsets missing just before this one (compaction, control records)
    uint32_t flags
    uint32_t _unused
    int64_t offset
    int64_t timestamp_ms         # the record's own; -1: none
    int64_t read_ns              # monotonic time of the read

# What most records have nothing of: how one was sampled, and where it stood before it was parked. Its place in memory
# is not aligned.
cdef struct tg_extra:
    int64_t origin_offset
    uint64_t randomness          # R and T of csrc/tg_sample.h, 0 where not flagged
    uint64_t threshold
    double factor                # weight that no threshold says; 1: none
    uint32_t origin              # number from Ledger.origin; 0: the record stands where it was written
    uint32_t flags               # TG_EXTRA_*

cdef inline uint8_t *record_bytes(tg_record *record) noexcept nogil:
    """Where the value starts; key and headers follow."""
    if record.flags & TG_RECORD_JUMBO:
        return (<uint8_t **>(record + 1))[0]
    return <uint8_t *>(record + 1)

cdef inline size_t record_len(const tg_record *record) noexcept nogil:
    """Bytes of value, key and headers together."""
    return (<size_t>record.value_len + record.headers_len
            + (0 if record.key_len == TG_NULL_LEN else record.key_len))

cdef inline void put_extra(tg_record *record, const tg_extra *extra) noexcept nogil:
    """Writes what `reserve` was asked room for, sizeof(tg_extra), and flags the record. Its three lengths are set."""
    memcpy(record_bytes(record) + record_len(record), extra, sizeof(tg_extra))
    record.flags |= TG_RECORD_EXTRA

cdef inline void get_extra(tg_record *record, tg_extra *extra) noexcept nogil:
    """Only of a record that has the flag."""
    memcpy(extra, record_bytes(record) + record_len(record), sizeof(tg_extra))

cdef struct tg_cursor:
    uint64_t chunk               # free-running index into the ring's order of chunks
    uint32_t at                  # byte position in that chunk
    uint64_t left                # published records that the cursor has not passed

cdef struct tg_ring:
    # producer's line
    uint64_t write_chunk         # free-running; 0: none yet
    uint32_t write_at
    uint64_t pushed_local
    uint64_t pushed_bytes_local
    uint64_t taken               # chunks (and jumbo units) ever taken
    uint8_t *write_base
    uint64_t _line1[8]
    # published by the producer
    uint64_t pushed
    uint64_t pushed_bytes
    uint64_t _line2[8]
    # consumer's line
    uint64_t read_chunk
    uint32_t read_at
    uint64_t popped
    uint64_t popped_bytes
    uint64_t released            # chunks (and jumbo units) ever given back
    uint32_t *order              # chunk numbers in the order they were filled

cdef class Rings:
    cdef tg_ring rings[TG_CLASSES]
    cdef uint8_t *_memory
    cdef size_t _memory_bytes
    cdef readonly uint32_t chunk_bytes
    cdef readonly uint32_t chunks
    cdef readonly uint32_t reserved     # chunks that each class has for itself
    cdef uint32_t shared
    cdef uint32_t _mask                 # of every index array
    cdef uint32_t *_stack               # free chunks, last freed on top: the producer's own
    cdef uint32_t _stack_len
    cdef uint32_t *_returned            # freed by the consumer, on their way to the stack
    cdef uint64_t _returned_head        # consumer writes
    cdef uint64_t _returned_tail        # producer's own

    # producer
    cdef tg_record *reserve(self, int klass, size_t payload_bytes) noexcept nogil
    cdef void commit(self, int klass, tg_record *record) noexcept nogil
    cdef void publish(self) noexcept nogil
    cdef bint has_room(self, int klass, size_t payload_bytes) noexcept nogil
    cdef bint fits_ever(self, size_t payload_bytes) noexcept nogil
    cdef int64_t room_chunks(self, int klass) noexcept nogil
    cdef bint _take_chunk(self, int klass) noexcept nogil

    # consumer
    cdef tg_cursor cursor(self, int klass) noexcept nogil
    cdef tg_record *peek(self, int klass, tg_cursor *at) noexcept nogil
    cdef void step(self, tg_cursor *at, tg_record *record) noexcept nogil
    cdef tg_record *consume(self, int klass) noexcept nogil
    cdef void drop(self, int klass, tg_record *record) noexcept nogil
    cdef uint64_t records(self, int klass) noexcept nogil
    cdef uint64_t bytes(self, int klass) noexcept nogil
