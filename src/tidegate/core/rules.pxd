cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

from tidegate.core.csrc cimport tg_header, tg_matcher, tg_scan_plan, tg_scratch, tg_words
from tidegate.core.sample_key cimport SampleKey, tg_sample_place


# Asks for the sampling key as well; the headers as judge() has them.
cdef struct tg_keyed:
    const tg_header *headers
    size_t n_headers
    tg_sample_place *out


# What the rules say of one event; type_ptr borrows from the event or is static.
cdef struct tg_verdict:
    uint8_t klass
    uint8_t unclassified
    uint8_t scan_status             # tg_scan_status of the value; TG_SCAN_EMPTY for a tombstone
    uint8_t scan_flags              # TG_SCAN_HAS_*; 0 unless the status is TG_SCAN_OK
    int32_t rule                    # index as given to the constructor, -1: none matched
    int32_t where                   # for RuleTable.place(), -1: none
    uint32_t type_len
    const uint8_t *type_ptr         # NULL: none found
    uint8_t type_escaped            # 1: JSON text with backslashes


@cython.final
cdef class RuleTable:
    cdef readonly bint needs_headers
    cdef readonly bint needs_key
    cdef readonly bint needs_payload
    cdef readonly bint keyed        # there is a sampling key to look for
    cdef readonly SampleKey sample_key
    cdef tuple _texts               # rule texts as given
    cdef tuple _places              # names that `where` stands for
    cdef list _keep                 # bytes objects that the native tables borrow from
    cdef tg_matcher *_matchers      # owns
    cdef tg_scratch *_reader        # owns; of judge(), so of one thread
    cdef tg_scratch *_python        # owns; of the Python face, guarded by the GIL
    cdef tg_scan_plan *_plan_all    # owns; type fields in the payload, then further pointers of json: rules
    cdef tg_scan_plan *_plan_rules  # owns; pointers of json: rules
    cdef tg_scan_plan *_plan_check  # owns; no field at all
    # Below: borrows from _keep. Layout (rule_layout.py) says what they hold.
    cdef tg_words _names
    cdef const int32_t *_header_matcher
    cdef const int32_t *_type_header
    cdef const int32_t *_type_place
    cdef const int32_t *_pointer_matcher
    cdef const int32_t *_rule_pointer_matcher
    cdef const int32_t *_rank_rule
    cdef const int32_t *_rank_class
    cdef const int32_t *_rank_place
    cdef int32_t _topic_place
    cdef uint32_t _n_headers
    cdef uint32_t _n_globs
    cdef uint32_t _n_type_headers
    cdef uint32_t _n_type_pointers
    cdef uint32_t _n_pointers
    cdef uint32_t _n_rule_pointers

    # For the one reader thread. Headers in the record's order; topic_class and topic_rule as topic() gave them, -1
    # and -1 for None; key NULL: null key; value NULL: tombstone; level: tg_scan_level. Always scans the whole value.
    cdef void judge(self, int topic_class, int topic_rule, const tg_header *headers, size_t n_headers,
                    const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len, int level,
                    tg_verdict *out) noexcept nogil

    # The same, and where the sampling key lies: a few ns dearer, so only while somebody asks for it.
    cdef void judge_keyed(self, int topic_class, int topic_rule, const tg_header *headers, size_t n_headers,
                          const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len, int level,
                          tg_verdict *out, tg_sample_place *sample) noexcept nogil

    cdef void _judge(self, tg_scratch *s, bint full, const tg_keyed *keyed, int topic_class, int topic_rule,
                     const tg_header *headers, size_t n_headers, const uint8_t *key, size_t key_len,
                     const uint8_t *value, size_t value_len, int level, tg_verdict *out) noexcept nogil
    cdef uint32_t _judge_headers(self, tg_scratch *s, bint decided, const tg_header *headers, size_t n) noexcept nogil
    cdef uint32_t _judge_type_headers(self, tg_scratch *s, tg_verdict *out) noexcept nogil
    cdef uint32_t _judge_payload(self, tg_scratch *s, const tg_keyed *keyed, bint rules, bint types,
                                 const uint8_t *value, size_t len, int level, uint32_t best,
                                 tg_verdict *out) noexcept nogil
