"""Cut: how many of a ring's oldest records make the next batch, and how large its body can get.

A batch ends before a record that is too much for its bounds (records, bytes of the body, bytes of the offsets header),
or unlike its first. What is not one JSON value stands alone. The records of a batch were all parked before, or none
was; and but for an envelope, where each says its own, they have one weight.
"""

from tidegate.core.csrc cimport tg_sample
from tidegate.core.encode cimport TG_FORMAT_ENVELOPE, TG_FORMAT_OPAQUE, envelope_bound, plain_bound, weight_of
from tidegate.core.ring cimport (
    TG_EXTRA_REPLAYED,
    TG_RECORD_EXTRA,
    TG_RECORD_INVALID,
    get_extra,
    record_len,
    tg_cursor,
)

cdef extern from *:
    """
    #define tg_prefetch(p) __builtin_prefetch(p)
    """
    void tg_prefetch(const void *p) noexcept nogil

cdef uint64_t ORIGIN = <uint64_t>1 << 32    # of a place's number: one of Ledger.origin, not a slot's


cdef inline void fetch_ahead(const tg_record *record) noexcept nogil:
    """A ring that was full holds records that left the cache long ago. They stand one behind the other, so the lines
    two KiB ahead are asked for while this record is looked at; both passes of a batch then find them near."""
    cdef const char *ahead = <const char *>record + 2048
    cdef const char *end = ahead + (record.size if record.size < 1024 else 1024)
    while ahead < end:
        tg_prefetch(ahead)
        ahead += 64


cdef size_t decimal_digits(int64_t number) noexcept nogil:
    cdef size_t n = 1
    while number >= 10:
        number //= 10
        n += 1
    return n


cdef void cut_batch(Rings rings, Ledger ledger, int klass, int format, uint32_t max_records, size_t max_bytes,
                    tg_cut *out) noexcept nogil:
    cdef tg_cursor at = rings.cursor(klass)
    cdef tg_record *record
    cdef tg_slot *slot
    cdef tg_extra extra
    cdef tg_extra *more           # NULL: the record has none
    cdef tg_sample sample
    cdef tg_identity id
    cdef size_t bound = 2, size = 2, one, estimate
    cdef uint32_t n = 0
    cdef uint32_t unlike = 0      # TG_RECORD_EXTRA where a record that has none would be unlike the first
    cdef bint replayed, named
    cdef double weight
    cdef size_t header = 0
    cdef int64_t offset, last_offset = 0
    cdef uint64_t where, last_where = 0, run_count = 0, longer = 0
    cdef bint envelope = format == TG_FORMAT_ENVELOPE
    out.weight, out.replayed = 1.0, False
    while n < max_records:
        record = rings.peek(klass, &at)
        if record is NULL:
            break
        fetch_ahead(record)
        slot = ledger.slots[record.slot]
        if n and not deliverable(slot):
            break  # discarded when it is the head (a head revoked since _ready is merely in flight)
        if record.flags & TG_RECORD_INVALID:
            if n:
                break
            format = TG_FORMAT_OPAQUE
        more = NULL
        where, offset = record.slot, record.offset
        if (record.flags | unlike) & TG_RECORD_EXTRA:
            replayed, weight = False, 1.0
            if record.flags & TG_RECORD_EXTRA:
                more = &extra
                get_extra(record, more)
                replayed = extra.flags & TG_EXTRA_REPLAYED != 0
                if not envelope or format == TG_FORMAT_OPAQUE:
                    weight = weight_of(more, &sample)
                if extra.origin:
                    where, offset = ORIGIN | extra.origin, extra.origin_offset
            if n == 0:
                out.weight, out.replayed = weight, replayed
                unlike = TG_RECORD_EXTRA if replayed or weight != 1.0 else 0
            elif replayed != out.replayed or weight != out.weight:
                break
        named = n == 0 or where != last_where or offset <= last_offset
        if named or envelope:
            identify(ledger, record, more, slot, &id)
        if envelope:
            one = envelope_bound(record, id.topic_len)
            estimate = record_len(record) + id.topic_len + 128
        else:
            one = plain_bound(record) + 1
            estimate = one
        if n and size + estimate > max_bytes:
            break
        # Length of the offsets header.
        if named:
            header += id.topic_len + decimal_digits(id.partition) + decimal_digits(offset) + 3
            run_count = 1
        elif offset - last_offset == 1 and (record.gap == 0 or where & ORIGIN):
            run_count += 1
            if run_count == 2:
                header += 2
                longer = 10
            elif run_count == longer:
                header += 1
                longer *= 10
        else:
            header += decimal_digits(offset - last_offset) + 2
            run_count = 1
        if header > TG_OFFSETS_BYTES + 1 and n:  # the first place has no semicolon
            break
        last_where, last_offset = where, offset
        bound += one
        size += estimate
        n += 1
        rings.step(&at, record)
        if format == TG_FORMAT_OPAQUE:
            break
    out.records, out.format, out.bound = n, format, bound
