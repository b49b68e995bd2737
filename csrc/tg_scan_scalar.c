/* The scalar scanner: plain C, any document, any machine. It is the reference that the fast ones must agree
 * with, and it alone says what is wrong with a document and where. */
#include "tg_scan_lex.h"
#include "tg_scan_plan.h"

/* Something stands where no token begins. */
static tg_scan_status wrong_token(const uint8_t *p, const uint8_t *end)
{
    return *p >= 0x80 && tg_utf8_step(p, end) == 0 ? TG_SCAN_EUTF8 : TG_SCAN_ESYNTAX;
}

static inline const uint8_t *skip_blanks(const uint8_t *p, const uint8_t *end, uint32_t *flags)
{
    for (; p < end && *p <= ' '; p++) {
        if (*p == '\n' || *p == '\r')
            *flags |= TG_SCAN_HAS_NEWLINE;
        else if (*p != ' ' && *p != '\t')
            break;
    }
    return p;
}

#define FAIL(code, where) \
    do {                  \
        status = (code);  \
        at = (where);     \
        goto failed;      \
    } while (0)

#define SKIP_BLANKS_TO_TOKEN()           \
    do {                                 \
        p = skip_blanks(p, end, &flags); \
        if (p == end)                    \
            FAIL(TG_SCAN_ETRUNC, p);     \
    } while (0)

tg_scan_status tg_scan_scalar(const tg_scan_plan *plan, const uint8_t *doc, uint32_t len, tg_scan_level level,
                              tg_scan_value *out, tg_scan_info *info)
{
    tg_frame frames[TG_SCAN_MAX_DEPTH];
    uint64_t arrays = 0; /* bit 0: the innermost container is an array */
    uint64_t found = 0;
    uint32_t flags = 0;
    int depth = 0;
    const uint8_t *p = doc, *const end = doc + len, *at;
    tg_scan_status status;
    uint16_t node = TG_NODE_ROOT;

    if (len >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        flags |= TG_SCAN_HAS_BOM;
        p += 3;
    }
    p = skip_blanks(p, end, &flags);
    if (p == end)
        FAIL(TG_SCAN_EMPTY, p);

value: /* p stands on its first byte */
    if (*p == '"') {
        uint8_t escaped = 0;
        const uint8_t *text = ++p;
        status = tg_lex_string(p, end, &at, &escaped);
        if (status != TG_SCAN_OK)
            goto failed;
        if (node) {
            tg_scan_value v = {text, (uint32_t)(at - text), TG_SCAN_STRING, escaped, 0};
            found = tg_plan_take(plan, node, found, out, v);
        }
        p = at + 1;
    } else if (*p == '{' || *p == '[') {
        int is_array = *p == '[';
        if (depth == TG_SCAN_MAX_DEPTH)
            FAIL(TG_SCAN_EDEPTH, p);
        if (node) {
            tg_scan_value v = {NULL, 0, is_array ? TG_SCAN_ARRAY : TG_SCAN_OBJECT, 0, 0};
            found = tg_plan_take(plan, node, found, out, v);
        }
        tg_frame_open(&frames[depth++], plan, node, is_array);
        arrays = arrays << 1 | (uint64_t)is_array;
        p++;
        SKIP_BLANKS_TO_TOKEN();
        if (*p == (is_array ? ']' : '}'))
            goto close;
        if (!is_array)
            goto key;
        node = tg_frame_element(&frames[depth - 1], plan);
        goto value;
    } else {
        const uint8_t *word = p;
        while (p < end && tg_is_word(*p))
            p++;
        if (p == word)
            FAIL(wrong_token(p, end), p);
        if (level == TG_SCAN_GRAMMAR && !tg_is_literal(word, (size_t)(p - word), end))
            FAIL(TG_SCAN_ELITERAL, word);
        if (node) {
            tg_scan_value v = {word, (uint32_t)(p - word), 0, 0, 0};
            v.kind = tg_word_kind(v.ptr, v.len);
            found = tg_plan_take(plan, node, found, out, v);
        }
    }

after: /* p stands just after a value */
    p = skip_blanks(p, end, &flags);
    if (depth == 0) {
        if (p != end)
            FAIL(wrong_token(p, end), p);
        tg_plan_finish(plan, found, out);
        info->error_pos = 0;
        info->flags = flags;
        return TG_SCAN_OK;
    }
    if (p == end)
        FAIL(TG_SCAN_ETRUNC, p);
    if (*p == ',') {
        p++;
        SKIP_BLANKS_TO_TOKEN();
        if (!(arrays & 1))
            goto key;
        node = tg_frame_element(&frames[depth - 1], plan);
        goto value;
    }
    if (*p != (arrays & 1 ? ']' : '}'))
        FAIL(wrong_token(p, end), p);

close:
    p++;
    depth--;
    arrays >>= 1;
    goto after;

key:
    {
        uint8_t escaped = 0;
        if (*p != '"')
            FAIL(wrong_token(p, end), p);
        const uint8_t *text = ++p;
        status = tg_lex_string(p, end, &at, &escaped);
        if (status != TG_SCAN_OK)
            goto failed;
        node = frames[depth - 1].node;
        node = escaped ? tg_plan_child_escaped(plan, node, text, (uint32_t)(at - text))
                       : tg_plan_child(plan, node, text, (uint32_t)(at - text));
        p = at + 1;
        SKIP_BLANKS_TO_TOKEN();
        if (*p != ':')
            FAIL(wrong_token(p, end), p);
        p++;
        SKIP_BLANKS_TO_TOKEN();
        goto value;
    }

failed:
    tg_plan_finish(plan, 0, out);
    info->error_pos = (uint32_t)(at - doc);
    info->flags = flags;
    return status;
}
