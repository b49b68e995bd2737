"""Delays: how old records were when they were acknowledged, as a histogram for each class.

Counted for every record, not every batch: the records of one batch may be of different ages. Neighbours mostly are of
one age, which is why this costs next to nothing.
"""

cdef int32_t BOUNDS_MS[TG_DELAY_BOUNDS]
BOUNDS_MS[:] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 1800000, 3600000]
BOUNDS_SECONDS = tuple(BOUNDS_MS[i] / 1000.0 for i in range(TG_DELAY_BOUNDS))


cdef class Delays:
    """The histograms. One thread only: the event loop's."""

    cdef void add(self, int klass, const int32_t *ages_ms, uint32_t records, int64_t later_ms) noexcept nogil:
        """Counts records by their ages when they were taken out of their ring (below 0: not known), and how much later
        it is now."""
        cdef uint32_t i
        cdef int32_t last = -1
        cdef int64_t age = 0
        cdef int bound = 0
        for i in range(records):
            if ages_ms[i] < 0:
                continue
            if ages_ms[i] != last:
                last = ages_ms[i]
                age = last + later_ms
                bound = 0
                while bound < TG_DELAY_BOUNDS and age > BOUNDS_MS[bound]:
                    bound += 1
            self.counts[klass][bound] += 1
            self.total_ms[klass] += age

    def report(self) -> tuple:
        """By class: ``(records by bound, their ages added up in seconds)``; the last number is beyond all bounds."""
        return tuple(
            (tuple(self.counts[k][i] for i in range(TG_DELAY_BOUNDS + 1)), self.total_ms[k] / 1000.0)
            for k in range(TG_CLASSES)
        )
