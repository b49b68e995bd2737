"""SampleKey: by what a record is sampled: the session it belongs to, else the user, else the event.

An ordered list of headers and places in the payload; the first that has a value gives the key. A value is a string or a
number that is not empty: were an empty one a key, all who are not logged in would be kept or dropped together. The
payload's places are looked for in the same pass as the fields that the rules ask for, which is why there is one scan
plan beside each of the table's own: those stay as they are for records that need no key.
"""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport calloc, free

from tidegate.core.csrc cimport TG_SCAN_NUMBER, TG_SCAN_STRING, tg_fold, tg_scan_plan_free
from tidegate.core.rule_fill cimport hold_numbers, make_plan

from tidegate.core.rule_layout import refuse_too_many_places
from tidegate.core.rule_text import Kind, parse_sample_field


cdef bint same_name(const uint8_t *name, const uint8_t *lower, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        if tg_fold(name[i], 0) != lower[i]:
            return False
    return True


cdef class SampleKey:
    def __cinit__(self, places, rule_pointers, all_pointers):
        fields = list({(f.kind, f.identity): f for f in map(parse_sample_field, reversed(places))}.values())[::-1]
        pointers = [f.identity for f in fields if f.kind is Kind.JSON]
        self._keep = []
        self._n = len(fields)
        self.places = tuple([f.place for f in fields])
        self.needs_headers, self.needs_payload = len(pointers) < len(fields), bool(pointers)
        if not fields:
            return
        for which, beside in enumerate(([], rule_pointers, all_pointers)):
            wanted = list(dict.fromkeys([*beside, *pointers]))
            refuse_too_many_places(wanted, fields)
            self.plans[which] = make_plan(wanted)
            self._fields[which] = hold_numbers(
                self._keep, [wanted.index(f.identity) if f.kind is Kind.JSON else -1 for f in fields])
        self._names = <const uint8_t **>calloc(self._n, sizeof(const uint8_t *))
        if self._names is NULL:
            raise MemoryError
        for i, field in enumerate(fields):
            if field.kind is Kind.HEADER:
                name = field.identity
                self._keep.append(name)
                self._names[i] = <const uint8_t *><const char *>name
        self._name_lens = hold_numbers(self._keep, [len(f.identity) for f in fields])

    def __dealloc__(self):
        cdef int which
        for which in range(TG_KEYED_PLANS):
            tg_scan_plan_free(self.plans[which])
        free(<void *>self._names)

    cdef void choose(self, const tg_header *headers, size_t n_headers, const tg_scan_value *fields, int which,
                     tg_sample_place *out) noexcept nogil:
        cdef const int32_t *places = self._fields[which]
        cdef const tg_scan_value *field
        cdef const tg_header *header
        cdef uint32_t i
        cdef size_t n
        for i in range(self._n):
            if places[i] >= 0:
                if fields is NULL:
                    continue
                field = &fields[places[i]]
                if (field.kind == TG_SCAN_STRING or field.kind == TG_SCAN_NUMBER) and field.len:
                    out.ptr, out.len, out.place, out.escaped = field.ptr, field.len, <int32_t>i, field.escaped
                    return
                continue
            n = n_headers
            while n:
                n -= 1
                header = &headers[n]
                if header.name_len != <size_t>self._name_lens[i] or not same_name(
                        <const uint8_t *>header.name, self._names[i], header.name_len):
                    continue
                # Of equal headers the last counts, whatever it is.
                if header.value is not NULL and header.value_len:
                    out.ptr, out.len, out.place, out.escaped = header.value, <uint32_t>header.value_len, <int32_t>i, 0
                    return
                break
        out.ptr, out.len, out.place, out.escaped = NULL, 0, -1, 0
