/* tg_time: a moment written as RFC 3339 has it, as in CloudEvents' attributes.
 *
 * Nothing here allocates, knows a clock or keeps a state; any thread.
 */
#ifndef TG_TIME_H
#define TG_TIME_H

#include <stddef.h>
#include <stdint.h>

/* Two digits, or as many as `n` says; -1: something else stands there. */
static inline int32_t tg_time_digits(const uint8_t *text, size_t n)
{
    int32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        v = 10 * v + (text[i] - '0');
    }
    return v;
}

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Howard Hinnant, "days_from_civil"). */
static inline int64_t tg_time_days(int64_t year, int32_t month, int32_t day)
{
    year -= month <= 2;
    int64_t era = year / 400; /* years from 0 on only */
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Reads "2026-11-27T08:00:00.25Z" or "…+01:00", of any bytes. 1: `ms` is set to Unix time in milliseconds, fractions of
 * them left off; 0: it is no such text. Years from 1 to 9999; a leap second is the second before it. */
static inline int tg_time_read(const uint8_t *text, size_t len, int64_t *ms)
{
    static const int8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (len < 20 || text[4] != '-' || text[7] != '-' || (text[10] | 0x20) != 't' || text[13] != ':' || text[16] != ':')
        return 0;
    int32_t year = tg_time_digits(text, 4), month = tg_time_digits(text + 5, 2), day = tg_time_digits(text + 8, 2);
    int32_t hour = tg_time_digits(text + 11, 2), minute = tg_time_digits(text + 14, 2);
    int32_t second = tg_time_digits(text + 17, 2), offset = 0, fraction = 0, weight = 100;
    if (year < 1 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 60)
        return 0;
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > lengths[month - 1] + (month == 2 && leap))
        return 0;
    size_t at = 19;
    if (text[at] == '.') {
        size_t from = ++at;
        for (; at < len && text[at] >= '0' && text[at] <= '9'; at++) {
            fraction += weight * (text[at] - '0');
            weight /= 10;
        }
        if (at == from || at == len)
            return 0;
    }
    if ((text[at] | 0x20) == 'z') {
        if (at + 1 != len)
            return 0;
    } else {
        if ((text[at] != '+' && text[at] != '-') || at + 6 != len || text[at + 3] != ':')
            return 0;
        int32_t hours = tg_time_digits(text + at + 1, 2), minutes = tg_time_digits(text + at + 4, 2);
        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
            return 0;
        offset = (hours * 60 + minutes) * (text[at] == '+' ? 1 : -1);
    }
    int64_t minutes = (tg_time_days(year, month, day) * 24 + hour) * 60 + minute - offset;
    *ms = (minutes * 60 + (second == 60 ? 59 : second)) * 1000 + fraction;
    return 1;
}

#endif
