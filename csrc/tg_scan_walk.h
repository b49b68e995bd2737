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
    uint32_t pos;   /* bytes that the first step has seen */
    uint32_t next;  /* the walk's place in index */
    uint32_t count; /* positions in index */
    tg_bitmap_state state;
    uint32_t index[TG_WINDOW_BYTES + 16]; /* a position left over, a window, and what tg_flatten writes beyond */
} tg_run;

/* Brings positions until at least `need` (1 or 2) are there; 0 if there are no more, or something is wrong. */
TG_TARGET static __attribute__((noinline)) int tg_run_refill(tg_run *run, uint32_t need)
{
    uint32_t left = run->count - run->next;
    for (uint32_t i = 0; i < left; i++)
        run->index[i] = run->index[run->next + i];
    uint32_t *to = run->index + left;
    const uint8_t *const doc = run->doc;
    const uint32_t len = run->len;
    uint32_t pos = run->pos;
    tg_bitmap_state state = run->state;
    while (pos < len && (uint32_t)(to - run->index) < need) {
        uint32_t stop = len - pos > TG_WINDOW_BYTES ? pos + TG_WINDOW_BYTES : len;
        for (; stop - pos >= 64; pos += 64)
            to = tg_bitmap_step(&state, doc, len, doc + pos, pos, 0, 0, to);
        if (pos == stop)
            continue;
        if (len >= 64) {
            to = tg_bitmap_step(&state, doc, len, doc + len - 64, pos, 64 - (len - pos), 0, to);
        } else {
            uint8_t block[64];
            memset(block, ' ', sizeof block);
            memcpy(block, doc, len);
            to = tg_bitmap_step(&state, doc, len, block, 0, 0, 64 - len, to);
        }
        pos = len;
    }
    run->state = state;
    run->pos = pos;
    run->next = 0;
    run->count = (uint32_t)(to - run->index);
    return state.errors == 0 && run->count >= need;
}

#define GIVE_UP return TG_SCAN_STATUS_COUNT

/* Makes sure of the next n positions. */
#define NEED(n)                                                                         \
    do {                                                                                \
        if (__builtin_expect(run.count - run.next < (n), 0) && !tg_run_refill(&run, n)) \
            GIVE_UP;                                                                    \
    } while (0)

/* Blanks outside strings are the only bytes up to ' ' that the first step lets pass. */
#define SKIP_BLANKS(at)                                   \
    do {                                                  \
        if (__builtin_expect(doc[at] <= ' ', 0))          \
            at = tg_blanks_end(doc, at);                  \
    } while (0)

/* A structural character follows, so there is an end. Most blanks are single. */
TG_TARGET static inline uint32_t tg_blanks_end(const uint8_t *doc, uint32_t at)
{
    do
        at++;
    while (doc[at] <= ' ');
    return at;
}

TG_TARGET static inline int tg_all_blank(const uint8_t *doc, uint32_t from, uint32_t to)
{
    while (from < to)
        if (doc[from++] > ' ')
            return 0;
    return 1;
}

