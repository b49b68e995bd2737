# Bodies: how a record stands in a batch.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t

from tidegate.core.csrc cimport tg_decimal_memo, tg_sample
from tidegate.core.ring cimport tg_extra, tg_record

cdef enum:
    TG_FORMAT_NDJSON = 0
    TG_FORMAT_JSON = 1
    TG_FORMAT_ENVELOPE = 2
    TG_FORMAT_OPAQUE = 3         # one record, its bytes as they came

# What the app knows a record by: where it stands, or stood before it was parked. Borrows the topic.
cdef struct tg_identity:
    const char *topic
    size_t topic_len
    int32_t partition
    int64_t offset

cdef double weight_of(const tg_extra *extra, tg_sample *sample) noexcept nogil
cdef uint8_t *put_int(uint8_t *out, int64_t value) noexcept nogil
cdef size_t plain_bound(const tg_record *record) noexcept nogil
cdef uint8_t *plain_write(tg_record *record, uint8_t *out) noexcept nogil
cdef size_t envelope_bound(tg_record *record, size_t topic_len) noexcept nogil
cdef uint8_t *envelope_write(tg_record *record, const tg_identity *id, const tg_extra *extra, int klass,
                             tg_decimal_memo *memo, uint8_t *out) noexcept nogil
