/* Drives a libFuzzer target without libFuzzer: documents made by chance and mutated, from a seeded generator.
 * Usage: program [seconds [seed]], or program file ... to run single inputs again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM (1 << 17)

static uint64_t state;
static uint8_t text[ROOM + 4096];
static size_t used;

static uint64_t below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % n;
}

static void put(const char *s)
{
    size_t n = strlen(s);
    if (used + n < ROOM) {
        memcpy(text + used, s, n);
        used += n;
    }
}

#define PICK(list) list[below(sizeof list / sizeof *list)]

static int spaced; /* 0: none, 1: a few, 2: many */

static void blanks(void)
{
    static const char *const some[] = {"", "", " ", "\n", "\r\n", "\t", "  ", "        "};
    if (spaced && (spaced == 2 || below(6) == 0))
        put(PICK(some));
}

static void string(void)
{
    static const char *const keys[] = {
        "a",       "b",    "c",     "0",          "",     "type", "event_type", "event\\u005ftype",
        "event",   "name", "items", "sku",        "user", "tier", "a/b",        "~",
        "\\u0061", "é",    "price", "event_time", "a\\/b"};
    static const char *const parts[] = {"x",
                                        "ab",
                                        " ",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        ":",
                                        ",",
                                        "\\\"",
                                        "\\\\",
                                        "\\u00e9",
                                        "\\ud83d\\ude00",
                                        "\\ud800",
                                        "\\n",
                                        "é",
                                        "я",
                                        "中",
                                        "😀",
                                        "longer text in here",
                                        "/",
                                        "_",
                                        "'",
                                        "\x7f",
                                        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    put("\"");
    if (below(2))
        put(PICK(keys));
    else
        for (uint64_t n = below(below(4) ? 4 : 16); n; n--)
            put(PICK(parts));
    put("\"");
}

static void value(int depth)
{
    static const char *const words[] = {"0",       "1",    "-1",    "12.50", "1e9",
                                        "-0.0E-7", "true", "false", "null",  "123456789012345678901"};
    static const char *const odd[] = {"01", "+1", "1.", "NaN", "tru", "-", ".5", "0x1", "1e", "Infinity"};
    uint64_t kind = below(depth > 0 ? 10 : 6);
    if (kind < 3) {
        string();
    } else if (kind < 6) {
        put(below(60) ? PICK(words) : PICK(odd));
    } else {
        int array = kind < 8;
        put(array ? "[" : "{");
        blanks();
        uint64_t n = below(below(5) ? 4 : 24);
        for (uint64_t i = 0; i < n; i++) {
            if (!array) {
                string();
                blanks();
                put(":");
                blanks();
            }
            value(depth - 1);
            blanks();
            if (i + 1 < n)
                put(",");
            blanks();
        }
        put(array ? "]" : "}");
    }
}

static void document(void)
{
    used = 0;
    text[used++] = (uint8_t)below(256);
    spaced = (int)below(3);
    if (below(20) == 0)
        put("\xEF\xBB\xBF");
    blanks();
    if (below(12) == 0) {
        uint64_t n = 60 + below(10);
        for (uint64_t i = 0; i < n; i++)
            put(below(2) ? "[" : "{\"a\":");
    }
    if (below(4) == 0)
        value(6);
    else if (below(2)) {
        put("{\"filler\":\"0123456789012345678901234567890123456789\",\"a\":");
        value(6);
        put(",\"type\":");
        value(3);
        put("}");
    } else {
        put("[");
        for (uint64_t n = below(below(20) ? 8 : 200); n; n--) {
            value(5);
            put(",");
        }
        value(2);
        put("]");
    }
    blanks();
}

static void mutate(void)
{
    static const char bytes[] = "\"\"\"\\\\{}[]::,, \n\t\r01-.eEtfnuz\x80\xBF\xC3\xE2\xED\xF0\xF4\xFF\x01\x1f\x7f/_";
    for (uint64_t n = below(4); n; n--) {
        if (used < 2)
            return;
        size_t at = 1 + below(used - 1);
        uint8_t byte = below(4) ? (uint8_t)bytes[below(sizeof bytes - 1)] : (uint8_t)below(256);
        switch (below(6)) {
        case 0:
            text[at] = byte;
            break;
        case 1:
            text[at] ^= (uint8_t)(1u << below(8));
            break;
        case 2:
            memmove(text + at + 1, text + at, used - at);
            text[at] = byte;
            used++;
            break;
        case 3:
            memmove(text + at, text + at + 1, used - at - 1);
            used--;
            break;
        case 4:
            if (below(3) == 0)
                used = at;
            break;
        default: { /* a piece of it once more */
            size_t from = 1 + below(used - 1), len = below(64);
            if (len > used - from)
                len = used - from;
            memmove(text + at + len, text + at, used - at);
            memmove(text + at, text + (from < at ? from : from + len), len);
            used += len;
        }
        }
    }
}

static int again(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    used = fread(text, 1, ROOM, f);
    fclose(f);
    return LLVMFuzzerTestOneInput(text, used);
}

int main(int argc, char **argv)
{
    char *rest = NULL;
    double seconds = argc > 1 ? strtod(argv[1], &rest) : 20;
    if (argc > 1 && *rest) {
        int failed = 0;
        for (int i = 1; i < argc; i++)
            failed |= again(argv[i]);
        return failed;
    }
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
    state = seed * 0x9E3779B97F4A7C15ull | 1;
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    time_t start = time(NULL);
    uint64_t runs = 0;
    do {
        document();
        for (uint64_t n = 1 + below(8); n; n--, runs++) {
            LLVMFuzzerTestOneInput(text, used);
            mutate();
        }
    } while (difftime(time(NULL), start) < seconds);
    printf("%llu documents, no difference\n", (unsigned long long)runs);
    return 0;
}
