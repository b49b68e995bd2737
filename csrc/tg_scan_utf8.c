/* UTF-8 validation in plain C, for machines without a byte look-up and for what begins oddly. */
#include "tg_scan_utf8.h"

#include "tg_scan_lex.h"

int tg_utf8_valid_plain(const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    while (p < end) {
        if (end - p >= 8) {
            uint64_t x;
            memcpy(&x, p, 8);
            if (!(x & TG_HIGHS)) {
                p += 8;
                continue;
            }
        }
        if (*p < 0x80) {
            p++;
            continue;
        }
        int step = tg_utf8_step(p, end);
        if (step <= 0)
            return 0;
        p += step;
    }
    return 1;
}
