/* Inside of tg_scan, second step of the fast scanners: a walk over the structural positions that
 * tg_scan_bitmap.h found. A template as well; include it after that one, with TG_SCAN_NAME (the function to
 * define) and TG_UTF8_VALID (the validator for documents that are not ASCII) defined.
 *
 * Long documents are worked off in windows, so that the positions always fit on the stack and stay in the cache.
 */

#define TG_WINDOW_BYTES 2048

typedef struct {
    const uint8_t *doc;
    uint32_t len;
    uint32_t pos; /* bytes that the first step has seen */
    uint32_t *end; /* of the positions in index */
    tg_bitmap_state state;
    tg_bitmap_rest rest;
    uint32_t index[TG_WINDOW_BYTES + 8]; /* one position left over, a window, and what tg_flatten writes beyond */
} tg_run;

/* Moves the positions from `next` on to the front and brings more until at least `need` (1 or 2) are there; 0 if
 * there are no more, or something is wrong. */
TG_TARGET static __attribute__((noinline)) int tg_run_refill(tg_run *run, const uint32_t *next, uint32_t need)
{
    uint32_t *to = run->index;
    while (next < run->end)
        *to++ = *next++;
    const uint8_t *const doc = run->doc;
    const uint32_t len = run->len;
    uint32_t pos = run->pos;
    tg_bitmap_state state = run->state;
    while (pos < len && to < run->index + need) {
        uint32_t stop = len - pos > TG_WINDOW_BYTES ? pos + TG_WINDOW_BYTES : len;
        for (; stop - pos >= 64; pos += 64)
            to = tg_bitmap_step(&state, &run->rest, doc, len, doc + pos, pos, 0, to);
        if (pos < stop)
            to = tg_bitmap_step(&state, &run->rest, doc, len, doc + len - 64, pos, 64 - (len - pos), to);
        pos = stop;
    }
    run->state = state;
    run->pos = pos;
    run->end = to;
    return (state.errors | run->rest.errors) == 0 && to >= run->index + need;
}

#define GIVE_UP return TG_SCAN_STATUS_COUNT
#define RARELY(condition) __builtin_expect(!!(condition), 0)

/* Makes sure of the next n positions. */
#define NEED(n)                                                                                      \
    do {                                                                                             \
        if (RARELY(run.end - it < (n))) {                                                            \
            if (!tg_run_refill(&run, it, n))                                                         \
                GIVE_UP;                                                                             \
            it = run.index;                                                                          \
        }                                                                                            \
    } while (0)

/* Outside strings, the first step lets no byte up to ' ' pass but blanks. A structural character follows, or one
 * came before, so there is an end to them. */
TG_TARGET static inline uint32_t tg_blanks_end(const uint8_t *doc, uint32_t at)
{
    do
        at++;
    while (doc[at] <= ' ');
    return at;
}

TG_TARGET static inline uint32_t tg_token_end(const uint8_t *doc, uint32_t end)
{
    while (RARELY(doc[end - 1] <= ' '))
        end--;
    return end;
}

TG_TARGET static inline int tg_all_blank(const uint8_t *doc, uint32_t from, uint32_t to)
{
    while (from < to)
        if (doc[from++] > ' ')
            return 0;
    return 1;
}

/* The string or bare word in [at, end); 0 where it is neither. */
TG_TARGET static inline __attribute__((always_inline)) int tg_walk_scalar(const tg_scan_plan *plan,
                                                                          const uint8_t *doc, uint32_t at,
                                                                          uint32_t end, tg_scan_level level,
                                                                          uint64_t slashes, uint16_t node,
                                                                          uint64_t *found, tg_scan_value *out)
{
    tg_scan_value v = {doc + at, 0, 0, 0, 0};
    end = tg_token_end(doc, end);
    if (doc[at] == '"') {
        if (RARELY(doc[end - 1] != '"'))
            return 0;
        if (!node)
            return 1;
        v.ptr++;
        v.len = end - at - 2;
        v.kind = TG_SCAN_STRING;
        v.escaped = RARELY(slashes) && memchr(v.ptr, '\\', v.len) != NULL;
    } else {
        v.len = end - at;
        if (level == TG_SCAN_GRAMMAR && RARELY(!tg_is_literal(v.ptr, v.len)))
            return 0;
        if (!node)
            return 1;
        v.kind = tg_word_kind(v.ptr, v.len);
    }
    *found = tg_plan_take(plan, node, *found, out, v);
    return 1;
}

