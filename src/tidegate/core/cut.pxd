# Cut: how many of a ring's oldest records make the next batch.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tidegate.core.atomic cimport tg_load_i32
from tidegate.core.encode cimport tg_identity
from tidegate.core.ledger cimport Ledger, tg_lane_counts
from tidegate.core.origins cimport tg_place
from tidegate.core.ring cimport Rings, tg_extra, tg_record
from tidegate.core.slots cimport TG_SLOT_LIVE, TG_SLOT_ORPHAN, tg_slot

cdef enum:
    TG_OFFSETS_BYTES = 4096      # of the X-Tidegate-Offsets header

cdef struct tg_cut:
    uint32_t records
    int format                   # TG_FORMAT_*: the one asked for, or TG_FORMAT_OPAQUE
    size_t bound                 # most bytes of the body
    double weight                # of each record; 1 in an envelope
    bint replayed                # each was parked before

# The event loop's thread. The class's head must be there and live.
cdef void cut_batch(Rings rings, Ledger ledger, int klass, int format, uint32_t max_records, size_t max_bytes,
                    tg_cut *out) noexcept nogil

cdef inline bint deliverable(tg_slot *slot) noexcept nogil:
    cdef int32_t state = tg_load_i32(&slot.state)
    return state == TG_SLOT_LIVE or state == TG_SLOT_ORPHAN

cdef inline void identify(Ledger ledger, const tg_record *record, const tg_extra *extra, tg_slot *slot,
                          tg_identity *out) noexcept nogil:
    """What the app knows a record by; `extra` NULL or without an origin: where it stands."""
    cdef const tg_place *place
    cdef tg_lane_counts *lane
    if extra is not NULL and extra.origin:
        place = ledger.origins.place(extra.origin)
        out.topic, out.topic_len, out.partition = place.topic, place.topic_len, place.partition
        out.offset = extra.origin_offset
    else:
        lane = ledger.lanes[slot.lane]
        out.topic, out.topic_len, out.partition, out.offset = lane.topic, lane.topic_len, slot.partition, record.offset
