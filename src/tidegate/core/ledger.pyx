"""Ledger: counts by lane, class and disposition, beside the offsets that are settled (slots.pyx), and what they say."""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef extern from *:
    """
    /* A bijection that leaves nothing of the order of its arguments (Steele et al. 2014, SplitMix64's finalizer):
       sums of its values differ where the sets differ. */
    static inline unsigned long long tg_mix64(unsigned long long x)
    {
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        return x ^ (x >> 31);
    }
    """
    uint64_t tg_mix64(uint64_t x) noexcept nogil

from tidegate.core.atomic cimport tg_load_i32, tg_load_i64, tg_load_u64, tg_store_i64, tg_store_u64
from tidegate.core.origins cimport Origins
from tidegate.core.slots cimport TG_SLOT_DEAD, TG_SLOT_LIVE

from tidegate.types import CLASS_LABELS, Disposition

cdef struct tg_progress:
    int64_t span
    int64_t position
    int64_t end
    uint64_t assignment
    int known                # partitions whose position and end are
    int unreadable

DISPOSITIONS = tuple(Disposition)
assert len(DISPOSITIONS) == TG_DISPOSITIONS


cdef class Ledger(Slots):
    """Offsets and counts of one process.

    Args:
        span: how many offsets of one partition may be unsettled at once, rounded up to a power of two (records).
    """

    def __cinit__(self, uint32_t span=131072):
        self.lanes = <tg_lane_counts **>calloc(TG_MAX_LANES, sizeof(tg_lane_counts *))
        if self.lanes is NULL:
            raise MemoryError
        self._lane_names = []
        self._lane_bytes = []
        self.origins = Origins()
        memset(self.taken, 0, sizeof(self.taken))
        memset(self.parked, 0, sizeof(self.parked))
        memset(self.dropped, 0, sizeof(self.dropped))
        memset(self.unparked, 0, sizeof(self.unparked))

    def __dealloc__(self):
        cdef int i
        if self.lanes is not NULL:
            for i in range(self.lane_count):
                free(self.lanes[i])
        free(self.lanes)

    # --- reader -----------------------------------------------------------------------------------

    cdef uint32_t origin(self, const char *topic, size_t topic_len, int32_t partition) noexcept nogil:
        """A number >= 1 for the place at which a parked record stood, the same for the same place. 0: no memory, there
        are 65,536 places, or `topic` is no name of a topic."""
        return self.origins.number(topic, topic_len, partition)

    cdef void take_in(self, tg_slot *slot, int klass, int64_t offset) noexcept nogil:
        """Counts a record as read: before it can be seen, or more would be seen to end than was read."""
        self.lanes[slot.lane].polled[klass] += 1
        slot.read += 1
        slot.covered = offset + 1
        tg_store_i64(&slot.next, offset + 1)

    cdef void drop(self, tg_slot *slot, int klass, int disposition, int64_t offset) noexcept nogil:
        """Counts a record as read and, at once, as sampled or expired: TG_SAMPLED or TG_EXPIRED."""
        cdef tg_lane_counts *lane = self.lanes[slot.lane]
        lane.polled[klass] += 1
        tg_store_u64(&lane.dropped[klass][disposition - TG_SAMPLED], lane.dropped[klass][disposition - TG_SAMPLED] + 1)
        tg_store_u64(&self.dropped[klass], self.dropped[klass] + 1)
        tg_store_i64(&slot.next, offset + 1)
        self.catch_up(slot)

    cdef void park(self, tg_slot *slot, int klass, int64_t offset) noexcept nogil:
        """Counts a record as read and as being parked: before the producer has it, because the event loop may settle
        it at once, and nothing may be seen to end that was not read."""
        self.take_in(slot, klass, offset)
        tg_store_u64(&slot.parked, slot.parked + 1)
        tg_store_u64(&self.parked[klass], self.parked[klass] + 1)

    cdef void park_refused(self, tg_slot *slot, int klass, int64_t next, int64_t covered) noexcept nogil:
        """Takes `park` back, whole: the producer did not take the record, and the reader has it still. `next` and
        `covered` are what the slot had."""
        slot.covered = covered
        tg_store_i64(&slot.next, next)
        tg_store_u64(&self.parked[klass], self.parked[klass] - 1)
        self.lanes[slot.lane].polled[klass] -= 1
        tg_store_u64(&slot.parked, slot.parked - 1)
        slot.read -= 1

    cdef void park_failed(self, tg_slot *slot, int klass) noexcept nogil:
        """A record that the producer gave back goes into a ring. It was counted as read, and stays so."""
        tg_store_u64(&slot.parked, slot.parked - 1)
        tg_store_u64(&self.parked[klass], self.parked[klass] - 1)

    cdef uint64_t parked_begun(self) noexcept nogil:
        """Records that were given to the producer so far, less what came back into a ring."""
        cdef uint64_t n = 0
        cdef int k
        for k in range(TG_CLASSES):
            n += self.parked[k]
        return n

    cdef uint64_t parked_ended(self) noexcept nogil:
        """How many of them have ended. Never more than `parked_begun`, and as many where none is with the producer."""
        cdef uint64_t n = 0
        cdef int k
        for k in range(TG_CLASSES):
            n += tg_load_u64(&self.unparked[k])
        return n

    # --- event loop -------------------------------------------------------------------------------

    cdef void settle_run(self, int klass, int disposition, uint32_t number, int64_t first, uint32_t count,
                         uint32_t gap) noexcept nogil:
        """Ends `count` neighbouring records of one slot. Discarded ones are not acknowledged."""
        cdef tg_slot *slot = self.slots[number]
        cdef tg_lane_counts *lane = self.lanes[slot.lane]
        lane.ended[klass][disposition] += count
        if disposition != TG_DISCARDED:
            if tg_load_i32(&slot.state) == TG_SLOT_DEAD:
                self.stale += count
            else:
                self.acknowledge(slot, first, count, gap)
        tg_store_u64(&slot.settled, slot.settled + count)

    cdef void settle_parked(self, int klass, int disposition, uint32_t number, int64_t first, uint32_t count,
                            uint32_t gap) noexcept nogil:
        """Ends `count` neighbouring records of one slot that were with the producer."""
        tg_store_u64(&self.unparked[klass], self.unparked[klass] + count)
        self.settle_run(klass, disposition, number, first, count, gap)

    cdef void evict(self, tg_slot *slot, int klass) noexcept nogil:
        """A record is taken out of its ring to be parked: `settle_parked` ends it, as any that is being parked."""
        slot.popped += 1
        self.unparked[klass] -= 1  # it was never counted in `parked`, which is the reader's

    def topic_of(self, uint32_t number) -> str:
        """The topic of a slot."""
        return self._lane_names[self.slots[number].lane]

    # --- reading the books ------------------------------------------------------------------------

    def add_lane(self, str name) -> int:
        """A number for the topic `name`. Before the reader starts, or in its own thread under the GIL."""
        cdef tg_lane_counts *counts
        if self.lane_count == TG_MAX_LANES:
            raise ValueError(f"more than {TG_MAX_LANES} topics")
        counts = <tg_lane_counts *>calloc(1, sizeof(tg_lane_counts))
        if counts is NULL:
            raise MemoryError
        encoded = name.encode()
        counts.topic, counts.topic_len = encoded, len(encoded)
        self.lanes[self.lane_count] = counts
        self._lane_names.append(name)
        self._lane_bytes.append(encoded)
        self.lane_count += 1
        return self.lane_count - 1

    cdef uint64_t _ended(self, int lane, int klass, int disposition) noexcept nogil:
        """Records of a lane that ended so, whichever thread said so."""
        cdef uint64_t n = self.lanes[lane].ended[klass][disposition]
        if disposition == TG_SAMPLED or disposition == TG_EXPIRED:
            n += tg_load_u64(&self.lanes[lane].dropped[klass][disposition - TG_SAMPLED])
        return n

    def counts(self) -> dict:
        """``{topic: {class: {"polled": n, disposition: n, …}}}`` for every lane."""
        cdef int lane, k, d
        books = {}
        for lane in range(self.lane_count):
            classes = {}
            for k in range(TG_CLASSES):
                row = {"polled": tg_load_u64(&self.lanes[lane].polled[k])}
                for d in range(TG_DISPOSITIONS):
                    row[DISPOSITIONS[d].value] = self._ended(lane, k, d)
                classes[CLASS_LABELS[k]] = row
            books[self._lane_names[lane]] = classes
        return books

    def totals(self) -> dict:
        """The counts of all lanes together: ``{class: {"polled": n, disposition: n, …}}``."""
        total = {label: {"polled": 0} | {d.value: 0 for d in DISPOSITIONS} for label in CLASS_LABELS}
        for classes in self.counts().values():
            for label, row in classes.items():
                for name, n in row.items():
                    total[label][name] += n
        return total

    def parking(self) -> tuple:
        """By class: records given to the producer of the parking topic and neither acknowledged nor given up."""
        cdef int k
        return tuple(<int64_t>(tg_load_u64(&self.parked[k]) - self.unparked[k]) for k in range(TG_CLASSES))

    def irregular(self) -> dict:
        """Counts beside the dispositions: unclassified and invalid records read, stale acknowledgements, lost."""
        cdef int lane
        unclassified, invalid, lost = 0, 0, 0
        for lane in range(self.lane_count):
            unclassified += self.lanes[lane].unclassified
            invalid += self.lanes[lane].invalid
            lost += self.lanes[lane].lost
        return {"unclassified": unclassified, "invalid": invalid, "stale": self.stale, "lost": lost}

    def lost(self) -> dict:
        """``{topic: records that retention took before they were read}``, for every lane."""
        cdef int lane
        return {self._lane_names[lane]: self.lanes[lane].lost for lane in range(self.lane_count)}

    def partitions(self) -> list:
        """``(topic, partition, position, frontier, target, stored)`` of every live slot; -1 where not known."""
        cdef uint32_t i
        cdef tg_slot *slot
        found = []
        for i in range(tg_load_i32(&self._used)):
            slot = self.slots[i]
            if tg_load_i32(&slot.state) == TG_SLOT_LIVE:
                found.append((self._lane_names[slot.lane], slot.partition, tg_load_i64(&slot.next),
                              tg_load_i64(&slot.frontier), slot.target, slot.stored))
        return found

    def progress(self) -> list:
        """For each lane: ``(span, position, end, assignment, unreadable, polled by class)``; see ledger.pyi."""
        cdef int32_t i
        cdef int lane, k
        cdef tg_slot *slot
        cdef tg_progress *one
        cdef int64_t frontier, position, end
        cdef tg_progress *found = <tg_progress *>calloc(self.lane_count + 1, sizeof(tg_progress))
        if found is NULL:
            raise MemoryError
        for i in range(tg_load_i32(&self._used)):
            slot = self.slots[i]
            if tg_load_i32(&slot.state) != TG_SLOT_LIVE:
                continue
            one = &found[slot.lane]
            one.unreadable += tg_load_i32(&slot.tries) != 0 and tg_load_i64(&slot.stuck_at) == tg_load_i64(&slot.next)
            frontier = tg_load_i64(&slot.frontier)
            end = tg_load_i64(&slot.log_end)
            position = tg_load_i64(&slot.next)
            one.assignment += tg_mix64(slot.serial)
            if frontier >= 0 and position - frontier > one.span:
                one.span = position - frontier
            if position >= 0 and end >= 0:
                one.assignment += tg_mix64(~slot.serial)
                one.known += 1
                one.position += position
                one.end += max(end, position)  # the log is as long as what was read of it, whatever was answered before
        progress = []
        for lane in range(self.lane_count):
            one = &found[lane]
            progress.append((one.span, one.position, one.end if one.known else None, one.assignment, one.unreadable,
                             tuple([tg_load_u64(&self.lanes[lane].polled[k]) for k in range(TG_CLASSES)])))
        free(found)
        return progress

    def ended(self) -> tuple:
        """By class: records by disposition, in the order of DISPOSITIONS, over all lanes."""
        cdef int lane, k, d
        cdef uint64_t total[TG_CLASSES][TG_DISPOSITIONS]
        memset(total, 0, sizeof(total))
        for lane in range(self.lane_count):
            for k in range(TG_CLASSES):
                for d in range(TG_DISPOSITIONS):
                    total[k][d] += self._ended(lane, k, d)
        return tuple([tuple([total[k][d] for d in range(TG_DISPOSITIONS)]) for k in range(TG_CLASSES)])

    def times(self) -> tuple:
        """Monotonic nanoseconds of the first read and the last settlement; 0 where there was none."""
        return self.first_read_ns, self.last_settled_ns
