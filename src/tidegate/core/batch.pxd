# Batch: records of one class on their way to a sink.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.encode cimport tg_identity
from tidegate.core.ledger cimport Ledger

cdef struct tg_run:
    # Neighbouring offsets of one slot, or of one origin, in the order of the body.
    uint32_t slot
    uint32_t count
    uint32_t gap        # missing offsets before the first; of no meaning in `id_runs`
    uint32_t origin     # in `id_runs`: number of the place (Ledger.origin), 0: the slot's own
    int64_t first

cdef class Batch:
    cdef readonly int klass
    cdef readonly uint32_t records
    cdef readonly bytes body
    cdef readonly int format             # TG_FORMAT_* of encode.pxd
    cdef readonly int64_t oldest_ms      # smallest record timestamp; -1: none has one
    cdef readonly int64_t taken_ns       # monotonic time at which it left the ring
    cdef readonly double weight          # of each record; 1 in an envelope, where each says its own
    cdef readonly bint replayed          # they were parked, all of them
    cdef public uint32_t attempts
    cdef bint ended                      # settled or discarded
    cdef int32_t *ages_ms                # by record: age when it left the ring; -1: not known. NULL: none is
    cdef tg_run *runs
    cdef uint32_t run_count
    cdef uint32_t run_room
    cdef tg_run *id_runs                 # what the app knows the records by; NULL: they stand where `runs` says
    cdef uint32_t id_run_count
    cdef uint32_t id_run_room
    cdef Ledger ledger
    cdef dict _headers

    cdef bint add(self, uint32_t slot, int64_t offset, uint32_t gap, uint32_t origin,
                  int64_t origin_offset) noexcept nogil
    cdef bint _add_id(self, uint32_t slot, int64_t offset, uint32_t origin) noexcept nogil
    cdef void _where(self, const tg_run *run, tg_identity *out) noexcept nogil
    cdef bytes _write_offsets(self)
