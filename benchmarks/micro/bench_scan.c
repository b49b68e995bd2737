/* ns per document of the JSON scanner, each implementation and level, over many different documents (so that the
 * branch predictor cannot learn one by heart). Usage: bench_scan [shape ...]; without shapes, all of them.
 * Prints minimum and median of the runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tg_scan.h"

#define DOCS 2048
#define RUNS 41

static uint64_t seed = 88172645463325252ull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static uint64_t below(uint64_t n)
{
    return rnd() % n;
}

static const char *pick(const char *const *words, size_t n)
{
    return words[below(n)];
}
#define PICK(words) pick(words, sizeof words / sizeof words[0])

static const char *const types[] = {"view", "view", "view", "view", "cart", "purchase", "remove_from_cart"};
static const char *const codes[] = {"electronics.smartphone", "appliances.kitchen.washer", "computers.notebook",
                                    "apparel.shoes", "furniture.bedroom.bed", "auto.accessories.player"};
static const char *const brands[] = {"shiseido", "samsung", "apple", "lg", "xiaomi", "bosch", "sony", "creed"};

/* Parts of the shop event: `gap` after commas and colons. */
static int event(char *to, const char *gap, const char *extra)
{
    const char *g = gap;
    return sprintf(to,
                   "{\"event_time\":%s\"2019-10-%02d %02d:%02d:%02d UTC\",%s\"event_type\":%s\"%s\",%s\"product_id\":%s%d,%s"
                   "\"category_id\":%s%llu,%s\"category_code\":%s\"%s\",%s\"brand\":%s\"%s\",%s\"price\":%s%d.%02d,%s"
                   "\"user_id\":%s%d,%s\"user_session\":%s\"%08x-%04x-%04x-%04x-%012llx\"%s}",
                   g, (int)below(31) + 1, (int)below(24), (int)below(60), (int)below(60), g, g, PICK(types), g, g,
                   (int)(1000000 + below(60000000)), g, g, (unsigned long long)(2053013552326770905ull + below(99999999999999999ull)),
                   g, g, PICK(codes), g, g, PICK(brands), g, g, (int)below(below(2) ? 100 : 3000), (int)below(100), g, g,
                   (int)(500000000 + below(80000000)), g, g, (unsigned)rnd(), (unsigned)below(65536),
                   (unsigned)below(65536), (unsigned)below(65536), (unsigned long long)(rnd() >> 16), extra);
}

static int make_flat(char *to) { return event(to, "", ""); }
static int make_spaced(char *to) { return event(to, " ", ""); }
static int make_pretty(char *to) { return event(to, "\n        ", "\n"); }
static int make_escapes(char *to)
{
    return event(to, "", ",\"title\":\"a \\\"best\\\" buy \\u00e9t\\u00e9\",\"path\":\"C:\\\\x\\ty\\n\"");
}
static int make_unicode(char *to)
{
    return event(to, "", ",\"title\":\"Умные часы с экраном, чёрные — новинка\",\"city\":\"東京都渋谷区\"");
}
static int make_short(char *to) { return sprintf(to, "{\"type\":\"%s\",\"id\":%d}", PICK(types), (int)below(1000000)); }
static int make_nested(char *to)
{
    int n = sprintf(to, "{\"event\":{\"name\":\"%s\",\"user\":{\"id\":%d,\"tier\":\"gold\"}},\"items\":[", PICK(types),
                    (int)below(100000));
    for (int i = 0, items = (int)below(4) + 1; i < items; i++)
        n += sprintf(to + n, "%s{\"sku\":\"%x\",\"qty\":%d,\"tags\":[\"a\",\"b\"]}", i ? "," : "", (unsigned)rnd(),
                     (int)below(9));
    return n + sprintf(to + n, "],\"type\":\"%s\"}", PICK(types));
}
static int make_long(char *to)
{
    int n = sprintf(to, "{\"type\":\"%s\",\"lines\":[", PICK(types));
    for (int i = 0; n < 16000; i++) {
        if (i)
            to[n++] = ',';
        n += event(to + n, "", "");
    }
    return n + sprintf(to + n, "]}");
}

