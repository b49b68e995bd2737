/* Fuzzing of what tg_tracestate reads from strangers. Whatever is taken from a text must be within its bounds, must come
 * back from what is printed of it, and must be what a plain reader, which cuts the text up first, takes. Input: a byte
 * that says how it is read, then the text, in a block of its own size. A libFuzzer target; standalone.c drives it where
 * there is no libFuzzer.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../tg_tracestate.h"

static void fail(const char *what)
{
    fprintf(stderr, "%s: not as the model says\n", what);
    abort();
}

static int is_hex(const char *text)
{
    return strspn(text, "0123456789abcdefABCDEF") == strlen(text);
}

/* The value of an ot entry, by strtok and strtoull; a NUL is no character of it. */
static int plain(const uint8_t *data, size_t len, tg_sample *out)
{
    char text[257], digits[16], *save = NULL;
    int th = 0, rv = 0;
    if (len == 0 || len > 256 || memchr(data, 0, len) || data[0] == ';' || data[len - 1] == ';')
        return 0;
    memcpy(text, data, len);
    text[len] = 0;
    if (strstr(text, ";;"))
        return 0;
    for (char *one = strtok_r(text, ";", &save); one; one = strtok_r(NULL, ";", &save)) {
        char *colon = strchr(one, ':');
        if (!colon || colon == one || *one < 'a' || *one > 'z')
            return 0;
        *colon = 0;
        char *value = colon + 1;
        size_t size = strlen(value);
        static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
        static const char any[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ._-";
        if (strspn(one, lower) != strlen(one) || strspn(value, any) != size)
            return 0;
        if ((strcmp(one, "th") == 0 && th++) || (strcmp(one, "rv") == 0 && rv++))
            return 0;
        if (size < 1 || size > 14 || !is_hex(value))
            continue;
        memset(digits, '0', 14);
        memcpy(digits, value, size);
        digits[14] = 0;
        if (strcmp(one, "th") == 0) {
            out->has_threshold = 1;
            out->threshold = strtoull(digits, NULL, 16);
        } else if (strcmp(one, "rv") == 0 && size == 14) {
            out->has_randomness = 1;
            out->randomness = strtoull(digits, NULL, 16);
        }
    }
    return 1;
}

static int same(const tg_sample *a, const tg_sample *b)
{
    return a->has_threshold == b->has_threshold && a->has_randomness == b->has_randomness &&
           (!a->has_threshold || a->threshold == b->threshold) &&
           (!a->has_randomness || a->randomness == b->randomness);
}

static void consequences(const tg_sample *s)
{
    char text[TG_TRACESTATE_BYTES];
    tg_sample again = {.factor = 1}, settled = *s;
    size_t n = tg_tracestate_print(s, text);
    if (n > sizeof text || (n == 0) != (!s->has_threshold && !s->has_randomness))
        fail("tg_tracestate_print");
    if (n && (!tg_tracestate_read((uint8_t *)text, n, &again) || !same(s, &again)))
        fail("what was printed");
    tg_sample_settle(&settled, 7);
    if (settled.randomness < settled.threshold || settled.randomness >= TG_SAMPLE_ALL)
        fail("tg_sample_settle");
    double weight = tg_sample_weight(&settled);
    int32_t rate = tg_sample_rate(&settled);
    if (!(weight >= 1 && weight <= 0x1p56) || rate < 1 ||
        (rate != TG_SAMPLE_MAX_RATE && (rate < weight - 1 || rate > weight + 1)))
        fail("tg_sample_rate");
}

/* Makes of any bytes a text that could nearly be one: the chance of meeting th and rv is small otherwise. */
static void nearly(uint8_t *text, size_t len)
{
    static const char *const pieces[] = {"th:", "rv:", ";",   "ot=", ",",  "c", "0", "d29d6a7215ced0",
                                         "F",   " ",   "x1:", "-",   "\t", "."};
    size_t n = 0;
    uint8_t *source = malloc(len ? len : 1);
    memcpy(source, text, len);
    for (size_t i = 0; i < len && n < len; i++) {
        const char *piece = pieces[source[i] % (sizeof pieces / sizeof *pieces)];
        for (; *piece && n < len; piece++)
            text[n++] = (uint8_t)*piece;
    }
    free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t len = size - 1;
    if (data[0] & 1)
        len = len < 60 ? len : 60;
    uint8_t *text = malloc(len ? len : 1);
    memcpy(text, data + 1, len);
    if (data[0] & 2)
        nearly(text, len);
    tg_sample mine = {.factor = 1}, model = {.factor = 1}, header = {.factor = 1}, trace = {.factor = 1};
    int read = tg_tracestate_read_ot(text, len, &mine);
    if (read != plain(text, len, &model))
        fail("tg_tracestate_read_ot");
    if (!read)
        model = (tg_sample){.factor = 1}; /* it may have been refused in its middle */
    if (!same(&mine, &model))
        fail("th and rv");
    consequences(&mine);
    tg_tracestate_read(text, len, &header);
    consequences(&header);
    tg_tracestate_read_parent(text, len, &trace);
    consequences(&trace);
    free(text);
    return 0;
}
