/* tg_sample, tg_tracestate and tg_strata by themselves. Prints how many passed; exits 1 if any failed.
 *
 *   test_sample           all of it
 *   test_sample strata    the two threads of tg_strata alone: under ThreadSanitizer its silence is the result
 */
#include "check.h"
#include "tg_strata.h"
#include "tg_tracestate.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define check check_value

static const tg_sample nothing = {.factor = 1};

/* A text in a block of its own size, so that a byte read too many is seen. */
static int read_text(const char *text, tg_sample *s, int (*read)(const uint8_t *, size_t, tg_sample *))
{
    size_t len = strlen(text);
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    *s = nothing;
    int got = read(copy, len, s);
    free(copy);
    return got;
}

static const char *printed(const tg_sample *s)
{
    static char text[TG_TRACESTATE_BYTES + 1];
    text[tg_tracestate_print(s, text)] = 0;
    return text;
}

/* th by the formula of the specification, "Converting integer threshold to a th-value". */
static void test_ladder(void)
{
    static const char *const th[] = {"0", "4", "8", "a", "c", "d", "e", "e8", "f", "f4", "f8", "fa", "fc"};
    static const double kept[] = {1.0,      3 / 4.0,  1 / 2.0,  3 / 8.0,  1 / 4.0,   3 / 16.0, 1 / 8.0,
                                  3 / 32.0, 1 / 16.0, 3 / 64.0, 1 / 32.0, 3 / 128.0, 1 / 64.0};
    for (unsigned rung = 0; rung < TG_SAMPLE_RUNGS; rung++) {
        tg_sample s = nothing;
        char wanted[32];
        s.threshold = tg_sample_rung_threshold(rung);
        s.has_threshold = 1;
        snprintf(wanted, sizeof wanted, "ot=th:%s", th[rung]);
        check(strcmp(printed(&s), wanted) == 0, "th of a rung", wanted);
        check((double)(TG_SAMPLE_ALL - s.threshold) == kept[rung] * (double)TG_SAMPLE_ALL, "share of a rung", wanted);
        check(tg_sample_weight(&s) == 1 / kept[rung], "weight of a rung", wanted);
        check(tg_sample_rung_of(s.threshold) == rung, "rung of a threshold", wanted);
        check(tg_sample_rung_of(s.threshold + 1) == rung + 1, "rung below a threshold", wanted);
    }
}

