"""Start: where each partition of an assignment begins.

What is known of the group decides, in this order:

1. A committed offset that the log still has: there.
2. A committed offset before the log's start: retention took the range between. Counted as lost; begins at the start.
3. A committed offset beyond the log's end: the log was cut, or replaced. TIDEGATE_START decides, and it is logged.
4. None, and the partition came into being after the group had met the topic: at its earliest offset, whatever
   TIDEGATE_START says. Nothing in it is older than the group's interest.
5. None: TIDEGATE_START decides. Where other partitions of the topic have one, this one's expired or was deleted, and a
   warning names it.

Rule 4 has to know how many partitions the topic had when the group met it, also in a process that comes later, and
must not take a fresh group for it: one member may have committed before the other has even asked. So every offset is
committed with a mark: the id of the topic, and that number, taken over from the marks found and never raised. Where
commits have no mark (another consumer made them), all partitions up to the last committed one were met; where there
are no commits at all, those that the topic has now. The id fences topics that were deleted and made anew: an offset
committed for another log is void, and every partition of the new log came later than the group (rule 4).

Low and high come from questions.pyx, without waiting. Only the committed offsets, from the coordinator, are waited for:
a second at most.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdio cimport snprintf, sscanf
from libc.string cimport memcpy, strcmp

from tidegate.core.ledger cimport tg_lane_counts
from tidegate.core.mailbox cimport NOTE_RESET, NOTE_START, TG_NOTE_TEXT
from tidegate.core.questions cimport TG_NO_OFFSET, free_list
from tidegate.core.rdkafka cimport TG_RK_OFFSET_BEGINNING, TG_RK_OFFSET_END

cdef enum:
    COMMITTED_MS = 1000          # one try to fetch committed offsets
    LEVEL_WARNING = 4            # syslog
    LEVEL_INFO = 6


cdef int mark(tg_lane *lane, char *words, size_t size) noexcept nogil:
    """Writes what is committed beside an offset; its length, 0 where the topic is not known well enough."""
    if lane.known < 0 or not (lane.log[0] or lane.log[1]):
        return 0
    return snprintf(words, size, b"tidegate:1:%016llx:%016llx:%d", <unsigned long long>lane.log[0],
                    <unsigned long long>lane.log[1], lane.known)


cdef bint _read_mark(const rd_kafka_topic_partition_t *part, int64_t *log, int *known) noexcept nogil:
    cdef char words[TG_MARK]
    if part.metadata is NULL or part.metadata_size >= TG_MARK:
        return False
    memcpy(words, part.metadata, part.metadata_size)
    words[part.metadata_size] = 0
    return sscanf(words, b"tidegate:1:%16llx:%16llx:%d", <unsigned long long *>&log[0], <unsigned long long *>&log[1],
                  known) == 3


cdef class Start(Questions):
    """Questions and decisions of one handle."""

    def __init__(self, Intake intake not None, Mailbox mailbox not None, int handle, *, str start, bint find_ends):
        super().__init__(intake, handle, start=start, find_ends=find_ends)
        self.mailbox = mailbox

    cdef void drop(self) noexcept nogil:
        Questions.drop(self)
        free_list(self.rk, &self.commits)

    cdef int32_t resolve(self, rd_kafka_topic_partition_list_t *list) noexcept nogil:
        """Makes the offsets of the list explicit. An error: committed offsets could not be had; try again."""
        cdef tg_lane *lane = NULL
        cdef int32_t err
        cdef int i
        err = self._fetch_commits(list)
        if err:
            return err
        for i in range(list.cnt):
            if i == 0 or strcmp(list.elems[i].topic, list.elems[i - 1].topic) != 0:
                lane = self.intake.lane_of(self.handle, list.elems[i].topic)
                if lane is not NULL:
                    self._know(lane, list.elems[i].topic)
            if lane is not NULL:
                self._decide(lane, &list.elems[i], i)
        return 0

    cdef int64_t committed(self, const char *topic, int32_t partition) noexcept nogil:
        """The group's offset as it was found; below 0: none."""
        cdef rd_kafka_topic_partition_t *found = self.rk.topic_partition_list_find(self.commits, topic, partition)
        return found.offset if found is not NULL else TG_NO_OFFSET

    cdef int32_t _fetch_commits(self, rd_kafka_topic_partition_list_t *list) noexcept nogil:
        """Of all partitions of the topics: those of the others show what this group has met."""
        cdef tg_lane *lane
        cdef int32_t err = 0, count
        cdef int i, k
        free_list(self.rk, &self.commits)
        self.commits = self.rk.topic_partition_list_new(list.cnt)
        for i in range(list.cnt):
            if self.rk.topic_partition_list_find(self.commits, list.elems[i].topic, 0) is not NULL:
                continue
            lane = self.intake.lane_of(self.handle, list.elems[i].topic)
            count = lane.partitions if lane is not NULL else 0
            for k in range(i, list.cnt):
                if list.elems[k].partition >= count and strcmp(list.elems[k].topic, list.elems[i].topic) == 0:
                    count = list.elems[k].partition + 1
            for k in range(count):
                self.rk.topic_partition_list_add(self.commits, list.elems[i].topic, k)
        if self.commits.cnt:
            err = self.rk.committed(self.client, self.commits, COMMITTED_MS)
        for i in range(self.commits.cnt):
            if not err:
                err = self.commits.elems[i].err
        return err

    cdef void _know(self, tg_lane *lane, const char *topic) noexcept nogil:
        """What the commits tell of the topic; those of another log under its name become none."""
        cdef rd_kafka_topic_partition_t *part
        cdef int64_t log[2]
        cdef int known = 0, marked = -1, last = -1, i
        cdef bint foreign = False
        for i in range(self.commits.cnt):
            part = &self.commits.elems[i]
            if part.offset < 0 or strcmp(part.topic, topic) != 0:
                continue
            if _read_mark(part, log, &known):
                if (lane.log[0] or lane.log[1]) and (log[0] != lane.log[0] or log[1] != lane.log[1]):
                    part.offset = TG_NO_OFFSET
                    foreign = True
                    continue
                if marked < 0 or known < marked:
                    marked = known
            last = part.partition
        lane.met = last >= 0
        if marked >= 0:
            lane.known = marked if lane.known < 0 else min(lane.known, marked)
        elif foreign:
            lane.known = 0
        elif lane.known < 0 and last >= 0:
            lane.known = last + 1
        elif lane.known < 0 and lane.partitions > 0:
            lane.known = lane.partitions

    cdef void _decide(self, tg_lane *lane, rd_kafka_topic_partition_t *part, int at) noexcept nogil:
        cdef int64_t committed = self.committed(part.topic, part.partition)
        cdef int64_t low = self.lows.elems[at].offset, high = self.highs.elems[at].offset
        cdef int64_t earliest = low if low >= 0 else TG_RK_OFFSET_BEGINNING
        cdef int64_t policy = earliest
        cdef tg_lane_counts *counts = self.intake.ledger.lanes[lane.number]
        cdef char words[TG_NOTE_TEXT]
        if self.latest:
            policy = self.ends.elems[at].offset if self.ends.elems[at].offset >= 0 else TG_RK_OFFSET_END
        # An epoch of the committed offset's would be held against an offset that is not its own.
        self.rk.topic_partition_set_leader_epoch(part, -1)
        if committed >= 0 and low >= 0 and committed < low:
            part.offset = low
            counts.lost += low - committed
            snprintf(words, sizeof(words), b"%s/%d: offsets %lld to %lld were deleted before they were read",
                     part.topic, part.partition, <long long>committed, <long long>(low - 1))
            self.mailbox.put(NOTE_RESET, part.partition, low - committed, words)
        elif committed >= 0 and high >= 0 and committed > high:
            part.offset = policy
            snprintf(words, sizeof(words), b"%s/%d: the committed offset %lld is beyond the end %lld, the log was cut "
                     b"or replaced; starts at %s %lld", part.topic, part.partition, <long long>committed,
                     <long long>high, b"latest" if self.latest else b"earliest", <long long>policy)
            self.mailbox.put(NOTE_RESET, part.partition, 0, words)
        elif committed >= 0:
            part.offset = committed
        elif lane.known >= 0 and part.partition >= lane.known:
            part.offset = earliest
            snprintf(words, sizeof(words), b"%s/%d: came into being after this group had met the topic; starts "
                     b"at earliest %lld", part.topic, part.partition, <long long>earliest)
            self.mailbox.put(NOTE_START, LEVEL_INFO, earliest, words)
        else:
            part.offset = policy
            if lane.met:
                snprintf(words, sizeof(words), b"%s/%d: no committed offset, though other partitions of the topic have "
                         b"one: expired or deleted; starts at %s %lld", part.topic, part.partition,
                         b"latest" if self.latest else b"earliest", <long long>policy)
                self.mailbox.put(NOTE_START, LEVEL_WARNING, policy, words)
