"""Gate: deliver, park or drop a record, as the pressure control last ordered it for the record's class.

Which of the class's records are meant is decided by consistent sampling (csrc/tg_sample.h): the record's key gives R,
and what has R >= T is delivered. So a session stays together, two replicas agree, and a lower share keeps a part of
what a higher one keeps. *Park* uses one threshold for the class: what is parked comes back, so no weight changes.
*Drop* goes by the record's type, or a rare one would vanish together with the mass; each kept record gets the threshold
that it passed. Types are counted all the time for classes that may be sampled: rates must be known when they are
needed.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from time import perf_counter_ns

from tidegate.core.atomic cimport tg_load_i64, tg_load_u64, tg_store_i64, tg_store_u64
from tidegate.core.csrc cimport (
    TG_SAMPLE_ALL, TG_STRATA_NO_RUNG, TG_STRATA_NUMBERS, TG_STRATA_RETIRED, TG_STRATA_SLOTS, TG_TRACESTATE_BYTES,
    tg_sample_apply, tg_sample_randomness, tg_sample_randomness_escaped, tg_sample_randomness_place, tg_sample_rate,
    tg_sample_rung_of, tg_sample_rung_threshold, tg_sample_settle, tg_sample_weight, tg_strata_at, tg_strata_find,
    tg_strata_init, tg_stratum_count, tg_stratum_look, tg_stratum_order, tg_stratum_set, tg_stratum_view,
    tg_tracestate_print, tg_tracestate_read, tg_tracestate_read_parent,
)

from tidegate.core.passage import Passage, TypeCount
from tidegate.types import EventClass

DELIVER, PARK, DROP = TG_DELIVER, TG_PARK, TG_DROP
RUNGS = TG_SAMPLE_RUNGS
THRESHOLDS = tuple(tg_sample_rung_threshold(n) for n in range(TG_SAMPLE_RUNGS))

cdef uint64_t RUNG_THRESHOLD[TG_SAMPLE_RUNGS]
for _n in range(TG_SAMPLE_RUNGS):
    RUNG_THRESHOLD[_n] = tg_sample_rung_threshold(_n)


cdef class Gate:
    def __cinit__(self, uint64_t seed=0, sampled=(EventClass.NORMAL, EventClass.BULK)):
        self.seed = seed
        for klass in sampled:
            if klass not in (EventClass.NORMAL, EventClass.BULK):
                raise ValueError(f"class {klass} is never sampled")
            self._counts[klass] = self.samples = True
        self._strata = <tg_strata *>calloc(1, sizeof(tg_strata))
        self._sketch = <int64_t *>calloc(TG_CLASSES * TG_SAMPLE_RUNGS * TG_BUCKETS, sizeof(int64_t))
        self._sketch_seen = <int64_t *>calloc(TG_CLASSES * TG_SAMPLE_RUNGS * TG_BUCKETS, sizeof(int64_t))
        if self._strata is NULL or self._sketch is NULL or self._sketch_seen is NULL:
            raise MemoryError
        tg_strata_init(self._strata)

    def __dealloc__(self):
        free(self._strata)
        free(self._sketch)
        free(self._sketch_seen)

    # ---- the reader's thread ----

    cdef bint begin(self) noexcept nogil:
        cdef uint64_t any_order = 0
        cdef int k
        for k in range(TG_CLASSES):
            self._now[k] = tg_load_u64(&self._orders[k])
            any_order |= self._now[k]
        return any_order != 0

    cdef uint64_t _randomness(self, const tg_arrival *a) noexcept nogil:
        if a.key.ptr is not NULL:
            if a.key.escaped:
                return tg_sample_randomness_escaped(a.key.ptr, a.key.len, self.seed)
            return tg_sample_randomness(a.key.ptr, a.key.len, self.seed)
        if a.record_key is not NULL and a.record_key_len:
            return tg_sample_randomness(a.record_key, a.record_key_len, self.seed)
        return tg_sample_randomness_place(a.topic, a.topic_len, a.partition, a.offset, self.seed)

    cdef int decide(self, tg_arrival *a, tg_sample *s) noexcept nogil:
        cdef uint64_t order = self._now[a.klass]
        cdef uint32_t rung
        a.rung = TG_SAMPLE_RUNGS
        a.stratum = NULL
        if self._counts[a.klass]:
            a.stratum = tg_strata_find(self._strata, <unsigned>a.klass, a.type_ptr, a.type_len, self.seed)
        if order == 0:
            return TG_DELIVER
        # What brought its own R needs no key.
        tg_sample_settle(s, 0 if s.has_randomness else self._randomness(a))
        if order >> TG_ORDER_SHIFT == TG_PARK:
            return TG_DELIVER if s.randomness >= (order & ((<uint64_t>1 << TG_ORDER_SHIFT) - 1)) else TG_PARK
        rung = tg_stratum_order(a.stratum)
        if rung >= TG_SAMPLE_RUNGS:
            rung = <uint32_t>order
        a.rung = rung
        return TG_DELIVER if tg_sample_apply(s, RUNG_THRESHOLD[rung]) else TG_DROP

    cdef void count(self, const tg_arrival *a, const tg_sample *s, int action) noexcept nogil:
        cdef int64_t *cell
        cdef uint64_t *total = &self._decided[a.klass][action]
        tg_store_u64(total, total[0] + 1)
        if a.stratum is not NULL:
            tg_stratum_count(a.stratum)
        if a.rung < TG_SAMPLE_RUNGS:
            # +1 or -1 into one of 128 by bits of R that have no part in the decision on any rung: the squares of the
            # sums then estimate the sum of squared key totals (Charikar, Chen, Farach-Colton 2002, one row).
            cell = &self._sketch[(a.klass * TG_SAMPLE_RUNGS + <int>a.rung) * TG_BUCKETS
                                 + <int>(s.randomness & (TG_BUCKETS - 1))]
            tg_store_i64(cell, cell[0] + (1 if s.randomness & TG_BUCKETS else -1))

    # ---- the loop's thread ----

    def order(self, int klass, double keep, int rest=TG_PARK) -> None:
        cdef uint64_t threshold
        cdef uint32_t rung
        if not 0 <= klass < TG_CLASSES:
            raise ValueError(f"no class {klass}")
        if not 0.0 <= keep <= 1.0 or rest not in (TG_PARK, TG_DROP):
            raise ValueError(f"not an order: keep {keep}, rest {rest}")
        if klass == EventClass.CRITICAL and keep < 1.0:
            raise ValueError("critical is always kept")
        if rest == TG_PARK:
            threshold = TG_SAMPLE_ALL - <uint64_t>(keep * <double>TG_SAMPLE_ALL)
            tg_store_u64(&self._orders[klass], threshold and (<uint64_t>TG_PARK << TG_ORDER_SHIFT | threshold))
            return
        if not self._counts[klass]:
            raise ValueError(f"class {klass} may not be sampled")
        rung = tg_sample_rung_of(TG_SAMPLE_ALL - <uint64_t>(keep * <double>TG_SAMPLE_ALL))
        if rung >= TG_SAMPLE_RUNGS:
            raise ValueError(f"{keep} is below the ladder of shares")
        tg_store_u64(&self._orders[klass], <uint64_t>TG_DROP << TG_ORDER_SHIFT | rung)

    def release(self, int klass) -> None:
        if not 0 <= klass < TG_CLASSES:
            raise ValueError(f"no class {klass}")
        tg_store_u64(&self._orders[klass], 0)

    def set_rungs(self, orders) -> None:
        cdef unsigned number
        cdef uint64_t version
        for (number, version), rung in orders.items():
            if number >= TG_STRATA_NUMBERS or not (rung is None or 0 <= rung < TG_SAMPLE_RUNGS):
                raise ValueError(f"no slot {number}, or no rung {rung}")
            tg_stratum_set(tg_strata_at(self._strata, number), version, TG_STRATA_NO_RUNG if rung is None else rung)

    def retire(self, slots) -> None:
        cdef unsigned number
        cdef uint64_t version
        for number, version in slots:
            if number >= TG_STRATA_SLOTS:  # those for all others stay
                continue
            tg_stratum_set(tg_strata_at(self._strata, number), version, TG_STRATA_RETIRED)

    def types(self, int klass) -> list:
        cdef tg_stratum_view view
        cdef unsigned number
        found = []
        for number in range(TG_STRATA_NUMBERS):
            if not tg_stratum_look(tg_strata_at(self._strata, number), &view) or view.klass != klass:
                continue
            name = None if number >= TG_STRATA_SLOTS else (<bytes>view.name[:view.name_len]).decode("utf-8", "replace")
            if view.count or name is not None:
                found.append(TypeCount((number, view.version), name, view.count, bool(view.retired)))
        return found

    def totals(self) -> tuple:
        cdef int k, action
        return tuple([tuple([tg_load_u64(&self._decided[k][action]) for action in range(TG_ACTIONS)])
                      for k in range(TG_CLASSES)])

    def moments(self, int klass) -> tuple:
        cdef int64_t sums[TG_BUCKETS]
        cdef int64_t now
        cdef int64_t *seen
        cdef int rung, bucket, at
        cdef double total
        if not 0 <= klass < TG_CLASSES:
            raise ValueError(f"no class {klass}")
        memset(sums, 0, sizeof(sums))
        found = []
        for rung in range(TG_SAMPLE_RUNGS - 1, -1, -1):
            total = 0
            for bucket in range(TG_BUCKETS):
                at = (klass * TG_SAMPLE_RUNGS + rung) * TG_BUCKETS + bucket
                now, seen = tg_load_i64(&self._sketch[at]), &self._sketch_seen[at]
                sums[bucket] += now - seen[0]
                seen[0] = now
                total += <double>sums[bucket] * <double>sums[bucket]
            found.append(total)
        return tuple(found[::-1])

    # ---- the reader's part, from Python ----

    def admit(self, int klass, bytes type=None, *, bytes key=None, bint escaped=False, bytes record_key=None,
              bytes topic=b"", int32_t partition=0, int64_t offset=0, bytes tracestate=None, bytes traceparent=None,
              double factor=1.0):
        cdef tg_arrival a
        cdef tg_sample s
        cdef char text[TG_TRACESTATE_BYTES]
        cdef int action
        if not 0 <= klass < TG_CLASSES:
            raise ValueError(f"no class {klass}")
        memset(&a, 0, sizeof(a))
        memset(&s, 0, sizeof(s))
        s.factor = factor
        if tracestate is not None:
            tg_tracestate_read(tracestate, len(tracestate), &s)
        if s.has_threshold and not s.has_randomness and traceparent is not None:
            tg_tracestate_read_parent(traceparent, len(traceparent), &s)
        a.klass, a.topic, a.topic_len, a.partition, a.offset = klass, topic, len(topic), partition, offset
        if type is not None:
            a.type_ptr, a.type_len = type, len(type)
        if key is not None:
            a.key.ptr, a.key.len, a.key.escaped = key, len(key), escaped
        if record_key is not None:
            a.record_key, a.record_key_len = record_key, len(record_key)
        self.begin()
        action = self.decide(&a, &s)
        self.count(&a, &s, action)
        return Passage(action, s.randomness if s.has_randomness else None, s.threshold, tg_sample_weight(&s),
                       tg_sample_rate(&s), text[:tg_tracestate_print(&s, text)].decode())

    def bench(self, int klass, list types not None, list keys not None, int rounds):
        cdef tg_arrival *arrivals
        cdef tg_sample s
        cdef size_t i, n = len(types)
        cdef int _turn, action
        cdef bytes type, key
        if len(keys) != n or n == 0:
            raise ValueError("as many keys as types, and some")
        arrivals = <tg_arrival *>calloc(n, sizeof(tg_arrival))
        if arrivals is NULL:
            raise MemoryError
        try:
            for i in range(n):
                type, key = types[i], keys[i]
                arrivals[i].klass, arrivals[i].type_ptr, arrivals[i].type_len = klass, type, len(type)
                arrivals[i].key.ptr, arrivals[i].key.len = key, len(key)
            start = perf_counter_ns()
            with nogil:
                for _turn in range(rounds):
                    self.begin()
                    for i in range(n):
                        s.randomness = s.threshold = s.has_randomness = s.has_threshold = 0
                        s.factor = 1.0
                        action = self.decide(&arrivals[i], &s)
                        self.count(&arrivals[i], &s, action)
            return (perf_counter_ns() - start) / (n * <size_t>rounds)
        finally:
            free(arrivals)


def randomness(bytes key not None, uint64_t seed=0) -> int:
    return tg_sample_randomness(key, len(key), seed)
