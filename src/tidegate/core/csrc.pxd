# The only extern declarations of the C sources; what each function promises stands in its header.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "tg_scan.h" nogil:
    enum:
        TG_SCAN_MAX_FIELDS
        TG_SCAN_MAX_DEPTH
        TG_SCAN_HAS_NEWLINE
        TG_SCAN_HAS_BOM

    ctypedef enum tg_scan_status:
        TG_SCAN_OK
        TG_SCAN_EMPTY
        TG_SCAN_ESYNTAX
        TG_SCAN_ETRUNC
        TG_SCAN_ESTRING
        TG_SCAN_EUTF8
        TG_SCAN_EDEPTH
        TG_SCAN_ELITERAL
        TG_SCAN_ETOOLARGE
        TG_SCAN_ENOMEM
        TG_SCAN_EPOINTER
        TG_SCAN_STATUS_COUNT

    ctypedef enum tg_scan_level:
        TG_SCAN_STRUCTURE
        TG_SCAN_GRAMMAR

    ctypedef enum tg_scan_kind:
        TG_SCAN_ABSENT
        TG_SCAN_STRING
        TG_SCAN_NUMBER
        TG_SCAN_TRUE
        TG_SCAN_FALSE
        TG_SCAN_NULL
        TG_SCAN_OBJECT
        TG_SCAN_ARRAY

    ctypedef struct tg_scan_value:
        const uint8_t *ptr
        uint32_t len
        uint8_t kind
        uint8_t escaped

    ctypedef struct tg_scan_info:
        uint32_t error_pos
        uint32_t flags

    ctypedef struct tg_scan_plan:
        pass

    tg_scan_status tg_scan_plan_new(const char *const *pointers, const size_t *lens, size_t n,
                                    tg_scan_plan **out) noexcept
    void tg_scan_plan_free(tg_scan_plan *plan) noexcept
    size_t tg_scan_plan_fields(const tg_scan_plan *plan) noexcept
    tg_scan_status tg_scan(const tg_scan_plan *plan, const uint8_t *doc, size_t len, tg_scan_level level,
                           tg_scan_value *out, tg_scan_info *info) noexcept
    size_t tg_scan_unescape(const uint8_t *src, size_t len, uint8_t *dst) noexcept
    int tg_scan_use(const char *name) noexcept
    const char *tg_scan_using() noexcept
    int tg_scan_implementations(const char **names, int room) noexcept
    const char *tg_scan_status_name(tg_scan_status status) noexcept


cdef extern from "tg_hash.h" nogil:
    uint64_t tg_xxh64(const uint8_t *data, size_t len, uint64_t seed) noexcept


cdef extern from "tg_sample.h" nogil:
    enum:
        TG_SAMPLE_RUNGS
    uint64_t TG_SAMPLE_ALL

    ctypedef struct tg_sample:
        uint64_t randomness
        uint64_t threshold
        double factor
        uint8_t has_randomness
        uint8_t has_threshold

    uint64_t tg_sample_rung_threshold(unsigned rung) noexcept
    unsigned tg_sample_rung_of(uint64_t threshold) noexcept
    uint64_t tg_sample_randomness(const uint8_t *key, size_t len, uint64_t seed) noexcept
    uint64_t tg_sample_randomness_escaped(const uint8_t *key, size_t len, uint64_t seed) noexcept
    uint64_t tg_sample_randomness_place(const char *topic, size_t len, int32_t partition, int64_t offset,
                                        uint64_t seed) noexcept
    double tg_sample_weight(const tg_sample *s) noexcept
    void tg_sample_settle(tg_sample *s, uint64_t own) noexcept
    int tg_sample_apply(tg_sample *s, uint64_t threshold) noexcept
    int32_t tg_sample_rate(const tg_sample *s) noexcept


cdef extern from "tg_tracestate.h" nogil:
    enum:
        TG_TRACESTATE_BYTES

    int tg_tracestate_read(const uint8_t *text, size_t len, tg_sample *out) noexcept
    int tg_tracestate_read_parent(const uint8_t *text, size_t len, tg_sample *out) noexcept
    size_t tg_tracestate_print(const tg_sample *s, char *to) noexcept


cdef extern from "tg_decimal.h" nogil:
    enum:
        TG_DECIMAL_BYTES

    ctypedef struct tg_decimal_memo:
        pass

    size_t tg_decimal_print(double value, char *to) noexcept
    size_t tg_decimal_print_memo(tg_decimal_memo *memo, double value, char *to) noexcept