TG_TARGET tg_scan_status TG_SCAN_NAME(const tg_scan_plan *plan, const uint8_t *doc, uint32_t len, tg_scan_level level,
                                      tg_scan_value *out, tg_scan_info *info)
{
    uint32_t flags = 0;
    if (RARELY(doc[0] == 0xEF) && len >= 3 && doc[1] == 0xBB && doc[2] == 0xBF) {
        flags = TG_SCAN_HAS_BOM;
        doc += 3;
        len -= 3;
    }
    if (len < 64)
        GIVE_UP; /* not worth the preparations */

    tg_run run;
    const uint32_t *it = run.index; /* the walk's place */
    run.doc = doc;
    run.len = len;
    run.pos = 0;
    run.end = run.index;
    memset(&run.state, 0, sizeof run.state);
    memset(&run.rest, 0, sizeof run.rest);

    tg_frame frames[TG_SCAN_MAX_DEPTH];
    tg_frame *frame = frames - 1;
    uint64_t arrays = 0; /* bit 0: the innermost container is an array */
    uint64_t found = 0;
    uint16_t node = TG_NODE_ROOT;
    uint32_t p, at, next, end; /* p: the structural character before what comes now */
    uint8_t c;

    NEED(1);
    p = *it++;
    c = doc[p];
    if ((c != '{' && c != '[') || !tg_all_blank(doc, 0, p))
        GIVE_UP; /* a bare string or number: rare, and soon scanned */

open: { /* c, at p, opens the container that `node` leads to */
    int is_array = c == '[';
    if (RARELY(frame == frames + TG_SCAN_MAX_DEPTH - 1))
        GIVE_UP;
    if (node) {
        tg_scan_value v = {NULL, 0, is_array ? TG_SCAN_ARRAY : TG_SCAN_OBJECT, 0, 0};
        found = tg_plan_take(plan, node, found, out, v);
    }
    tg_frame_open(++frame, plan, node, is_array);
    arrays = arrays << 1 | (uint64_t)is_array;
    NEED(1);
    next = *it;
    if (doc[next] == c + 2 && tg_all_blank(doc, p + 1, next)) {
        it++;
        goto close;
    }
    if (is_array)
        goto element;
}

pair: /* p is the '{' or ',' before a key */
    NEED(2);
    end = it[0];
    next = it[1];
    it += 2;
    at = p + 1;
    if (RARELY(doc[at] <= ' '))
        at = tg_blanks_end(doc, at);
    p = end;
    if (RARELY(doc[at] != '"' || doc[p] != ':'))
        GIVE_UP;
    if (RARELY(doc[end - 1] != '"')) {
        end = tg_token_end(doc, end);
        if (doc[end - 1] != '"')
            GIVE_UP;
    }
    {
        const uint8_t *key = doc + at + 1;
        uint32_t size = end - at - 2;
        if (RARELY(run.rest.slashes) && frame->node && memchr(key, '\\', size))
            node = tg_plan_child_escaped(plan, frame->node, key, size);
        else
            node = tg_plan_child(plan, frame->node, key, size);
    }
    c = doc[next];
    at = p + 1;
    if (RARELY(doc[at] <= ' '))
        at = tg_blanks_end(doc, at);
    if (at == next)
        goto container;
    if (RARELY(!tg_walk_scalar(plan, doc, at, next, level, run.rest.slashes, node, &found, out)))
        GIVE_UP;
    p = next;
    if (c == ',')
        goto pair;
    if (c == '}')
        goto close;
    GIVE_UP;

element: /* p is the '[' or ',' before an element */
    NEED(1);
    next = *it++;
    node = tg_frame_element(frame, plan);
    c = doc[next];
    at = p + 1;
    if (RARELY(doc[at] <= ' '))
        at = tg_blanks_end(doc, at);
    if (at == next)
        goto container;
    if (RARELY(!tg_walk_scalar(plan, doc, at, next, level, run.rest.slashes, node, &found, out)))
        GIVE_UP;
    p = next;
    if (c == ',')
        goto element;
    if (c == ']')
        goto close;
    GIVE_UP;

container: /* c, at `next`, where a value should be */
    p = next;
    if (c == '{' || c == '[')
        goto open;
    GIVE_UP;

close: /* the character at `next` closes the innermost container */
    arrays >>= 1;
    if (frame-- == frames)
        goto done;
    p = next;
    NEED(1);
    next = *it++;
    if (p + 1 != next && !tg_all_blank(doc, p + 1, next))
        GIVE_UP;
    c = doc[next];
    p = next;
    if (c == (arrays & 1 ? ']' : '}'))
        goto close;
    if (c != ',')
        GIVE_UP;
    if (arrays & 1)
        goto element;
    goto pair;

done:
    /* Nothing but blanks may follow; the first step has not seen all of them if they are many. */
    if (it != run.end || !tg_all_blank(doc, next + 1, len))
        GIVE_UP;
    while (run.pos < len)
        if (tg_run_refill(&run, run.end, 1) || run.state.errors || run.rest.errors)
            GIVE_UP;
    if (run.rest.not_ascii && !TG_UTF8_VALID(doc, len))
        GIVE_UP;
    tg_plan_finish(plan, found, out);
    info->error_pos = 0;
    info->flags = flags | (run.rest.newlines ? TG_SCAN_HAS_NEWLINE : 0);
    return TG_SCAN_OK;
}
