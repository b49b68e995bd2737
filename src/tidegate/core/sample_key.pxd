from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

from tidegate.core.csrc cimport tg_header, tg_scan_plan, tg_scan_value


cdef enum:  # which fields a scan looks for beside the sampling key
    TG_KEYED_CHECK = 0      # none
    TG_KEYED_RULES = 1      # those of json: rules
    TG_KEYED_ALL = 2        # type fields and those of json: rules
    TG_KEYED_PLANS = 3


# Where a record's sampling key lies; borrows from the record.
cdef struct tg_sample_place:
    const uint8_t *ptr              # NULL: it has none of the fields
    uint32_t len                    # bytes, never 0 where there is one
    int32_t place                   # for SampleKey.places; -1: none
    uint8_t escaped                 # 1: JSON text with backslashes


cdef class SampleKey:
    cdef readonly tuple places
    cdef readonly bint needs_headers
    cdef readonly bint needs_payload
    cdef list _keep                 # bytes objects that the arrays below borrow from
    cdef tg_scan_plan *plans[TG_KEYED_PLANS]                # owns; NULL where there are no places at all
    cdef const int32_t *_fields[TG_KEYED_PLANS]             # by place: its field in the plan, -1: a header
    cdef const uint8_t **_names                             # owns; by place: header name in lower case, or NULL
    cdef const int32_t *_name_lens
    cdef uint32_t _n

    # `fields` as the plan `which` found them, NULL where the value could not be scanned. From any thread.
    cdef void choose(self, const tg_header *headers, size_t n_headers, const tg_scan_value *fields, int which,
                     tg_sample_place *out) noexcept nogil
