/* Decodes the escapes of a JSON string that the scanner accepted. */
#include "tg_scan.h"

#include <string.h>

static uint32_t hex4(const uint8_t *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return value;
}

/* Also writes what UTF-8 forbids, a lone surrogate: the caller asked for WTF-8. */
static uint8_t *put_code_point(uint8_t *dst, uint32_t c)
{
    if (c < 0x80) {
        *dst++ = (uint8_t)c;
    } else if (c < 0x800) {
        *dst++ = (uint8_t)(0xC0 | c >> 6);
        *dst++ = (uint8_t)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *dst++ = (uint8_t)(0xE0 | c >> 12);
        *dst++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        *dst++ = (uint8_t)(0x80 | (c & 0x3F));
    } else {
        *dst++ = (uint8_t)(0xF0 | c >> 18);
        *dst++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
        *dst++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        *dst++ = (uint8_t)(0x80 | (c & 0x3F));
    }
    return dst;
}

size_t tg_scan_unescape(const uint8_t *src, size_t len, uint8_t *dst)
{
    const uint8_t *end = src + len;
    uint8_t *to = dst;
    while (src < end) {
        const uint8_t *slash = memchr(src, '\\', (size_t)(end - src));
        size_t plain = (size_t)((slash ? slash : end) - src);
        memcpy(to, src, plain);
        to += plain;
        src += plain;
        if (!slash)
            break;
        uint8_t c = src[1];
        src += 2;
        switch (c) {
        case 'b':
            *to++ = '\b';
            break;
        case 'f':
            *to++ = '\f';
            break;
        case 'n':
            *to++ = '\n';
            break;
        case 'r':
            *to++ = '\r';
            break;
        case 't':
            *to++ = '\t';
            break;
        case 'u': {
            uint32_t unit = hex4(src);
            src += 4;
            if (unit >> 10 == 0xD800 >> 10 && end - src >= 6 && src[0] == '\\' && src[1] == 'u') {
                uint32_t low = hex4(src + 2);
                if (low >> 10 == 0xDC00 >> 10) {
                    unit = 0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF);
                    src += 6;
                }
            }
            to = put_code_point(to, unit);
            break;
        }
        default:
            *to++ = c;
            break; /* quote, backslash, slash */
        }
    }
    return (size_t)(to - dst);
}