cdef extern from "tg_strata.h" nogil:
    enum:
        TG_STRATA_NUMBERS
        TG_STRATA_SLOTS
        TG_STRATA_NAME_BYTES
        TG_STRATA_NO_RUNG
        TG_STRATA_RETIRED

    ctypedef struct tg_stratum:
        pass

    ctypedef struct tg_strata:
        pass

    ctypedef struct tg_stratum_view:
        uint64_t count
        uint64_t version
        uint8_t klass
        uint8_t name_len
        uint8_t retired
        char *name

    void tg_strata_init(tg_strata *t) noexcept
    tg_stratum *tg_strata_find(tg_strata *t, unsigned klass, const uint8_t *type, size_t len, uint64_t seed) noexcept
    unsigned tg_stratum_order(const tg_stratum *s) noexcept
    void tg_stratum_count(tg_stratum *s) noexcept
    tg_stratum *tg_strata_at(tg_strata *t, unsigned number) noexcept
    int tg_stratum_look(const tg_stratum *s, tg_stratum_view *out) noexcept
    void tg_stratum_set(tg_stratum *s, uint64_t version, unsigned order) noexcept


cdef extern from "tg_words.h" nogil:
    ctypedef struct tg_words:
        const uint32_t *offsets
        const uint32_t *values
        const uint8_t *bytes
        uint32_t mask
        uint32_t n

    uint8_t tg_fold(uint8_t c, int blank) noexcept
    void tg_words_fill(tg_words *w, uint32_t *slots) noexcept
    uint32_t tg_words_find(const tg_words *w, const uint8_t *value, size_t len, int blank) noexcept


cdef extern from "tg_match.h" nogil:
    enum:
        TG_RANK_NONE

    ctypedef struct tg_trie:
        const uint32_t *cells
        const uint8_t *classes

    ctypedef struct tg_glob:
        uint32_t rank
        uint32_t next
        uint32_t start
        uint32_t len

    ctypedef struct tg_matcher:
        tg_words words
        tg_trie head
        tg_trie tail
        tg_trie inner
        const tg_glob *globs
        const uint16_t *code
        uint32_t bare
        uint32_t empty

    ctypedef struct tg_slot:
        const uint8_t *ptr
        size_t len
        uint64_t seen

    ctypedef struct tg_scratch:
        uint64_t epoch
        tg_slot *headers

    tg_scratch *tg_scratch_new(size_t headers, size_t globs) noexcept
    void tg_scratch_free(tg_scratch *s) noexcept
    uint32_t tg_match_value(const tg_matcher *m, tg_scratch *s, const uint8_t *v, size_t len) noexcept
    uint32_t tg_match(const tg_matcher *matchers, uint32_t id, tg_scratch *s, const uint8_t *v, size_t len,
                      int escaped) noexcept


cdef extern from "tg_scan_utf8.h" nogil:
    # Whether the bytes are UTF-8; the portable one, for short text.
    int tg_utf8_valid "tg_utf8_valid_plain"(const uint8_t *p, size_t len) noexcept


cdef extern from "tg_header.h" nogil:
    ctypedef struct tg_header:
        const char *name
        size_t name_len
        const uint8_t *value
        size_t value_len


cdef extern from "tg_parked.h" nogil:
    enum:
        TG_PARKED_HAS_RANDOMNESS
        TG_PARKED_HAS_THRESHOLD

    ctypedef enum tg_parked_status:
        TG_PARKED_OK
        TG_PARKED_EMAGIC
        TG_PARKED_EVERSION
        TG_PARKED_ETRUNC
        TG_PARKED_ELENGTH
        TG_PARKED_EFIELD
        TG_PARKED_ETOOLARGE
        TG_PARKED_STATUS_COUNT

    ctypedef struct tg_parked:
        const char *topic
        size_t topic_len
        int32_t partition
        int64_t offset
        int64_t timestamp_ms
        uint8_t timestamp_type
        uint8_t klass
        uint8_t flags
        uint64_t randomness
        uint64_t threshold
        uint32_t header_count
        const uint8_t *headers
        size_t headers_len
        const uint8_t *payload
        size_t payload_len

    size_t tg_parked_size(const tg_parked *record, const tg_header *headers) noexcept
    tg_parked_status tg_parked_encode(const tg_parked *record, const tg_header *headers, uint8_t *out, size_t room,
                                      size_t *written) noexcept
    tg_parked_status tg_parked_decode(const uint8_t *data, size_t len, tg_parked *record) noexcept
    size_t tg_parked_header(const tg_parked *record, size_t at, tg_header *header) noexcept
    uint32_t tg_parked_count(const uint8_t *headers, size_t len) noexcept
    const char *tg_parked_status_name(tg_parked_status status) noexcept

cdef extern from "tg_time.h" nogil:
    int tg_time_read(const uint8_t *text, size_t len, int64_t *ms) noexcept


cdef extern from "tg_wakeup.h" nogil:
    ctypedef struct tg_wakeup:
        int wait_fd
        int wake_fd

    int tg_wakeup_open(tg_wakeup *w) noexcept
    void tg_wakeup_wake(int wake_fd) noexcept
    void tg_wakeup_clear(const tg_wakeup *w) noexcept
    void tg_wakeup_close(const tg_wakeup *w) noexcept