TG_TARGET tg_scan_status TG_SCAN_NAME(const tg_scan_plan *plan, const uint8_t *doc, uint32_t len, tg_scan_level level,
                                      tg_scan_value *out, tg_scan_info *info)
{
    uint32_t flags = 0;
    if (len >= 3 && doc[0] == 0xEF && doc[1] == 0xBB && doc[2] == 0xBF) {
        flags = TG_SCAN_HAS_BOM;
        doc += 3;
        len -= 3;
    }
    tg_run run;
    run.doc = doc;
    run.len = len;
    run.pos = run.next = run.count = 0;
    memset(&run.state, 0, sizeof run.state);

    tg_frame frames[TG_SCAN_MAX_DEPTH];
    tg_frame *frame = frames - 1;
    uint64_t arrays = 0; /* bit 0: the innermost container is an array */
    uint64_t found = 0;
    uint16_t node = TG_NODE_ROOT;
    uint32_t p, at, next, end;
    uint8_t c;

    NEED(1);
    p = run.index[run.next++];
    c = doc[p];
    if ((c != '{' && c != '[') || !tg_all_blank(doc, 0, p))
        GIVE_UP; /* a bare string or number: rare, and soon scanned */

open: { /* c, at p, opens the container that `node` leads to */
    int is_array = c == '[';
    if (frame == frames + TG_SCAN_MAX_DEPTH - 1)
        GIVE_UP;
    if (node) {
        tg_scan_value v = {NULL, 0, is_array ? TG_SCAN_ARRAY : TG_SCAN_OBJECT, 0, 0};
        found = tg_plan_take(plan, node, found, out, v);
    }
    tg_frame_open(++frame, plan, node, is_array);
    arrays = arrays << 1 | (uint64_t)is_array;
    NEED(1);
    next = run.index[run.next];
    if (doc[next] == c + 2 && tg_all_blank(doc, p + 1, next)) {
        run.next++;
        goto close;
    }
    if (is_array)
        goto element;
}

pair: /* p is the '{' or ',' before a key */
    NEED(2);
    end = run.index[run.next];
    next = run.index[run.next + 1];
    run.next += 2;
    at = p + 1;
    SKIP_BLANKS(at);
    if (__builtin_expect(doc[at] != '"' || doc[end] != ':', 0))
        GIVE_UP;
    p = end;
    while (__builtin_expect(doc[end - 1] != '"', 0))
        end--;
    {
        const uint8_t *key = doc + at + 1;
        uint32_t size = end - at - 2;
        node = frame->node;
        if (__builtin_expect(run.state.slashes != 0, 0) && node && memchr(key, '\\', size))
            node = tg_plan_child_escaped(plan, node, key, size);
        else
            node = tg_plan_child(plan, node, key, size);
    }
    goto value;

element: /* p is the '[' or ',' before an element */
    NEED(1);
    next = run.index[run.next++];
    node = tg_frame_element(frame, plan);

value: /* p is the character before it, `next` the structural one that ends it, or opens it */
    at = p + 1;
    SKIP_BLANKS(at);
    c = doc[next];
    if (at == next) {
        p = next;
        if (c == '{' || c == '[')
            goto open;
        GIVE_UP;
    }
    if (level == TG_SCAN_GRAMMAR || node) {
        end = next;
        while (__builtin_expect(doc[end - 1] <= ' ', 0))
            end--;
        tg_scan_value v = {doc + at, end - at, 0, 0, 0};
        if (*v.ptr == '"') {
            v.ptr++;
            v.len -= 2;
            v.kind = TG_SCAN_STRING;
            if (node && __builtin_expect(run.state.slashes != 0, 0))
                v.escaped = memchr(v.ptr, '\\', v.len) != NULL;
        } else {
            if (level == TG_SCAN_GRAMMAR && !tg_is_literal(v.ptr, v.len))
                GIVE_UP;
            if (node)
                v.kind = tg_word_kind(v.ptr, v.len);
        }
        if (node)
            found = tg_plan_take(plan, node, found, out, v);
    }
    p = next;
    if (c == ',') {
        if (arrays & 1)
            goto element;
        goto pair;
    }
    if (c != (arrays & 1 ? ']' : '}'))
        GIVE_UP;

close: /* `next` closes the innermost container */
    arrays >>= 1;
    if (frame-- == frames)
        goto done;
    p = next;
    NEED(1);
    next = run.index[run.next++];
    if (!tg_all_blank(doc, p + 1, next))
        GIVE_UP;
    c = doc[next];
    p = next;
    if (c == ',') {
        if (arrays & 1)
            goto element;
        goto pair;
    }
    if (c != (arrays & 1 ? ']' : '}'))
        GIVE_UP;
    goto close;

done:
    /* Nothing but blanks may follow; the first step has not seen all of them if they are many. */
    if (!tg_all_blank(doc, next + 1, len))
        GIVE_UP;
    while (run.pos < len)
        if (run.next = run.count, tg_run_refill(&run, 1) || run.state.errors)
            GIVE_UP;
    if (run.next != run.count)
        GIVE_UP;
    if (run.state.not_ascii && !TG_UTF8_VALID(doc, len))
        GIVE_UP;
    tg_plan_finish(plan, found, out);
    info->error_pos = 0;
    info->flags = flags | (run.state.newlines ? TG_SCAN_HAS_NEWLINE : 0);
    return TG_SCAN_OK;
}
