/* tg_hash, tg_words and tg_match by themselves. Prints how many passed; exits 1 if any failed. */

#include "check.h"
#include "match_model.h"

#define check check_value

/* Of the bytes 0, 7, 14 … (mod 256), with seeds 0 and 0x9E3779B97F4A7C15, by the xxHash project's own code. */
static const struct {
    size_t len;
    uint64_t hash[2];
} vectors[] = {
    {0, {0xef46db3751d8e999ull, 0xc4349fc93c010000ull}},   {1, {0xe934a84adb052768ull, 0x126bb57a12364aa5ull}},
    {3, {0x9ff70a635a6209abull, 0xd169d7c1cb5e443full}},   {4, {0xae5acdc00a55ac41ull, 0xaeec91bdfd4f8a43ull}},
    {7, {0xd734a6b26f3da63eull, 0x60bf31abf53f85ddull}},   {8, {0x87116b3365b924ebull, 0xcfcfd09b165b3edbull}},
    {15, {0x2c53ab1e360882full, 0x778bed279107df97ull}},   {31, {0xf187c62b1e722b7ull, 0x74a5c408b232704dull}},
    {32, {0x91b0cb0931a8c629ull, 0xffed706a1999bb4full}},  {33, {0x931b043cf8d65b94ull, 0x5d3268a30eb755d3ull}},
    {63, {0x219110bf13e2fa26ull, 0x3d33bc4bfd4d217full}},  {64, {0xbf3052e3445775d0ull, 0x767e0fa4d0ba92efull}},
    {100, {0x8e2272c08247d5dbull, 0x783447aa4f00d046ull}}, {256, {0x2104991804ccea01ull, 0x8482989eacca254aull}},
    {300, {0x240b95edf72f18e0ull, 0x232f56938bfd1326ull}},
};

static void test_hash(void)
{
    uint8_t data[300];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        /* at the end of a block, so that a byte read too many is seen */
        uint8_t *copy = malloc(vectors[i].len + 1);
        memcpy(copy + 1, data, vectors[i].len);
        check(tg_xxh64(copy + 1, vectors[i].len, 0) == vectors[i].hash[0], "xxh64", "seed 0");
        check(tg_xxh64(copy + 1, vectors[i].len, 0x9E3779B97F4A7C15ull) == vectors[i].hash[1], "xxh64", "a seed");
        free(copy);
    }
    check(tg_xxh64(NULL, 0, 0) == vectors[0].hash[0], "xxh64", "no data");
}

static void test_words(void)
{
    static const char *const words[] = {"purchase", "order_completed", "", "a", "ab"};
    enum { N = sizeof words / sizeof *words };
    uint8_t bytes[64];
    uint32_t offsets[N + 1] = {0}, values[N], slots[2 * 16] = {0};
    for (uint32_t i = 0; i < N; i++) {
        memcpy(bytes + offsets[i], words[i], strlen(words[i]));
        offsets[i + 1] = offsets[i] + (uint32_t)strlen(words[i]);
        values[i] = 10 + i;
    }
    tg_words w = {.offsets = offsets, .values = values, .bytes = bytes, .mask = 15, .n = N};
    tg_words_fill(&w, slots);
    static const struct {
        const char *value;
        int blank;
        uint32_t expected;
    } cases[] = {
        {"purchase", 0, 10},
        {"PurChase", 0, 10},
        {"purchases", 0, TG_WORD_NONE},
        {"Order Completed", 1, 11},
        {"Order Completed", 0, TG_WORD_NONE},
        {"order_completed", 0, 11},
        {"", 1, 12},
        {"A", 1, 13},
        {"b", 1, TG_WORD_NONE},
        {"@rder_completed", 1, TG_WORD_NONE}, /* '@' is 'A' - 1 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t *v = (const uint8_t *)cases[i].value;
        size_t len = strlen(cases[i].value);
        check(tg_words_find(&w, v, len, cases[i].blank) == cases[i].expected, "words", cases[i].value);
        check(model_words(&w, v, len, cases[i].blank) == cases[i].expected, "words, the model", cases[i].value);
    }
    uint8_t *longest = calloc(1, TG_WORD_MAX + 1);
    check(tg_words_find(&w, longest, TG_WORD_MAX + 1, 0) == TG_WORD_NONE, "words", "longer than any");
    free(longest);
}

/* A pattern as text: * is a run, ? one character. */
static size_t compile(const char *pattern, uint16_t *code)
{
    size_t n = 0;
    for (; pattern[n]; n++)
        code[n] = pattern[n] == '*' ? TG_ANY_RUN : pattern[n] == '?' ? TG_ANY_ONE : (uint8_t)pattern[n];
    return n;
}

static void test_globs(void)
{
    static const char *const patterns[] = {"*",   "a*",  "*a",  "*a*",    "a*b*c", "?",  "??",
                                           "a?c", "*?*", "**a", "order*", "",      "a*a"};
    static const char *const values[] = {"",
                                         "a",
                                         "aa",
                                         "abc",
                                         "aXbXc",
                                         "abcabc",
                                         "ORDER X",
                                         "\xC3\xA9",
                                         "\xC3\xA9"
                                         "a",
                                         "ba",
                                         "cab",
                                         "\x80\x80",
                                         "order"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        uint16_t code[16];
        size_t n = compile(patterns[i], code);
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            const uint8_t *v = (const uint8_t *)values[j];
            size_t len = strlen(values[j]);
            check(tg_glob_match(code, n, v, len) == model_glob(code, n, v, len), patterns[i], values[j]);
        }
    }
}

/* The memo answers as the search does, whatever shares an entry; escapes are decoded first. */
static void test_memo(void)
{
    uint16_t code[2][16];
    tg_glob globs[2] = {{.rank = 3}, {.rank = 7}};
    tg_matcher matchers[2] = {{.globs = &globs[0], .code = code[0], .bare = 1},
                              {.globs = &globs[1], .code = code[1], .bare = 1}};
    globs[0].len = (uint32_t)compile("*1", code[0]);
    globs[1].len = (uint32_t)compile("x*", code[1]);
    tg_scratch *s = tg_scratch_new(4, 4);
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 2000; i++) {
            char value[96];
            int len = snprintf(value, sizeof value, "%s%d%.*s%d", i % 3 ? "x" : "y", i, i % 60,
                               "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl", i % 5);
            for (uint32_t id = 0; id < 2; id++)
                check(tg_match(matchers, id, s, (const uint8_t *)value, (size_t)len, 0) ==
                          tg_match_value(&matchers[id], s, (const uint8_t *)value, (size_t)len),
                      "memo", value);
        }
    check(tg_match(matchers, 1, s, (const uint8_t *)"\\u0078y", 7, 1) == 7, "memo, escaped", "\\u0078y");
    check(tg_match(matchers, 1, s, (const uint8_t *)"\\u0078y", 7, 0) == TG_RANK_NONE, "memo, as it is", "\\u0078y");
    tg_scratch_free(s);
    tg_scratch_free(NULL);
}

int main(void)
{
    test_hash();
    test_words();
    test_globs();
    test_memo();
    return check_result();
}
