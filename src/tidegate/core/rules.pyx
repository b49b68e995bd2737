"""RuleTable: rule texts compiled once, then the class of every event at the price of a few look-ups.

Kinds decide in the order topic, header, json and type words together, key; the first kind with a match wins.
Within a kind: exact, then the pattern with more literal characters, then the higher class, then the earlier rule.

Type fields: those in headers are looked at before those in the payload, each group in the given order. The first
whose value matches a type word gives the candidate, which then competes with the ``json:`` rules; a value that
matches nothing falls through to the next field. Where a header gives it, the payload's fields are not consulted.

A value is a string (escapes decoded), or the text of a number or boolean; null, objects and arrays count as
absent. Of equal headers the last counts. A payload that is not valid JSON at the asked level contributes nothing.
"""

cimport cython

from time import perf_counter_ns

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tidegate.core.csrc cimport (
    TG_RANK_NONE, TG_SCAN_EMPTY, TG_SCAN_FALSE, TG_SCAN_GRAMMAR, TG_SCAN_MAX_FIELDS, TG_SCAN_NUMBER, TG_SCAN_OK,
    TG_SCAN_STRING, TG_SCAN_STRUCTURE, TG_SCAN_TRUE, tg_glob, tg_match, tg_match_value, tg_matcher, tg_scan,
    tg_scan_info, tg_scan_level, tg_scan_plan, tg_scan_plan_free, tg_scan_status_name, tg_scan_unescape, tg_scan_use,
    tg_scan_value, tg_scratch, tg_scratch_free, tg_scratch_new, tg_slot, tg_words_find, tg_xxh64,
)
from tidegate.core.rule_fill cimport fill_matcher, fill_words, hold_numbers, make_plan
from tidegate.core.sample_key cimport TG_KEYED_ALL, TG_KEYED_CHECK, TG_KEYED_RULES, SampleKey, tg_sample_place

from tidegate.core.rule_layout import lay_out
from tidegate.core.scan import using
from tidegate.core.verdict import Verdict
from tidegate.types import EventClass

# This extension has its own copy of the scanner's code: it takes what TIDEGATE_SIMD made of the other.
tg_scan_use(using().encode())

__all__ = ["RuleTable", "Verdict", "xxh64"]

cdef enum:  # as in rule_layout.py
    TOPIC = 0
    KEY = 1
    TYPE = 2

cdef extern from *:
    """
    #define tg_rarely(c) __builtin_expect(!!(c), 0)
    """
    bint tg_rarely(bint condition) noexcept nogil

cdef int UNCLASSIFIED = EventClass.HIGH
cdef const char *TRUE = "true"
cdef const char *FALSE = "false"


def xxh64(bytes data not None, seed=0):
    return tg_xxh64(<const uint8_t *> <const char *> data, len(data), <uint64_t> seed)


# Whether a field has a value; booleans get their text here.
cdef inline bint has_text(tg_scan_value *v) noexcept nogil:
    if v.kind == TG_SCAN_STRING or v.kind == TG_SCAN_NUMBER:
        return True
    if v.kind != TG_SCAN_TRUE and v.kind != TG_SCAN_FALSE:
        return False
    v.ptr = <const uint8_t *> (TRUE if v.kind == TG_SCAN_TRUE else FALSE)
    v.len = 4 if v.kind == TG_SCAN_TRUE else 5
    v.escaped = 0
    return True


