# Gate: what becomes of a record of a class: delivered, parked, or dropped by sampling.
#
# Two threads. The loop's thread writes one order word a class and one order a type; the reader's thread reads them and
# counts. Each is an aligned 64-bit word that is complete in itself, so the one sees the other's last or the one before.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.csrc cimport TG_SAMPLE_RUNGS, tg_sample, tg_strata, tg_stratum
from tidegate.core.ring cimport TG_CLASSES
from tidegate.core.sample_key cimport tg_sample_place

cdef enum:
    TG_DELIVER = 0
    TG_PARK = 1
    TG_DROP = 2
    TG_ACTIONS = 3

    TG_ORDER_SHIFT = 60          # order word: what becomes of the rest << 60 | threshold (park), or rung (drop)
    TG_BUCKETS = 128             # of the sketch of squared key totals; a power of two

# A record at the gate; borrows everything.
cdef struct tg_arrival:
    int klass
    const uint8_t *type_ptr          # NULL: none known
    uint32_t type_len
    tg_sample_place key              # its sampling key; ptr NULL: none
    const uint8_t *record_key        # NULL: a null key
    size_t record_key_len
    const char *topic
    size_t topic_len
    int32_t partition
    int64_t offset
    # Written by decide() for count().
    tg_stratum *stratum              # NULL: of this class no types are counted
    uint32_t rung                    # TG_SAMPLE_RUNGS: it was not sampled

cdef class Gate:
    cdef readonly uint64_t seed
    cdef readonly bint samples       # there are classes that may be dropped from
    cdef bint _counts[TG_CLASSES]    # whether types are counted: the class may be sampled
    cdef tg_strata *_strata          # owns
    cdef int64_t *_sketch            # owns: class, rung, bucket
    cdef int64_t *_sketch_seen       # owns: as the loop's thread last saw it
    cdef uint64_t _line0[8]
    cdef uint64_t _orders[TG_CLASSES]            # written by the loop's thread
    cdef uint64_t _line1[8]
    cdef uint64_t _now[TG_CLASSES]               # the orders of this batch: the reader's thread's own, as what follows
    cdef uint64_t _decided[TG_CLASSES][TG_ACTIONS]

    # The reader's thread. Takes the orders for what it reads next, a batch at once: one that came between the scan and
    # the decision would find records whose key nobody looked for. False: all pass, and nobody needs to look.
    cdef bint begin(self) noexcept nogil
    # What becomes of a record. `s` is what came with it (all zero and factor 1: nothing) and leaves as it is to be said
    # of the record; where its class is calm it stays untouched. Changes nothing that is counted, so a record that finds
    # no room may come again.
    cdef int decide(self, tg_arrival *a, tg_sample *s) noexcept nogil
    # Counts a decision, once it was carried out.
    cdef void count(self, const tg_arrival *a, const tg_sample *s, int action) noexcept nogil

    cdef uint64_t _randomness(self, const tg_arrival *a) noexcept nogil
