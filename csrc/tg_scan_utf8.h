/* Inside of tg_scan: is this UTF-8? For documents that the fast scanners found not to be ASCII. */
#ifndef TG_SCAN_UTF8_H
#define TG_SCAN_UTF8_H

#include <stddef.h>
#include <stdint.h>

int tg_utf8_valid_plain(const uint8_t *p, size_t len);

#endif
