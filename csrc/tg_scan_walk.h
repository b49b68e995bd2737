/* Inside of tg_scan, second step of the fast scanners: a walk over the structural positions that
 * tg_scan_bitmap.h found. A template as well; include it after that one, with TG_SCAN_NAME (the function to
 * define) and TG_UTF8_VALID (the validator for documents that are not ASCII) defined.
 *
 * Long documents are worked off in windows, so that the positions always fit on the stack and stay in the cache.
 */

#define TG_WINDOW_BYTES 2048

typedef struct {
    const uint8_t *doc;
    const tg_scan_plan *plan;
    tg_scan_value *out;
    uint64_t found;
    uint32_t len;
    uint32_t pos;  /* bytes that the first step has seen */
    uint32_t *end; /* of the positions in index */
    tg_bitmap_state state;
    tg_bitmap_rest rest;
    tg_frame frames[1 + TG_SCAN_MAX_DEPTH];                 /* the first stands for the place of the document */
    uint32_t index[1 + TG_WINDOW_BYTES + TG_FLATTEN_SLACK]; /* one position left over, and those of a window */
} tg_run;

/* Moves the positions from `next` on to the front and brings more until at least `need` (1 or 2) are there; 0 if
 * there are no more, or something is wrong. */
TG_TARGET static __attribute__((noinline)) int tg_run_refill(tg_run *run, const uint32_t *next, uint32_t need)
{
    uint32_t *to = run->index;
    while (next < run->end)
        *to++ = *next++;
    const uint8_t *const doc = run->doc;
    const size_t len = run->len;
    size_t pos = run->pos;
    tg_bitmap_state state = run->state;
    const tg_constants constants = tg_constants_make();
    while (pos < len && to < run->index + need) {
        size_t stop = len - pos > TG_WINDOW_BYTES ? pos + TG_WINDOW_BYTES : len;
        for (; stop - pos >= 64; pos += 64)
            to = tg_bitmap_step(&state, &run->rest, &constants, doc, len, doc + pos, pos, 0, to);
        if (pos < stop)
            to = tg_bitmap_step(&state, &run->rest, &constants, doc, len, doc + len - 64, pos,
                                64 - (unsigned)(len - pos), to);
        pos = stop;
    }
    run->state = state;
    run->pos = (uint32_t)pos;
    run->end = to;
    return (state.errors | run->rest.errors) == 0 && to >= run->index + need;
}

#define GIVE_UP return TG_SCAN_STATUS_COUNT
#define RARELY(condition) __builtin_expect(!!(condition), 0)

/* Makes sure of the next n positions. */
#define NEED(n)                                        \
    do {                                               \
        if (RARELY(it + (n) > run.end)) {              \
            if (!tg_run_refill(&run, it, n))           \
                GIVE_UP;                               \
            it = run.index;                            \
            filter = tg_run_filter(&run, frame->node); \
        }                                              \
    } while (0)

/* Which keys are worth a call of tg_run_key: of those with backslashes, none can be told from the bytes. */
TG_TARGET static inline uint64_t tg_run_filter(const tg_run *run, uint16_t node)
{
    uint64_t filter = run->plan->nodes[node].filter;
    return RARELY(run->rest.last_slash) && filter ? ~0ull : filter;
}

TG_TARGET static inline int tg_run_escaped(const tg_run *run, const uint8_t *text, size_t size)
{
    if (!RARELY(run->rest.last_slash))
        return 0;
    size_t at = (size_t)(text - run->doc);
    return at <= run->rest.last_slash && at + size > run->rest.first_slash && memchr(text, '\\', size) != NULL;
}

TG_TARGET static __attribute__((noinline)) uint16_t tg_run_key(const tg_run *run, uint16_t node, const uint8_t *key,
                                                               size_t size)
{
    if (tg_run_escaped(run, key, size))
        return tg_plan_child_escaped(run->plan, node, key, (uint32_t)size);
    return tg_plan_child(run->plan, node, key, (uint32_t)size);
}

/* The string or bare word in [at, end), which `node` leads to. */
TG_TARGET static __attribute__((noinline)) void tg_run_take(tg_run *run, uint16_t node, const uint8_t *at,
                                                            const uint8_t *end)
{
    tg_scan_value v = {at, (uint32_t)(end - at), 0, 0, 0};
    if (*at == '"') {
        v.ptr++;
        v.len -= 2;
        v.kind = TG_SCAN_STRING;
        v.escaped = (uint8_t)tg_run_escaped(run, v.ptr, v.len);
    } else {
        v.kind = tg_word_kind(v.ptr, v.len);
    }
    run->found = tg_plan_take(run->plan, node, run->found, run->out, v);
}

/* Outside strings, the first step lets no byte up to ' ' pass but blanks. A structural character follows, or one
 * came before, so there is an end to them. */
TG_TARGET static inline const uint8_t *tg_skip_blanks(const uint8_t *at, const uint8_t *limit)
{
    if (!RARELY(*at <= ' '))
        return at;
    if (*++at > ' ')
        return at; /* one is the most frequent number */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; limit - at >= 8; at += 8) {
        uint64_t x;
        memcpy(&x, at, 8);
        x = (((x & ~TG_HIGHS) + (0x7F - ' ') * TG_ONES) | x) & TG_HIGHS; /* bytes above ' ' */
        if (x)
            return at + (__builtin_ctzll(x) >> 3);
    }
#endif
    while (*at <= ' ')
        at++;
    return at;
}

TG_TARGET static inline const uint8_t *tg_token_end(const uint8_t *end)
{
    while (RARELY(end[-1] <= ' '))
        end--;
    return end;
}

