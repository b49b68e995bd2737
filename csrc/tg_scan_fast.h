/* Inside of tg_scan: what the fast scanners share that does not depend on the instruction set. */
#ifndef TG_SCAN_FAST_H
#define TG_SCAN_FAST_H

#include "tg_scan_lex.h"
#include "tg_scan_plan.h"
#include "tg_scan_utf8.h"

/* What 64 bytes are, bit i for byte i. Inside strings the bits mean nothing, but for `quote`. */
typedef struct {
    uint64_t quote;
    uint64_t structural; /* {}[]:, */
    uint64_t blank;      /* ' ' only: the other blanks are controls */
    uint64_t invalid;    /* may not stand outside a string (set for quotes too) */
    unsigned special;    /* not 0: some byte is a backslash, a control or not ASCII */
} tg_masks;

typedef struct {
    uint64_t slash;
    uint64_t control;
    uint64_t newline; /* \n and \r */
    uint64_t blank;   /* those and \t */
    uint64_t not_ascii;
} tg_extras;

/* A byte's class is tg_class_low[lower half] & tg_class_high[upper half]. Each class is a union of rectangles in
 * the ASCII table, and each rectangle has a bit:
 *   1  + - .    2  0-9 P-Y p-y    4  Z z    8  A-O a-o    words, all up to TG_CLASS_WORD
 *   16  ,       32  :             64  [ ] { }             structural, above it as signed numbers
 *   128 ' '                                               negative
 * Nothing else gets a bit, bytes beyond ASCII neither (the table look-up gives 0 where bit 7 is set). */
#define TG_CLASS_WORD 15

static const uint8_t tg_class_low[16] = {
    2 | 128, 2 | 8, 2 | 8,      2 | 8,      2 | 8,  2 | 8,      2 | 8, 2 | 8,
    2 | 8,   2 | 8, 4 | 8 | 32, 1 | 8 | 64, 8 | 16, 1 | 8 | 64, 1 | 8, 8,
};
static const uint8_t tg_class_high[16] = {
    0, 0, 1 | 16 | 128, 2 | 32, 8, 2 | 4 | 64, 8, 2 | 4 | 64, 0, 0, 0, 0, 0, 0, 0, 0,
};

#endif
