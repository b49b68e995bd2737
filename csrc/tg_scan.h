/* tg_scan: find wanted JSON fields and check the document, in one pass, without building a tree.
 *
 * Contract shared by every function here: no Python, no clock, no malloc outside plan_new/plan_free,
 * no recursion, never reads outside [doc, doc + len). A plan is immutable after tg_scan_plan_new and
 * may be used by any number of threads at once.
 */
#ifndef TG_SCAN_H
#define TG_SCAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TG_SCAN_MAX_FIELDS 64       /* wanted fields in one plan */
#define TG_SCAN_MAX_DEPTH 64        /* containers open at once; one more is TG_SCAN_EDEPTH */
#define TG_SCAN_MAX_TOKEN_BYTES 255 /* of one token of a pointer, decoded */

/* What a document turned out to be. Every code has a name (tg_scan_status_name) and a test. */
typedef enum {
    TG_SCAN_OK = 0,
    TG_SCAN_EMPTY,     /* no bytes at all, or nothing but blanks (and a BOM) */
    TG_SCAN_ESYNTAX,   /* a token stands where it may not, or bytes follow the value */
    TG_SCAN_ETRUNC,    /* the document ends inside a value */
    TG_SCAN_ESTRING,   /* control character or bad escape inside a string */
    TG_SCAN_EUTF8,     /* not UTF-8 (overlong, surrogate, beyond U+10FFFF, stray byte) */
    TG_SCAN_EDEPTH,    /* deeper than TG_SCAN_MAX_DEPTH */
    TG_SCAN_ELITERAL,  /* GRAMMAR level only: bad number or literal */
    TG_SCAN_ETOOLARGE, /* len > UINT32_MAX - 64 */
    TG_SCAN_ENOMEM,    /* plan_new only */
    TG_SCAN_EPOINTER,  /* plan_new only: not a JSON pointer, too many fields, token too long, too many tokens */
    TG_SCAN_STATUS_COUNT
} tg_scan_status;

/* How much is checked. STRUCTURE: UTF-8, strings with their escapes, brackets, commas, colons; a bare
 * word or number is only required to be made of [-+.0-9A-Za-z]. GRAMMAR: RFC 8259 entirely. */
typedef enum { TG_SCAN_STRUCTURE = 0, TG_SCAN_GRAMMAR = 1 } tg_scan_level;

typedef enum {
    TG_SCAN_ABSENT = 0,
    TG_SCAN_STRING, /* ptr,len: between the quotes, escapes as they stand; see `escaped` */
    TG_SCAN_NUMBER, /* ptr,len: the text; at STRUCTURE level any bare word but the three literals */
    TG_SCAN_TRUE,
    TG_SCAN_FALSE,
    TG_SCAN_NULL,
    TG_SCAN_OBJECT, /* ptr,len not set */
    TG_SCAN_ARRAY
} tg_scan_kind;

/* One found field; borrows from the document. */
typedef struct {
    const uint8_t *ptr;
    uint32_t len;    /* bytes */
    uint8_t kind;    /* tg_scan_kind */
    uint8_t escaped; /* 1: a STRING with backslashes; decode with tg_scan_unescape */
    uint16_t _unused;
} tg_scan_value;

#define TG_SCAN_HAS_NEWLINE 1u /* '\n' or '\r' stands between tokens (it can stand nowhere else) */
#define TG_SCAN_HAS_BOM 2u     /* the document starts with EF BB BF, which is skipped */

typedef struct {
    uint32_t error_pos; /* byte position of the first offence; 0 where status is OK */
    uint32_t flags;     /* TG_SCAN_HAS_* ; meaningful where status is OK */
} tg_scan_info;

typedef struct tg_scan_plan tg_scan_plan;

/* Compiles `n` JSON pointers (RFC 6901 text such as "/event_type", "/user/tier", "/items/0/sku";
 * "" is the whole document), each of lens[i] bytes. `*out` is owned by the caller. n may be 0: the plan
 * then only checks. Equal pointers are allowed, and each gets its value. */
tg_scan_status tg_scan_plan_new(const char *const *pointers, const size_t *lens, size_t n, tg_scan_plan **out);
void tg_scan_plan_free(tg_scan_plan *plan); /* NULL is fine */
size_t tg_scan_plan_fields(const tg_scan_plan *plan);

/* Scans one document. `out` has tg_scan_plan_fields(plan) places, all written on TG_SCAN_OK (ABSENT
 * where the field is not there) and all ABSENT otherwise. Of equal keys in one object the last wins, with
 * all that the earlier one held forgotten, as in Python's json. `doc` may be NULL where len is 0. */
tg_scan_status tg_scan(const tg_scan_plan *plan, const uint8_t *doc, size_t len, tg_scan_level level,
                       tg_scan_value *out, tg_scan_info *info);

/* Decodes the escapes of a STRING value that tg_scan accepted. Writes at most len bytes to dst; returns
 * the bytes written. A lone surrogate becomes three bytes (WTF-8), as Python's "surrogatepass" writes it. */
size_t tg_scan_unescape(const uint8_t *src, size_t len, uint8_t *dst);

/* Implementations: "scalar", "sse2", "sse42", "avx2", "avx512", "neon". The best that the CPU has is taken at the
 * first use. tg_scan_use forces one (NULL: the best again); 0 done, -1 unknown here or not in this CPU. Call
 * before threads start. The choice belongs to the shared object that this code is linked into: two extensions
 * have two. All implementations give the same answers, error codes and positions included: a fast one only
 * accepts, and what it does not accept the scalar one scans again. */
int tg_scan_use(const char *name);
const char *tg_scan_using(void);
int tg_scan_implementations(const char **names, int room); /* those usable here; returns their number */

const char *tg_scan_status_name(tg_scan_status status); /* "ok", "empty", "syntax", …; static text */

#ifdef __cplusplus
}
#endif
#endif
