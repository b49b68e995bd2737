/* The face of tg_scan: which implementation runs, and what every one of them may rely on. */
#include "tg_scan.h"

#include "tg_scan_plan.h"

typedef struct {
    const char *name;
    tg_scan_fn *scan;
    int (*usable)(void);
} implementation;

static int always(void)
{
    return 1;
}

#if defined(__x86_64__)
static int has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul");
}

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul");
}

static int has_sse42(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul");
}
#endif

/* Best first. */
static const implementation known[] = {
#if defined(__x86_64__)
    {"avx512", tg_scan_avx512, has_avx512}, {"avx2", tg_scan_avx2, has_avx2},
    {"sse42", tg_scan_sse42, has_sse42},    {"sse2", tg_scan_sse2, always},
#elif defined(__aarch64__)
    {"neon", tg_scan_neon, always},
#endif
    {"scalar", tg_scan_scalar, always},
};
#define KNOWN (sizeof known / sizeof known[0])

static const implementation *chosen;

static const implementation *best(void)
{
    size_t i = 0;
    while (!known[i].usable())
        i++;
    return &known[i];
}

/* Threads that come here first at the same time find the same answer, so no lock. */
static const implementation *current(void)
{
    const implementation *impl = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    if (__builtin_expect(!impl, 0)) {
        impl = best();
        __atomic_store_n(&chosen, impl, __ATOMIC_RELAXED);
    }
    return impl;
}

int tg_scan_use(const char *name)
{
    const implementation *impl = NULL;
    if (!name)
        impl = best();
    for (size_t i = 0; i < KNOWN && !impl; i++)
        if (strcmp(known[i].name, name) == 0 && known[i].usable())
            impl = &known[i];
    if (!impl)
        return -1;
    __atomic_store_n(&chosen, impl, __ATOMIC_RELAXED);
    return 0;
}

const char *tg_scan_using(void)
{
    return current()->name;
}

int tg_scan_implementations(const char **names, int room)
{
    int n = 0;
    for (size_t i = 0; i < KNOWN; i++)
        if (known[i].usable()) {
            if (n < room)
                names[n] = known[i].name;
            n++;
        }
    return n;
}

tg_scan_status tg_scan(const tg_scan_plan *plan, const uint8_t *doc, size_t len, tg_scan_level level,
                       tg_scan_value *out, tg_scan_info *info)
{
    if (__builtin_expect(len == 0 || len > UINT32_MAX - 64, 0)) {
        tg_plan_finish(plan, 0, out);
        *info = (tg_scan_info){0, 0};
        return len == 0 ? TG_SCAN_EMPTY : TG_SCAN_ETOOLARGE;
    }
    tg_scan_status status = current()->scan(plan, doc, (uint32_t)len, level, out, info);
    /* A fast scanner only ever says yes; what is wrong, and where, one scanner alone decides. */
    if (__builtin_expect(status == TG_SCAN_STATUS_COUNT, 0))
        status = tg_scan_scalar(plan, doc, (uint32_t)len, level, out, info);
    return status;
}

const char *tg_scan_status_name(tg_scan_status status)
{
    static const char *const names[TG_SCAN_STATUS_COUNT] = {
        "ok", "empty", "syntax", "truncated", "string", "utf8", "depth", "literal", "too_large", "no_memory", "pointer",
    };
    return (unsigned)status < TG_SCAN_STATUS_COUNT ? names[status] : "unknown";
}
