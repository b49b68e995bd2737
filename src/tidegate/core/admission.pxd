# Admission: what becomes of a record beside going into its ring: it is parked, dropped, or comes back from either.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.csrc cimport (
    TG_SCAN_EMPTY,
    TG_SCAN_HAS_BOM,
    TG_SCAN_HAS_NEWLINE,
    TG_SCAN_OK,
    tg_header,
    tg_parked,
    tg_sample,
)
from tidegate.core.gate cimport Gate, tg_arrival
from tidegate.core.headers cimport Headers
from tidegate.core.lanes cimport tg_lane
from tidegate.core.rdkafka cimport rd_kafka_message_t
from tidegate.core.ring cimport (
    TG_EXTRA_HAS_RANDOMNESS,
    TG_EXTRA_HAS_THRESHOLD,
    TG_RECORD_BOM,
    TG_RECORD_EMPTY,
    TG_RECORD_INVALID,
    TG_RECORD_NEWLINE,
    put_extra,
    tg_extra,
    tg_record,
)
from tidegate.core.rules cimport tg_verdict
from tidegate.core.sample_key cimport tg_sample_place
from tidegate.core.slots cimport tg_slot

cdef enum:
    TG_HOLD = 3                          # beside TG_DELIVER, TG_PARK, TG_DROP: the lane is held, the record stays
    TG_REFUSED_SAID_NS = 10000000000     # between two notes about records that cannot be parked as they are

cdef class Admission(Headers):
    cdef Gate gate
    cdef bint gated                      # there is one
    cdef bint ordered                    # and it was told something, for the batch in hand
    cdef bint counting                   # it counts types, told or not
    cdef bint keep_key
    cdef int level
    cdef int64_t ttl_ms                  # of bulk; 0: it never expires
    cdef int64_t wall_ms                 # of the batch in hand
    cdef int64_t refused_said_ns

    cdef void begin(self) noexcept nogil
    cdef bint expired(self, int klass, int64_t timestamp_ms, size_t headers) noexcept nogil
    cdef bint _passed(self, const tg_header *header) noexcept nogil
    cdef bint _expired_parked(self, const tg_parked *parked) noexcept nogil
    cdef int decide(self, tg_lane *lane, rd_kafka_message_t *message, const tg_verdict *verdict,
                    const tg_sample_place *key, size_t headers, tg_arrival *arrival, tg_sample *sample) noexcept nogil
    cdef int park(self, tg_lane *lane, tg_slot *slot, uint32_t gap, int klass, rd_kafka_message_t *message,
                  size_t headers, bint gathered, const tg_sample *sample, int64_t now_ns) noexcept nogil
    cdef bint take_parked(self, tg_lane *lane, tg_slot *slot, uint32_t gap, rd_kafka_message_t *message,
                          int64_t now_ns) noexcept nogil
    cdef int give_back(self, int64_t now_ns) noexcept nogil
    cdef void _heed(self, const tg_header *header, tg_sample *sample) noexcept nogil
    cdef void _recall(self, const tg_parked *parked, tg_sample *sample) noexcept nogil
    cdef tg_record *_lay(self, const tg_parked *parked, const void *key, size_t key_len, const tg_sample *sample,
                         uint32_t origin, bint replayed) noexcept nogil

cdef inline uint32_t scan_flags(const tg_verdict *verdict) noexcept nogil:
    """A record's flags, as its value's scan has them."""
    cdef uint32_t flags = 0
    if verdict.scan_status == TG_SCAN_OK:
        if verdict.scan_flags & TG_SCAN_HAS_NEWLINE:
            flags |= TG_RECORD_NEWLINE
        if verdict.scan_flags & TG_SCAN_HAS_BOM:
            flags |= TG_RECORD_BOM
    elif verdict.scan_status == TG_SCAN_EMPTY:
        flags |= TG_RECORD_EMPTY
    else:
        flags |= TG_RECORD_INVALID
    return flags

cdef inline void write_extra(tg_record *record, const tg_sample *sample, uint32_t origin, int64_t origin_offset,
                             uint32_t flags) noexcept nogil:
    """Puts a record's extra behind its headers; its lengths are set, and room was reserved."""
    cdef tg_extra extra
    extra.origin, extra.origin_offset, extra.factor = origin, origin_offset, sample.factor
    extra.randomness, extra.threshold, extra.flags = sample.randomness, sample.threshold, flags
    if sample.has_randomness:
        extra.flags |= TG_EXTRA_HAS_RANDOMNESS
    if sample.has_threshold:
        extra.flags |= TG_EXTRA_HAS_THRESHOLD
    put_extra(record, &extra)
