/* Differential fuzzing of tg_scan: all implementations must agree on status, position, flags and values, at both
 * levels. The document stands at the very end of a malloc block, so that AddressSanitizer sees each byte read
 * too many. A libFuzzer target; standalone.c drives it where there is no libFuzzer. The first byte of the input
 * chooses the wanted fields.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tg_scan.h"
#include "tg_scan_plan.h"

#define MAX_POINTERS 10

static const char *const wanted[][MAX_POINTERS] = {
    {"/event_name", "/event", "/name", "/event_type", "/type"},
    {"/a", "/a/b", "/a/b/c", "/a/0", "/a/1/b", "/a/0/0", "/0", "/b"},
    {"", "/", "/a~1b", "/~0", "/é", "/a", "/a", "//"},
    {"/type", "/user/tier", "/items/0/sku", "/items/2/sku", "/items/10", "/items", "/user"},
    {NULL},
};
#define PLANS (sizeof wanted / sizeof wanted[0])

static tg_scan_plan *plans[PLANS];
static const char *names[8];
static int implementations;

static tg_scan_fn *fast(const char *name)
{
#if defined(__x86_64__)
    if (strcmp(name, "avx512") == 0)
        return tg_scan_avx512;
    if (strcmp(name, "avx2") == 0)
        return tg_scan_avx2;
    if (strcmp(name, "sse42") == 0)
        return tg_scan_sse42;
    if (strcmp(name, "sse2") == 0)
        return tg_scan_sse2;
#elif defined(__aarch64__)
    if (strcmp(name, "neon") == 0)
        return tg_scan_neon;
#endif
    return NULL;
}

static void set_up(void)
{
    for (size_t i = 0; i < PLANS; i++) {
        size_t lens[MAX_POINTERS], n = 0;
        for (; n < MAX_POINTERS && wanted[i][n]; n++)
            lens[n] = strlen(wanted[i][n]);
        if (tg_scan_plan_new(wanted[i], lens, n, &plans[i]) != TG_SCAN_OK)
            abort();
    }
    implementations = tg_scan_implementations(names, 8);
}

static void fail(const char *what, const char *name, int level, const uint8_t *doc, size_t len)
{
    fprintf(stderr, "%s: %s, level %d, document of %zu bytes:\n", what, name, level, len);
    fwrite(doc, 1, len, stderr);
    fputc('\n', stderr);
    abort();
}

static int same_value(const tg_scan_value *a, const tg_scan_value *b)
{
    return a->ptr == b->ptr && a->len == b->len && a->kind == b->kind && a->escaped == b->escaped;
}

static void check_value(const tg_scan_value *v, const uint8_t *doc, size_t len)
{
    if (!v->ptr)
        return;
    if (v->ptr < doc || v->ptr + v->len > doc + len)
        abort();
    if (v->kind == TG_SCAN_STRING) {
        uint8_t *text = malloc(v->len ? v->len : 1);
        if (tg_scan_unescape(v->ptr, v->len, text) > v->len || v->escaped != (memchr(v->ptr, '\\', v->len) != NULL))
            abort();
        free(text);
    }
}

/* A fast scanner may give up on bad and on very short documents, and on bare values; else it would only be slow,
 * and nobody would notice. */
static int must_be_fast(const uint8_t *doc, size_t len)
{
    size_t at = len >= 3 && memcmp(doc, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    if (len - at < 64)
        return 0;
    while (doc[at] <= ' ')
        at++;
    return doc[at] == '{' || doc[at] == '[';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!implementations)
        set_up();
    if (size == 0)
        return 0;
    const tg_scan_plan *plan = plans[data[0] % PLANS];
    size_t fields = tg_scan_plan_fields(plan), len = size - 1;
    uint8_t *block = malloc(len ? len : 1), *doc = block;
    memcpy(doc, data + 1, len);
    tg_scan_status by_level[2];
    for (int level = 0; level < 2; level++) {
        tg_scan_value first[MAX_POINTERS], out[MAX_POINTERS];
        tg_scan_info first_info, info;
        tg_scan_use("scalar");
        tg_scan_status status = tg_scan(plan, doc, len, (tg_scan_level)level, first, &first_info);
        by_level[level] = status;
        for (size_t i = 0; i < fields; i++) {
            check_value(&first[i], doc, len);
            if (status != TG_SCAN_OK && first[i].kind != TG_SCAN_ABSENT)
                fail("a value from a bad document", "scalar", level, doc, len);
        }
        if (first_info.error_pos > len || (status == TG_SCAN_OK && first_info.error_pos))
            fail("position", "scalar", level, doc, len);
        for (int k = 0; k < implementations; k++) {
            tg_scan_use(names[k]);
            memset(out, 0x55, sizeof out);
            if (tg_scan(plan, doc, len, (tg_scan_level)level, out, &info) != status)
                fail("status", names[k], level, doc, len);
            if (info.error_pos != first_info.error_pos || info.flags != first_info.flags)
                fail("info", names[k], level, doc, len);
            for (size_t i = 0; i < fields; i++)
                if (!same_value(&out[i], &first[i]))
                    fail("value", names[k], level, doc, len);
            if (status == TG_SCAN_OK && fast(names[k]) && must_be_fast(doc, len) &&
                fast(names[k])(plan, doc, (uint32_t)len, (tg_scan_level)level, out, &info) != TG_SCAN_OK)
                fail("gave up", names[k], level, doc, len);
        }
    }
    if (by_level[1] == TG_SCAN_OK && by_level[0] != TG_SCAN_OK)
        fail("grammar accepts what structure does not", "scalar", 1, doc, len);
    free(block);
    return 0;
}