static void test_read(void)
{
    /* Examples of the specification and of the collector's tests of it. */
    static const struct {
        const char *text;
        int got, th, rv;
        double weight;
        uint64_t randomness;
    } cases[] = {
        {"ot=th:c", 1, 1, 0, 4, 0},
        {"ot=th:0", 1, 1, 0, 1, 0},
        {"ot=th:3;a:b;c:d", 1, 1, 0, 1 / (1 - 0x3p-4), 0},
        {"ot=rv:10000000000000;th:3", 1, 1, 1, 1 / (1 - 0x3p-4), 0x10000000000000},
        {"ot=th:fd70a4;rv:fe70a4feed1234", 1, 1, 1, 1 / (1 - 0xfd70a4p-24), 0xfe70a4feed1234},
        {"ot=th:1000", 1, 1, 0, 1 / (1 - 0x1p-4), 0},
        {"ot=th:aab", 1, 1, 0, 1 / (1 - 0xaabp-12), 0},
        {"ot=th:ffffffffffffff", 1, 1, 0, 0x1p56, 0},
        {"ot=th:C", 1, 1, 0, 4, 0},
        {"rojo=1,\tot=th:8 ,congo=2", 1, 1, 0, 2, 0},
        {"ot=th:8,ot=th:c", 1, 1, 0, 2, 0},
        {"ot=e100:100;th:8;e101:101", 1, 1, 0, 2, 0},
        /* a value that is none */
        {"ot=th:$", 0, 0, 0, 1, 0},
        {"ot=th:0x1p", 1, 0, 0, 1, 0},
        {"ot=th:100000000000000", 1, 0, 0, 1, 0},
        {"ot=th:", 1, 0, 0, 1, 0},
        {"ot=rv:3;th:8", 1, 1, 0, 2, 0},
        {"ot=rv:100000000000000", 1, 0, 0, 1, 0},
        /* no such list */
        {"", 0, 0, 0, 1, 0},
        {"th:c", 0, 0, 0, 1, 0},
        {"xot=th:c", 0, 0, 0, 1, 0},
        {"ot=", 0, 0, 0, 1, 0},
        {"ot=th:8;", 0, 0, 0, 1, 0},
        {"ot=;th:8", 0, 0, 0, 1, 0},
        {"ot=:8", 0, 0, 0, 1, 0},
        {"ot=1:1;th:8", 0, 0, 0, 1, 0},
        {"ot=th:8=p:2", 0, 0, 0, 1, 0},
        {"ot=th:8;th:8", 0, 0, 0, 1, 0},
        {"ot=th", 0, 0, 0, 1, 0},
        {",,,", 0, 0, 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tg_sample s;
        int got = read_text(cases[i].text, &s, tg_tracestate_read);
        check(got == cases[i].got && s.has_threshold == cases[i].th && s.has_randomness == cases[i].rv, "read",
              cases[i].text);
        check(tg_sample_weight(&s) == cases[i].weight, "weight", cases[i].text);
        check(!cases[i].rv || s.randomness == cases[i].randomness, "rv", cases[i].text);
    }
    char text[300] = "ot=x:";
    tg_sample s;
    memset(text + 5, '_', 254);
    check(read_text(text, &s, tg_tracestate_read) == 1, "256 bytes", "");
    text[259] = '_';
    check(read_text(text, &s, tg_tracestate_read) == 0, "257 bytes", "");
    s = nothing;
    check(tg_tracestate_print(&s, text) == 0, "nothing to print", "");
    s = (tg_sample){.randomness = 3, .threshold = 1, .factor = 1, .has_randomness = 1, .has_threshold = 1};
    check(strcmp(printed(&s), "ot=th:00000000000001;rv:00000000000003") == 0, "print", printed(&s));
}

static void test_traceparent(void)
{
    tg_sample s;
    check(read_text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", &s, tg_tracestate_read_parent) &&
              s.randomness == 0x48eb211c80319cull,
          "traceparent", "W3C's example");
    static const char *const bad[] = {"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
                                      "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!read_text(bad[i], &s, tg_tracestate_read_parent) && !s.has_randomness, "no traceparent", bad[i]);
}

static void test_stages(void)
{
    tg_sample s = nothing;
    tg_sample_settle(&s, 0x80000000000000);
    check(s.randomness == 0x80000000000000 && s.factor == 1, "settle", "our own");
    check(tg_sample_apply(&s, 0x80000000000000) && tg_sample_weight(&s) == 2, "apply", "R = T is kept");
    check(!tg_sample_apply(&s, 0x80000000000001) && tg_sample_weight(&s) == 2, "apply", "R < T is not");
    check(tg_sample_apply(&s, 0x10000000000000) && tg_sample_weight(&s) == 2, "apply", "T never sinks");
    check(!tg_sample_apply(&s, TG_SAMPLE_ALL), "apply", "nothing passes the highest");

    read_text("ot=th:c;rv:f0000000000000", &s, tg_tracestate_read);
    tg_sample_settle(&s, 5);
    check(s.randomness == 0xf0000000000000 && tg_sample_weight(&s) == 4, "settle", "theirs stands");
    read_text("ot=th:c;rv:10000000000000", &s, tg_tracestate_read);
    tg_sample_settle(&s, 5);
    check(s.randomness == 0x10000000000000 && !s.has_threshold && tg_sample_weight(&s) == 1, "settle", "not true");
    read_text("ot=th:c", &s, tg_tracestate_read);
    tg_sample_settle(&s, 5);
    check(s.randomness == 5 && !s.has_threshold && tg_sample_weight(&s) == 4, "settle", "a threshold alone");
    s.factor *= 3;
    s.randomness = 0x80000000000000;
    check(tg_sample_apply(&s, 0x80000000000000) && tg_sample_weight(&s) == 24, "stages", "factors multiply");
}

static void test_randomness(void)
{
    const uint8_t *plain = (const uint8_t *)"ab\xC3\xA9";
    const uint8_t *escaped = (const uint8_t *)"\\u0061b\\u00e9";
    check(tg_sample_randomness(plain, 4, 9) == (tg_xxh64(plain, 4, 9) & 0xffffffffffffff), "low 56 bits", "");
    check(tg_sample_randomness_escaped(escaped, 13, 9) == tg_sample_randomness(plain, 4, 9), "spelling", "");
    uint8_t *longer = malloc(6 * 200);
    for (int i = 0; i < 200; i++)
        memcpy(longer + 6 * i, "\\u0061", 6);
    check(tg_sample_randomness_escaped(longer, 1200, 9) == tg_sample_randomness(longer, 1200, 9), "too long", "");
    free(longer);
    uint64_t here = tg_sample_randomness_place("t", 1, 1, 2, 0);
    check(here != tg_sample_randomness_place("t", 1, 2, 1, 0) && here != tg_sample_randomness_place("u", 1, 1, 2, 0) &&
              here != tg_sample_randomness_place("t", 1, 1, 2, 1) &&
              here == tg_sample_randomness_place("t", 1, 1, 2, 0),
          "place", "");
}

/* The mean of the rate over R is the weight: by counting, since it takes two values and changes once. */
static void test_rate(void)
{
    static const uint64_t thresholds[] = {0,
                                          0x40000000000000,
                                          0xa0000000000000,
                                          0xe8000000000000,
                                          0xfc000000000000,
                                          0xfd70a400000000,
                                          0x55555555555555,
                                          0xffffffffffffff - 6};
    for (size_t i = 0; i < sizeof thresholds / sizeof *thresholds; i++) {
        tg_sample s = {.threshold = thresholds[i], .factor = 1, .has_threshold = 1, .has_randomness = 1};
        char text[64];
        snprintf(text, sizeof text, "%llx", (unsigned long long)s.threshold);
        for (unsigned factor = 1; factor < 6; factor++) {
            uint64_t kept = TG_SAMPLE_ALL - s.threshold, low = 0, high = kept; /* first R of the lesser rate */
            s.factor = factor;
            if (tg_sample_weight(&s) >= TG_SAMPLE_MAX_RATE) {
                s.randomness = s.threshold;
                check(tg_sample_rate(&s) == TG_SAMPLE_MAX_RATE, "greatest rate", text);
                continue;
            }
            s.randomness = TG_SAMPLE_ALL - 1;
            int32_t least = tg_sample_rate(&s);
            while (low < high) {
                uint64_t middle = low + (high - low) / 2;
                s.randomness = s.threshold + middle;
                if (tg_sample_rate(&s) == least)
                    high = middle;
                else
                    low = middle + 1;
            }
            s.randomness = s.threshold;
            check(low == 0 || tg_sample_rate(&s) == least + 1, "rates are neighbours", text);
            check(low + kept * (uint64_t)least == TG_SAMPLE_ALL * factor, "rates add up to all", text);
        }
    }
    tg_sample s = {.randomness = 0, .factor = 2.5, .has_randomness = 1};
    check(tg_sample_rate(&s) == 3, "a broken factor", "low R");
    s.randomness = TG_SAMPLE_ALL - 1;
    check(tg_sample_rate(&s) == 2, "a broken factor", "high R");
    s.factor = 0.25;
    check(tg_sample_rate(&s) == 1, "never below 1", "");
    s.factor = NAN;
    check(tg_sample_rate(&s) == 1, "no number", "");
    s.factor = 1e300;
    check(tg_sample_rate(&s) == TG_SAMPLE_MAX_RATE, "greatest rate", "1e300");
}

static void test_strata(void)
{
    static tg_strata t;
    tg_stratum_view view;
    const uint8_t *type = (const uint8_t *)"page_view of a kind with a long name";
    tg_strata_init(&t);
    tg_stratum *s = tg_strata_find(&t, 3, type, 36, 1);
    check(s == tg_strata_find(&t, 3, type, 36, 1), "found again", "");
    check(s != tg_strata_find(&t, 2, type, 36, 1), "classes are apart", "");
    check(tg_strata_find(&t, 3, NULL, 0, 1) == tg_strata_find(&t, 3, NULL, 0, 1), "no type is a type", "");
    tg_stratum_count(s);
    check(tg_stratum_look(s, &view) && view.count == 1 && view.klass == 3 && view.name_len == TG_STRATA_NAME_BYTES &&
              memcmp(view.name, type, TG_STRATA_NAME_BYTES) == 0 && !view.retired,
          "looked at", "");
    check(tg_stratum_order(s) == TG_STRATA_NO_RUNG, "no order yet", "");
    tg_stratum_set(s, view.version, 4);
    check(tg_stratum_order(s) == 4, "an order", "");
    tg_stratum_set(s, view.version - 2, 4);
    check(tg_stratum_order(s) == TG_STRATA_NO_RUNG, "an order for the one before", "");
    check(!tg_stratum_look(&(tg_stratum){0}, &view) && !tg_stratum_look(&(tg_stratum){.version = 3}, &view), "no look",
          "");

    /* Full: others; then a retired slot is taken, and its order is not for whom comes. */
    unsigned full = 0, retired = 0, taken = 0;
    for (uint32_t i = 0; i < 20000; i++)
        full += tg_strata_find(&t, 3, (uint8_t *)&i, 4, 1) == &t.others[3];
    check(full > 20000 - TG_STRATA_SLOTS, "others", "");
    /* Whoever found a place finds it again, wherever in reach it is. */
    unsigned again = 0;
    for (uint32_t i = 0; i < 20000; i++)
        again += tg_strata_find(&t, 3, (uint8_t *)&i, 4, 1) == &t.others[3];
    check(again == full, "found again when full", "");
    for (uint32_t i = 0; i < 20000; i++) {
        tg_stratum *one = tg_strata_find(&t, 3, (uint8_t *)&i, 4, 1);
        if (one != &t.others[3])
            tg_stratum_count(one);
    }
    unsigned counted = 0;
    for (unsigned n = 0; n < TG_STRATA_SLOTS; n++)
        counted += t.slots[n].count >= 1;
    check(counted >= 20000 - full, "each counted in its own", "");
    for (unsigned n = 0; n < TG_STRATA_SLOTS; n++)
        if (tg_stratum_look(&t.slots[n], &view) && n % 2 == 0) {
            tg_stratum_set(&t.slots[n], view.version, TG_STRATA_RETIRED);
            retired += tg_stratum_look(&t.slots[n], &view) && view.retired;
        }
    for (uint32_t i = 20000; i < 30000; i++) {
        tg_stratum *one = tg_strata_find(&t, 3, (uint8_t *)&i, 4, 1);
        taken += one != &t.others[3];
        check(tg_stratum_order(one) == TG_STRATA_NO_RUNG, "nothing inherited", "");
    }
    check(retired && taken == retired, "retired ones are taken", "");
}

/* The reader takes slots over and counts; the loop looks at what it must see whole: a name of three equal words. All
 * types want the same few slots, and the loop gives each back as soon as it sees it. */
enum { CROWD = 64 };
static tg_strata shared;
static uint64_t crowd[CROWD];
static int over;

static tg_stratum *find_crowded(uint64_t n)
{
    uint64_t type[3] = {n, n, n};
    return tg_strata_find(&shared, 3, (uint8_t *)type, sizeof type, 0);
}

static void *read_on(void *unused)
{
    (void)unused;
    for (uint64_t i = 0; i < 1500000; i++) {
        tg_stratum *s = find_crowded(crowd[i % CROWD]);
        (void)tg_stratum_order(s);
        tg_stratum_count(s);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    return NULL;
}

static uint64_t run_strata(uint64_t *looks)
{
    pthread_t reader;
    uint64_t torn = 0, names[3], n = 0;
    tg_stratum_view view;
    tg_strata_init(&shared);
    for (int found = 0; found < CROWD; n++) {
        uint64_t type[3] = {n, n, n};
        if ((tg_strata_hash(3, (uint8_t *)type, sizeof type, 0) & (TG_STRATA_SLOTS - 1)) == 0)
            crowd[found++] = n;
    }
    *looks = 0;
    pthread_create(&reader, NULL, read_on, NULL);
    do {
        for (unsigned slot = 0; slot < TG_STRATA_REACH; slot++)
            if (tg_stratum_look(tg_strata_at(&shared, slot), &view)) {
                memcpy(names, view.name, sizeof names);
                torn += names[0] != names[1] || names[0] != names[2] || view.name_len != 24;
                tg_stratum_set(tg_strata_at(&shared, slot), view.version, TG_STRATA_RETIRED);
                ++*looks;
            }
    } while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE));
    pthread_join(reader, NULL);
    return torn;
}

int main(int argc, char **argv)
{
    uint64_t looks, torn = run_strata(&looks);
    check(looks > 1000 && torn == 0, "seen whole", "");
    if (argc == 1) {
        test_ladder();
        test_read();
        test_traceparent();
        test_stages();
        test_randomness();
        test_rate();
        test_strata();
    }
    return check_result();
}
