/* The plain way of what tg_match.h and tg_words.h do quickly: for tests and fuzzing. */
#ifndef TG_MATCH_MODEL_H
#define TG_MATCH_MODEL_H

#include "tg_match.h"

/* Tries every place for every run: exponential, so for short patterns only. */
static inline int model_glob(const uint16_t *code, size_t n, const uint8_t *v, size_t len)
{
    if (n == 0)
        return len == 0;
    if (code[0] == TG_ANY_RUN) {
        for (size_t i = 0; i <= len; i++)
            if (model_glob(code + 1, n - 1, v + i, len - i))
                return 1;
        return 0;
    }
    if (len == 0)
        return 0;
    if (code[0] != TG_ANY_ONE)
        return code[0] == tg_fold(v[0], 1) && model_glob(code + 1, n - 1, v + 1, len - 1);
    size_t i = 1;
    while (i < len && (v[i] & 0xC0) == 0x80)
        i++;
    return model_glob(code + 1, n - 1, v + i, len - i);
}

static inline uint32_t model_words(const tg_words *w, const uint8_t *value, size_t len, int blank)
{
    for (uint32_t i = 0; i < w->n; i++) {
        size_t at = 0, size = w->offsets[i + 1] - w->offsets[i];
        while (size == len && at < len && tg_fold(value[at], blank) == w->bytes[w->offsets[i] + at])
            at++;
        if (size == len && at == len)
            return w->values[i];
    }
    return TG_WORD_NONE;
}

#endif