static const struct {
    const char *name;
    int (*make)(char *to);
} shapes[] = {{"flat", make_flat}, {"spaced", make_spaced}, {"pretty", make_pretty}, {"escapes", make_escapes},
              {"unicode", make_unicode}, {"short", make_short}, {"nested", make_nested}, {"long16k", make_long},
              {"wanted64", make_flat}};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint8_t *docs[DOCS];
static size_t lens[DOCS];

static void measure(const tg_scan_plan *plan, const char *shape, size_t count, double bytes)
{
    const char *names[8];
    int n = tg_scan_implementations(names, 8);
    for (int i = 0; i < n; i++) {
        tg_scan_use(names[i]);
        for (int level = 0; level < 2; level++) {
            double times[RUNS];
            tg_scan_value out[TG_SCAN_MAX_FIELDS];
            tg_scan_info info;
            uint64_t sum = 0;
            int rounds = bytes > 5000 ? 1 : 4;
            for (int r = 0; r < RUNS; r++) {
                double start = now_ns();
                for (int k = 0; k < rounds; k++)
                    for (size_t d = 0; d < count; d++) {
                        if (tg_scan(plan, docs[d], lens[d], (tg_scan_level)level, out, &info) != TG_SCAN_OK)
                            abort();
                        sum += out[3].len;
                    }
                times[r] = (now_ns() - start) / ((double)count * rounds);
            }
            qsort(times, RUNS, sizeof *times, by_value);
            printf("%-8s %6.0f B  %-7s %-9s  min %8.1f  median %8.1f ns  %5.2f GB/s%s\n", shape, bytes, names[i],
                   level ? "grammar" : "structure", times[0], times[RUNS / 2], bytes / times[0], sum == 1 ? "!" : "");
        }
    }
}

/* The five fields of the defaults, and for "wanted64" as many as there may be. */
static tg_scan_plan *plan_make(int fields)
{
    static const char *const usual[] = {"/event_name", "/event", "/name", "/event_type", "/type"};
    static char names[TG_SCAN_MAX_FIELDS][24];
    const char *pointers[TG_SCAN_MAX_FIELDS];
    size_t sizes[TG_SCAN_MAX_FIELDS];
    for (int i = 0; i < fields; i++) {
        snprintf(names[i], sizeof names[i], i % 4 ? "/%c%.*s_%d" : "/%c%.*s/%d", 'a' + i % 26, i % 9, "fieldname", i);
        pointers[i] = i < 5 ? usual[i] : names[i];
        sizes[i] = strlen(pointers[i]);
    }
    tg_scan_plan *plan;
    if (tg_scan_plan_new(pointers, sizes, (size_t)fields, &plan) != TG_SCAN_OK)
        abort();
    return plan;
}

int main(int argc, char **argv)
{
    tg_scan_plan *few = plan_make(5), *many = plan_make(TG_SCAN_MAX_FIELDS);
    static char text[1 << 16];
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        int wanted = argc == 1;
        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], shapes[s].name) == 0;
        if (!wanted)
            continue;
        double bytes = 0;
        size_t count = shapes[s].make == make_long ? 1000 : DOCS;
        for (size_t d = 0; d < count; d++) {
            lens[d] = (size_t)shapes[s].make(text);
            docs[d] = malloc(lens[d]);
            memcpy(docs[d], text, lens[d]);
            bytes += (double)lens[d];
        }
        measure(strcmp(shapes[s].name, "wanted64") == 0 ? many : few, shapes[s].name, count, bytes / (double)count);
        for (size_t d = 0; d < count; d++)
            free(docs[d]);
    }
    tg_scan_plan_free(few);
    tg_scan_plan_free(many);
    return 0;
}
