# Batch: records of one class on their way to a sink.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.ledger cimport Ledger

cdef struct tg_run:
    # Neighbouring offsets of one slot, in the order of the body.
    uint32_t slot
    uint32_t count
    uint32_t gap        # missing offsets before the first
    uint32_t _unused
    int64_t first

cdef class Batch:
    cdef readonly int klass
    cdef readonly uint32_t records
    cdef readonly bytes body
    cdef readonly int format             # TG_FORMAT_* of encode.pxd
    cdef readonly int64_t oldest_ms      # smallest record timestamp; -1: none has one
    cdef readonly int64_t taken_ns       # monotonic time at which it left the ring
    cdef public uint32_t attempts
    cdef bint ended                      # settled or discarded
    cdef int32_t *ages_ms                # by record: age when it left the ring; -1: not known. NULL: none is
    cdef tg_run *runs
    cdef uint32_t run_count
    cdef uint32_t run_room
    cdef Ledger ledger
    cdef dict _headers

    cdef bint add(self, uint32_t slot, int64_t offset, uint32_t gap) noexcept nogil
    cdef bytes _write_offsets(self)
