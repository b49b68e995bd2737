/* tg_strata: how many records of each event type there were, and at which rung of the ladder each type is kept.
 *
 * Open addressing over a fixed number of slots; a type is its hash, and two that share all 64 bits share a slot. Types
 * are texts of strangers and may be without end, so a search looks at TG_STRATA_REACH slots and no further: what finds no
 * room there is counted in its class's slot for all others.
 *
 * Two threads. The reader's thread finds, takes and counts; the loop's thread reads counts, and writes `order`, a plain
 * aligned word that carries the version of the slot that it is for: an order for a type that has lost its slot in the
 * meantime is no order. A slot is never freed; one that the loop has retired may be taken for another type.
 */
#ifndef TG_STRATA_H
#define TG_STRATA_H

#include "tg_hash.h"

#define TG_STRATA_SLOTS 1024 /* a power of two */
#define TG_STRATA_REACH 8
#define TG_STRATA_CLASSES 4
#define TG_STRATA_NAME_WORDS 3
#define TG_STRATA_NAME_BYTES 24 /* what is shown of a type */
#define TG_STRATA_NO_RUNG 254   /* as an order: as its class is */
#define TG_STRATA_RETIRED 255   /* as an order: the slot may be taken for another type */

/* One cache line. */
typedef struct {
    uint64_t hash;    /* 0: free, or the slot for all others. This and the next: written by the reader's thread. */
    uint64_t count;   /* records since the slot was taken */
    uint64_t version; /* two more each time that it is taken; odd: it is being taken */
    uint64_t about;   /* class, and length of the name << 8 */
    uint64_t name[TG_STRATA_NAME_WORDS];
    uint64_t order; /* version << 8 | rung. Written by the loop's thread. */
} tg_stratum;

typedef struct {
    tg_stratum slots[TG_STRATA_SLOTS];
    tg_stratum others[TG_STRATA_CLASSES];
} tg_strata;

/* What the loop's thread sees of a slot. */
typedef struct {
    uint64_t count, version;
    uint8_t klass, name_len;
    uint8_t retired;
    char name[TG_STRATA_NAME_BYTES];
} tg_stratum_view;

#define TG_RELAXED_LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define TG_RELAXED_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

/* `t` is zeroed. */
static inline void tg_strata_init(tg_strata *t)
{
    for (unsigned k = 0; k < TG_STRATA_CLASSES; k++) {
        t->others[k].version = 2;
        t->others[k].about = k;
    }
}

/* ---- the reader's thread ---- */

static inline uint64_t tg_strata_hash(unsigned klass, const uint8_t *type, size_t len, uint64_t seed)
{
    uint64_t hash = tg_xxh64(type, len, seed ^ (klass + 1) * TG_XXH_P3);
    return hash ? hash : 1;
}

/* The reader sees its own version; the order is for it or it is none. */
static inline unsigned tg_stratum_order(const tg_stratum *s)
{
    uint64_t order = TG_RELAXED_LOAD(&s->order);
    return order >> 8 == s->version ? (unsigned)(order & 255) : TG_STRATA_NO_RUNG;
}

static inline void tg_stratum_take(tg_stratum *s, uint64_t hash, unsigned klass, const uint8_t *type, size_t len)
{
    char name[TG_STRATA_NAME_BYTES] = {0};
    uint64_t words[TG_STRATA_NAME_WORDS], version = s->version;
    size_t shown = len < sizeof name ? len : sizeof name;
    if (shown)
        memcpy(name, type, shown);
    memcpy(words, name, sizeof words);
    TG_RELAXED_STORE(&s->version, version + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* whoever sees what follows sees the odd version */
    TG_RELAXED_STORE(&s->hash, hash);
    TG_RELAXED_STORE(&s->count, 0);
    TG_RELAXED_STORE(&s->about, klass | (uint64_t)shown << 8);
    for (int i = 0; i < TG_STRATA_NAME_WORDS; i++)
        TG_RELAXED_STORE(&s->name[i], words[i]);
    __atomic_store_n(&s->version, version + 2, __ATOMIC_RELEASE); /* whoever sees it sees the rest */
}

/* The slot of a type of a class below TG_STRATA_CLASSES, taken if need be. Never NULL. */
static inline tg_stratum *tg_strata_find(tg_strata *t, unsigned klass, const uint8_t *type, size_t len, uint64_t seed)
{
    uint64_t hash = tg_strata_hash(klass, type, len, seed);
    tg_stratum *room = NULL;
    for (unsigned i = 0; i < TG_STRATA_REACH; i++) {
        tg_stratum *s = &t->slots[(hash + i) & (TG_STRATA_SLOTS - 1)];
        if (s->hash == hash)
            return s;
        if (!s->hash) {
            if (!room)
                room = s;
            break;
        }
        if (!room && tg_stratum_order(s) == TG_STRATA_RETIRED)
            room = s;
    }
    if (!room)
        return &t->others[klass];
    tg_stratum_take(room, hash, klass, type, len);
    return room;
}

static inline void tg_stratum_count(tg_stratum *s)
{
    TG_RELAXED_STORE(&s->count, s->count + 1);
}

/* ---- the loop's thread ---- */

#define TG_STRATA_NUMBERS (TG_STRATA_SLOTS + TG_STRATA_CLASSES) /* slots, then those for all others, by class */

static inline tg_stratum *tg_strata_at(tg_strata *t, unsigned number)
{
    return number < TG_STRATA_SLOTS ? &t->slots[number] : &t->others[number - TG_STRATA_SLOTS];
}

/* 1: seen as it was at one moment. 0: it is free, or just being taken: the next look finds it. */
static inline int tg_stratum_look(const tg_stratum *s, tg_stratum_view *out)
{
    uint64_t words[TG_STRATA_NAME_WORDS];
    uint64_t version = __atomic_load_n(&s->version, __ATOMIC_ACQUIRE);
    if (version == 0 || version & 1)
        return 0;
    uint64_t about = TG_RELAXED_LOAD(&s->about);
    out->count = TG_RELAXED_LOAD(&s->count);
    for (int i = 0; i < TG_STRATA_NAME_WORDS; i++)
        words[i] = TG_RELAXED_LOAD(&s->name[i]);
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the loads above come before the one below */
    if (TG_RELAXED_LOAD(&s->version) != version)
        return 0;
    out->version = version;
    out->klass = (uint8_t)about;
    out->name_len = (uint8_t)(about >> 8);
    out->retired = s->order == (version << 8 | TG_STRATA_RETIRED);
    memcpy(out->name, words, sizeof words);
    return 1;
}

static inline void tg_stratum_set(tg_stratum *s, uint64_t version, unsigned order)
{
    TG_RELAXED_STORE(&s->order, version << 8 | order);
}

#endif