TG_TARGET static inline int tg_all_blank(const uint8_t *from, const uint8_t *to)
{
    while (RARELY(from < to))
        if (*from++ > ' ')
            return 0;
    return 1;
}

/* A scalar in [at, end), blanks may stand before its end; gives up where it is none. */
#define SCALAR(at, end_)                                                    \
    do {                                                                    \
        const uint8_t *stop = (end_);                                       \
        if (*at == '"') {                                                   \
            if (RARELY(stop[-1] != '"')) {                                  \
                stop = tg_token_end(stop);                                  \
                if (stop[-1] != '"')                                        \
                    GIVE_UP;                                                \
            }                                                               \
        } else if (grammar) {                                               \
            stop = tg_token_end(stop);                                      \
            if (RARELY(!tg_is_literal(at, (size_t)(stop - at), doc + len))) \
                GIVE_UP;                                                    \
        }                                                                   \
        if (RARELY(node))                                                   \
            tg_run_take(&run, node, at, tg_token_end(stop));                \
    } while (0)

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
    run.doc = doc;
    run.plan = plan;
    run.out = out;
    run.found = 0;
    run.len = len;
    run.pos = 0;
    run.end = run.index;
    run.state = (tg_bitmap_state){0};
    run.rest = (tg_bitmap_rest){0};
    run.index[0] = 0;

    const int grammar = level == TG_SCAN_GRAMMAR;
    const uint32_t *it = run.index; /* the walk's place */
    tg_frame *frame = run.frames;
    uint64_t arrays = 0; /* bit 0: the innermost container is an array */
    uint64_t filter = 0;
    uint16_t node = TG_NODE_ROOT;
    /* p: the structural character before what comes now; next: the one after it */
    const uint8_t *p, *at, *end, *next;
    uint8_t c;

    frame->node = TG_NODE_NONE;
    NEED(1);
    next = doc + *it++;
    if ((*next != '{' && *next != '[') || !tg_all_blank(doc, next))
        GIVE_UP; /* a bare string or number: rare, and soon scanned */

open:
    { /* the bracket at `next` opens the container that `node` leads to */
        int is_array = *next == '[';
        if (RARELY(frame == run.frames + TG_SCAN_MAX_DEPTH))
            GIVE_UP;
        if (RARELY(node)) {
            tg_scan_value v = {NULL, 0, is_array ? TG_SCAN_ARRAY : TG_SCAN_OBJECT, 0, 0};
            run.found = tg_plan_take(plan, node, run.found, out, v);
        }
        tg_frame_open(++frame, plan, node, is_array);
        arrays = arrays << 1 | (uint64_t)is_array;
        filter = tg_run_filter(&run, node);
        p = next;
        NEED(1);
        next = doc + *it;
        if (*next == *p + 2 && tg_all_blank(p + 1, next)) {
            it++;
            goto close;
        }
        if (is_array)
            goto element;
    }

pair: /* p is the '{' or ',' before a key */
    NEED(2);
    end = doc + it[0];
    next = doc + it[1];
    it += 2;
    at = p + 1;
    if (RARELY(*at != '"')) {
        at = tg_skip_blanks(at, doc + len);
        if (RARELY(*at != '"'))
            GIVE_UP;
    }
    if (RARELY(*end != ':'))
        GIVE_UP;
    p = end;
    if (RARELY(end[-1] != '"')) {
        end = tg_token_end(end);
        if (end[-1] != '"')
            GIVE_UP;
    }
    node = TG_NODE_NONE;
    at++;
    if (RARELY(filter >> tg_key_bit(at, (size_t)(end - at) - 1) & 1))
        node = tg_run_key(&run, frame->node, at, (size_t)(end - at) - 1);
    at = p + 1;
    if (*at != '"') {
        at = tg_skip_blanks(at, doc + len);
        if (at == next)
            goto container;
    }
    SCALAR(at, next);
    p = next;
    c = *next;
    if (c == ',')
        goto pair;
    if (c == '}')
        goto close;
    GIVE_UP;

element: /* p is the '[' or ',' before an element */
    NEED(1);
    next = doc + *it++;
    node = tg_frame_element(frame, plan);
    at = p + 1;
    if (*at != '"') {
        at = tg_skip_blanks(at, doc + len);
        if (at == next)
            goto container;
    }
    SCALAR(at, next);
    p = next;
    c = *next;
    if (c == ',')
        goto element;
    if (c == ']')
        goto close;
    GIVE_UP;

container: /* where a value should be, there is nothing before `next` */
    if (*next == '{' || *next == '[')
        goto open;
    GIVE_UP;

close: /* the bracket at `next` closes the innermost container */
    arrays >>= 1;
    if (--frame == run.frames)
        goto done;
    filter = tg_run_filter(&run, frame->node);
    p = next;
    NEED(1);
    next = doc + *it++;
    if (!tg_all_blank(p + 1, next))
        GIVE_UP;
    p = next;
    if (*next == (arrays & 1 ? ']' : '}'))
        goto close;
    if (*next != ',')
        GIVE_UP;
    if (arrays & 1)
        goto element;
    goto pair;

done:
    /* Nothing but blanks may follow; the first step has not seen all of them if they are many. */
    if (it != run.end || !tg_all_blank(next + 1, doc + len))
        GIVE_UP;
    while (run.pos < len)
        if (tg_run_refill(&run, run.end, 1) || run.state.errors || run.rest.errors)
            GIVE_UP;
    if (run.rest.not_ascii && !TG_UTF8_VALID(doc, len))
        GIVE_UP;
    tg_plan_finish(plan, run.found, out);
    info->error_pos = 0;
    info->flags = flags | (run.rest.newlines ? TG_SCAN_HAS_NEWLINE : 0);
    return TG_SCAN_OK;
}
