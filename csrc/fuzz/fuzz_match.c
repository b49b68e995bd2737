/* Differential fuzzing of tg_match and tg_words against the plain models. Input: a byte for the pattern's length, the
 * pattern, then the value. The value stands at the very end of a malloc block, so that AddressSanitizer sees each byte
 * read too many. A libFuzzer target; standalone.c drives it where there is no libFuzzer.
 */
#include <stdio.h>

#include "../tests/match_model.h"

static void *block(const void *data, size_t size)
{
    void *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    return copy;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: not as the model says\n", what);
    abort();
}

static void fuzz_glob(const uint8_t *pattern, size_t n, const uint8_t *value, size_t len)
{
    uint16_t code[10];
    uint8_t *v = block(value, len);
    size_t runs = 0;
    for (size_t i = 0; i < n; i++) {
        /* few different ones, so that they meet */
        code[i] = pattern[i] % 4 == 0 ? TG_ANY_RUN : pattern[i] % 4 == 1 ? TG_ANY_ONE : tg_fold(pattern[i], 1);
        runs += code[i] == TG_ANY_RUN;
    }
    if (runs <= 3 && tg_glob_match(code, n, v, len) != model_glob(code, n, v, len))
        fail("tg_glob_match");
    free(v);
}

/* Words are pieces of the pattern, the value is looked for; then each word itself. */
static void fuzz_words(const uint8_t *pattern, size_t n, const uint8_t *value, size_t len)
{
    uint32_t offsets[5] = {0}, values[4] = {1, 2, 3, 4}, slots[2 * 8] = {0};
    uint8_t bytes[16];
    for (size_t i = 0; i < n; i++)
        bytes[i] = tg_fold(pattern[i], 1);
    for (uint32_t i = 1; i <= 4; i++)
        offsets[i] = (uint32_t)(n * i / 4);
    tg_words w = {.offsets = offsets, .values = values, .bytes = bytes, .mask = 7, .n = 4};
    tg_words_fill(&w, slots);
    uint8_t *v = block(value, len);
    for (int blank = 0; blank < 2; blank++) {
        if (tg_words_find(&w, v, len, blank) != model_words(&w, v, len, blank))
            fail("tg_words_find");
        for (uint32_t i = 0; i < 4; i++) {
            const uint8_t *word = bytes + offsets[i];
            size_t size = offsets[i + 1] - offsets[i];
            if (tg_words_find(&w, word, size, blank) != model_words(&w, word, size, blank))
                fail("tg_words_find of a word");
        }
    }
    free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t n = data[0] % 11;
    if (n > size - 1)
        n = size - 1;
    const uint8_t *value = data + 1 + n;
    size_t len = size - 1 - n;
    fuzz_words(data + 1, n, value, len);
    fuzz_glob(data + 1, n, value, len < 40 ? len : 40);
    return 0;
}