@cython.final
cdef class RuleTable:
    def __cinit__(self, rules, type_fields, sample_key=()):
        layout = lay_out(rules, type_fields)
        self.sample_key = SampleKey(sample_key, layout.rule_pointers, layout.pointers)
        keep = self._keep = []
        self._texts, self._places = tuple([text for _, text in rules]), tuple(layout.places)
        self.needs_headers, self.needs_key = layout.needs_headers, layout.needs_key
        self.needs_payload = layout.needs_payload
        self._n_headers, self._n_type_headers = len(layout.headers), len(layout.type_header)
        self._n_pointers, self._n_type_pointers = len(layout.pointers), layout.type_pointers
        self._n_rule_pointers = len(layout.rule_pointers)
        self._topic_place = layout.topic_place
        self._header_matcher = hold_numbers(keep, layout.header_matcher)
        self._type_header = hold_numbers(keep, layout.type_header)
        self._type_place = hold_numbers(keep, layout.type_place)
        self._pointer_matcher = hold_numbers(keep, layout.pointer_matcher)
        self._rule_pointer_matcher = hold_numbers(keep, layout.rule_pointer_matcher)
        self._rank_rule = hold_numbers(keep, layout.rank_rule)
        self._rank_class = hold_numbers(keep, layout.rank_class)
        self._rank_place = hold_numbers(keep, layout.rank_place)
        fill_words(&self._names, keep, [(name, i) for i, name in enumerate(layout.headers)])
        self._matchers = <tg_matcher *> calloc(len(layout.matchers), sizeof(tg_matcher))
        if self._matchers == NULL:
            raise MemoryError
        for i, image in enumerate(layout.matchers):
            fill_matcher(&self._matchers[i], keep, image)
        self._plan_all = make_plan(layout.pointers)
        self._plan_rules = make_plan(layout.rule_pointers)
        self._plan_check = make_plan([])
        self._n_globs = max([len(image.globs) // sizeof(tg_glob) for image in layout.matchers])
        self._reader = new_scratch(self)
        self._python = new_scratch(self)

        # Nothing to look for: judge_keyed is judge.
        self.keyed = bool(self.sample_key.places)

    def __dealloc__(self):
        free(self._matchers)
        tg_scan_plan_free(self._plan_all)
        tg_scan_plan_free(self._plan_rules)
        tg_scan_plan_free(self._plan_check)
        tg_scratch_free(self._reader)
        tg_scratch_free(self._python)

    cdef void judge(self, int topic_class, int topic_rule, const tg_header *headers, size_t n_headers,
                    const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len, int level,
                    tg_verdict *out) noexcept nogil:
        self._judge(self._reader, False, NULL, topic_class, topic_rule, headers, n_headers, key, key_len, value,
                    value_len, level, out)

    cdef void judge_keyed(self, int topic_class, int topic_rule, const tg_header *headers, size_t n_headers,
                          const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len, int level,
                          tg_verdict *out, tg_sample_place *sample) noexcept nogil:
        cdef tg_keyed keyed
        sample.ptr = NULL
        keyed.headers, keyed.n_headers, keyed.out = headers, n_headers, sample
        self._judge(self._reader, False, &keyed if self.keyed else NULL, topic_class, topic_rule, headers, n_headers,
                    key, key_len, value, value_len, level, out)

    cdef void _judge(self, tg_scratch *s, bint full, const tg_keyed *keyed, int topic_class, int topic_rule,
                     const tg_header *headers, size_t n_headers, const uint8_t *key, size_t key_len,
                     const uint8_t *value, size_t value_len, int level, tg_verdict *out) noexcept nogil:
        cdef uint32_t best = TG_RANK_NONE, typed = TG_RANK_NONE
        cdef bint decided = topic_rule >= 0
        cdef bint want_type = full or not decided
        memset(out, 0, sizeof(tg_verdict))
        out.rule = out.where = -1
        if want_type and n_headers and self._n_headers:
            best = self._judge_headers(s, decided, headers, n_headers)
            decided = decided or best != TG_RANK_NONE
            want_type = full or not decided
            if want_type:
                typed = self._judge_type_headers(s, out)
        if not decided:
            best = typed
        best = self._judge_payload(s, keyed, not decided, want_type and typed == TG_RANK_NONE, value, value_len, level,
                                   best, out)
        if topic_rule >= 0:
            out.klass, out.rule, out.where = <uint8_t> topic_class, topic_rule, self._topic_place
            return
        if best == TG_RANK_NONE and key != NULL:
            # Past the memo: keys rarely come again soon enough.
            best = tg_match_value(&self._matchers[KEY], s, key, key_len)
        if best == TG_RANK_NONE:
            out.klass, out.unclassified = <uint8_t> UNCLASSIFIED, 1
            return
        out.klass, out.rule = <uint8_t> self._rank_class[best], self._rank_rule[best]
        if self._rank_place[best] >= 0:
            out.where = self._rank_place[best]

    # Collects the wanted headers, the last of each name; best rank of the header: rules unless it is decided.
    cdef uint32_t _judge_headers(self, tg_scratch *s, bint decided, const tg_header *headers, size_t n) noexcept nogil:
        cdef uint32_t best = TG_RANK_NONE, rank, header
        cdef const tg_header *h
        cdef tg_slot *slot
        s.epoch += 1
        while n:
            n -= 1
            h = &headers[n]
            header = tg_words_find(&self._names, <const uint8_t *> h.name, h.name_len, 0)
            if header == TG_RANK_NONE or s.headers[header].seen == s.epoch:
                continue
            slot = &s.headers[header]
            slot.seen, slot.ptr, slot.len = s.epoch, h.value, h.value_len
            if not decided and h.value != NULL and self._header_matcher[header] >= 0:
                rank = tg_match(self._matchers, self._header_matcher[header], s, h.value, h.value_len, 0)
                if rank < best:
                    best = rank
        return best

    cdef uint32_t _judge_type_headers(self, tg_scratch *s, tg_verdict *out) noexcept nogil:
        cdef uint32_t i, rank
        cdef tg_slot *slot
        for i in range(self._n_type_headers):
            slot = &s.headers[self._type_header[i]]
            if slot.seen != s.epoch or slot.ptr == NULL:
                continue
            rank = tg_match(self._matchers, TYPE, s, slot.ptr, slot.len, 0)
            if rank != TG_RANK_NONE or out.type_ptr == NULL:
                out.type_ptr, out.type_len, out.type_escaped = slot.ptr, <uint32_t> slot.len, 0
                out.where = self._type_place[i]
            if rank != TG_RANK_NONE:
                return rank
        return TG_RANK_NONE

    # Scans the value; the better of `best` and what the payload says, as far as `rules` and `types` ask.
    cdef uint32_t _judge_payload(self, tg_scratch *s, const tg_keyed *keyed, bint rules, bint types,
                                 const uint8_t *value, size_t n, int level, uint32_t best,
                                 tg_verdict *out) noexcept nogil:
        cdef tg_scan_value fields[TG_SCAN_MAX_FIELDS]
        cdef tg_scan_value *field
        cdef tg_scan_info info
        cdef const tg_scan_plan *plan = self._plan_check
        cdef const int32_t *matchers = NULL
        cdef uint32_t i, rank, n_matchers = 0
        cdef int which = TG_KEYED_CHECK
        if types:
            plan, matchers, n_matchers = self._plan_all, self._pointer_matcher, self._n_pointers
            which = TG_KEYED_ALL
        elif rules:
            plan, matchers, n_matchers = self._plan_rules, self._rule_pointer_matcher, self._n_rule_pointers
            which = TG_KEYED_RULES
        if tg_rarely(keyed != NULL):
            plan = self.sample_key.plans[which]
        if value == NULL:
            out.scan_status = TG_SCAN_EMPTY
        else:
            out.scan_status = <uint8_t> tg_scan(plan, value, n, <tg_scan_level> level, fields, &info)
        if tg_rarely(keyed != NULL):
            self.sample_key.choose(keyed.headers, keyed.n_headers, fields if out.scan_status == TG_SCAN_OK else NULL,
                                   which, keyed.out)
        if out.scan_status != TG_SCAN_OK:
            return best
        out.scan_flags = <uint8_t> info.flags
        if rules and self._n_rule_pointers:
            for i in range(n_matchers):
                field = &fields[i]
                if matchers[i] >= 0 and has_text(field):
                    rank = tg_match(self._matchers, matchers[i], s, field.ptr, field.len, field.escaped)
                    if rank < best:
                        best = rank
        if types:
            for i in range(self._n_type_pointers):
                field = &fields[i]
                if not has_text(field):
                    continue
                rank = tg_match(self._matchers, TYPE, s, field.ptr, field.len, field.escaped)
                if rank != TG_RANK_NONE or out.type_ptr == NULL:
                    out.type_ptr, out.type_len, out.type_escaped = field.ptr, field.len, field.escaped
                    out.where = self._type_place[self._n_type_headers + i]
                if rank != TG_RANK_NONE:
                    return rank if rules and rank < best else best
        return best

    # ---- the Python face ----

    def topic(self, str topic not None):
        cdef bytes name = topic.encode("utf-8", "surrogateescape")
        cdef uint32_t rank = tg_match_value(&self._matchers[TOPIC], self._python, <const uint8_t *> <const char *> name,
                                            len(name))
        return None if rank == TG_RANK_NONE else (self._rank_class[rank], self._rank_rule[rank])

    def rule_text(self, Py_ssize_t index):
        if not 0 <= index < len(self._texts):
            raise IndexError(index)
        return self._texts[index]

    def place(self, Py_ssize_t where):
        if not 0 <= where < len(self._places):
            raise IndexError(where)
        return self._places[where]

    def classify(self, str topic not None, bytes key, headers, bytes value, *, bint as_reader=False,
                 bint as_line=False):
        cdef tg_verdict out
        cdef tg_keyed keyed
        cdef tg_sample_place sample
        cdef tg_header *native
        cdef list kept = [(header.encode("utf-8", "surrogateescape"), data) for header, data in headers]
        cdef bytes name, content
        cdef size_t n = 0
        cdef int level = TG_SCAN_STRUCTURE if as_reader or as_line else TG_SCAN_GRAMMAR
        cdef tg_scan_value none[1]
        cdef tg_scan_info info
        decided = self.topic(topic) or (-1, -1)
        sample.ptr = NULL
        native = <tg_header *> calloc(len(kept) + 1, sizeof(tg_header))
        if native == NULL:
            raise MemoryError
        try:
            for name, content in kept:
                native[n].name, native[n].name_len = name, len(name)
                if content is not None:
                    native[n].value, native[n].value_len = pointer_to(content), len(content)
                n += 1
            keyed.headers, keyed.n_headers, keyed.out = native, n, &sample
            self._judge(self._python, not as_reader, &keyed if self.keyed else NULL, decided[0], decided[1], native, n,
                        pointer_to(key), len(key or b""), pointer_to(value), len(value or b""), level, &out)
            if as_line and out.scan_status == TG_SCAN_OK:
                out.scan_status = <uint8_t> tg_scan(self._plan_check, pointer_to(value), len(value), TG_SCAN_GRAMMAR,
                                                    none, &info)
        finally:
            free(native)
        return Verdict(
            klass=out.klass,
            unclassified=bool(out.unclassified),
            type=type_text(&out),
            where=None if out.where < 0 else self._places[out.where],
            rule=None if out.rule < 0 else self._texts[out.rule],
            valid=out.scan_status in (TG_SCAN_OK, TG_SCAN_EMPTY),
            status=tg_scan_status_name(out.scan_status).decode(),
            sample_key=sample_text(&sample),
            sample_place=None if sample.ptr == NULL else self.sample_key.places[sample.place],
        )

    def bench(self, list values not None, int rounds, *, bint scan_only=False, bint keyed=False):
        cdef tg_scratch *scratch
        cdef tg_verdict out
        cdef tg_scan_value fields[TG_SCAN_MAX_FIELDS]
        cdef tg_scan_info info
        cdef const uint8_t **ptrs
        cdef size_t *lens
        cdef size_t i, n = len(values)
        cdef int _turn
        cdef tg_keyed no_headers
        cdef tg_sample_place sample
        cdef const tg_keyed *how = &no_headers if keyed and self.keyed else NULL
        ptrs = <const uint8_t **> calloc(n + 1, sizeof(uint8_t *))
        lens = <size_t *> calloc(n + 1, sizeof(size_t))
        cdef const tg_scan_plan *plan = self.sample_key.plans[TG_KEYED_ALL] if how != NULL else self._plan_all
        no_headers.headers, no_headers.n_headers, no_headers.out = NULL, 0, &sample
        scratch = tg_scratch_new(self._n_headers, self._n_globs)
        try:
            if ptrs == NULL or lens == NULL or scratch == NULL:
                raise MemoryError
            for i in range(n):
                ptrs[i], lens[i] = pointer_to(values[i]), len(values[i])
            start = perf_counter_ns()
            with nogil:
                for _turn in range(rounds):
                    for i in range(n):
                        if scan_only:
                            tg_scan(plan, ptrs[i], lens[i], TG_SCAN_STRUCTURE, fields, &info)
                        else:
                            self._judge(scratch, False, how, -1, -1, NULL, 0, NULL, 0, ptrs[i], lens[i],
                                        TG_SCAN_STRUCTURE, &out)
            return (perf_counter_ns() - start) / max(<size_t> 1, n * <size_t> rounds)
        finally:
            free(ptrs)
            free(lens)
            tg_scratch_free(scratch)


cdef tg_scratch *new_scratch(RuleTable table) except NULL:
    cdef tg_scratch *scratch = tg_scratch_new(table._n_headers, table._n_globs)
    if scratch == NULL:
        raise MemoryError
    return scratch


cdef inline const uint8_t *pointer_to(bytes data) noexcept:
    if data is None:
        return NULL
    return <const uint8_t *> <const char *> data


cdef type_text(const tg_verdict *v):
    if v.type_ptr == NULL:
        return None
    cdef bytearray text
    if v.type_escaped:
        text = bytearray(v.type_len)
        del text[tg_scan_unescape(v.type_ptr, v.type_len, <uint8_t *> <char *> text):]
        return text.decode("utf-8", "surrogatepass")
    # A payload was checked; a header may hold anything.
    return (<const char *> v.type_ptr)[:v.type_len].decode("utf-8", "replace")


cdef bytes sample_text(const tg_sample_place *place):
    if place.ptr == NULL:
        return None
    if not place.escaped:
        return (<const char *> place.ptr)[:place.len]
    cdef bytearray text = bytearray(place.len)
    return bytes(text[:tg_scan_unescape(place.ptr, place.len, <uint8_t *> <char *> text)])
