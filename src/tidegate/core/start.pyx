"""Start: where each partition of an assignment begins.

What is known of the group decides, in this order (docs/adr/0008-what-is-new-to-the-group.md):

1. A committed offset that the log still has: there.
2. A committed offset before the log's start: retention took the range between. Counted as lost; begins at the start.
3. A committed offset beyond the log's end: the log was cut, or replaced. Begins at earliest.
4. None, and the partition came into being, or the topic was made anew, while this process knew the topic: earliest.
5. None, but the group has begun to read the topic: the partition was added while no member ran, or its offset was
   deleted or never written. Earliest, and a warning names it.
6. None, and the group has not begun to read the topic: TIDEGATE_START decides. The parking topic, which is the
   group's own, begins at earliest.

Rule 5 looks at the group's offsets in the other partitions. It can do so because every start is committed at once,
before anything of the partition is settled. A fresh group's members begin together, and one may have committed before
another asks: what the group had when this process began, asked before it joined, keeps rule 5 from taking the second
one's partitions for added ones (questions.pyx, `attach`). Wherever this fails, more is read, never less.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdio cimport snprintf
from libc.string cimport strcmp

from tidegate.core.ledger cimport tg_lane_counts
from tidegate.core.mailbox cimport NOTE_ERROR, NOTE_RESET, NOTE_START, TG_NOTE_TEXT
from tidegate.core.questions cimport ENOUGH_NS, TG_NO_OFFSET
from tidegate.core.rdkafka cimport TG_RK_OFFSET_BEGINNING, TG_RK_OFFSET_END

cdef enum:
    ANSWER_NS = 4000000000       # so long for lows and ends where the group has no offset: they decide the start
    LEVEL_WARNING = 4            # syslog
    LEVEL_INFO = 6


cdef class Start(Questions):
    """Questions and decisions of one handle."""

    def __init__(self, Intake intake not None, Mailbox mailbox not None, int handle, *, str start, bint find_ends):
        super().__init__(intake, handle, start=start, find_ends=find_ends)
        self.mailbox = mailbox

    cdef bint resolve(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil:
        """Makes the offsets of the list explicit, once `ready`. False: not all is known, ask again a little later."""
        cdef tg_lane *lane = NULL
        cdef bint met = False
        cdef int i
        if list.cnt == 0:
            return True
        if self.commits_err:
            self.asked_ns = 0  # the other answers may need as long, once there is somebody to give this one
            self.mailbox.put(NOTE_ERROR, self.commits_err, 0, b"committed offsets are not available yet; trying again")
            return False
        if self._missing(list, now_ns):
            return False
        self.asked_ns = 0
        for i in range(list.cnt):
            if i == 0 or strcmp(list.elems[i].topic, list.elems[i - 1].topic) != 0:
                lane = self.intake.lane_of(self.handle, list.elems[i].topic)
                if lane is not NULL:
                    met = self._met(lane, list.elems[i].topic, now_ns)
            if lane is not NULL:
                self._decide(lane, met, &list.elems[i], i)
        for i in range(list.cnt):
            lane = self.intake.lane_of(self.handle, list.elems[i].topic)
            if lane is not NULL:
                lane.met = True
        return True

    cdef bint _missing(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil:
        """Whether a partition whose log was asked about in vain is to be asked about again."""
        cdef rd_kafka_topic_partition_t *part
        cdef bint again = False, said = False
        cdef char words[TG_NOTE_TEXT]
        cdef int i
        for i in range(list.cnt):
            part = &list.elems[i]
            if self.lows.elems[i].offset < 0 or self.highs.elems[i].offset < 0 or (
                    self.ends is not NULL and self.ends.elems[i].offset < 0):
                again = now_ns < self.asked_ns + (
                    ENOUGH_NS if self.committed(part.topic, part.partition) >= 0 else ANSWER_NS)
                if again or not said:
                    snprintf(words, sizeof(words), b"%s/%d: where its log begins and ends is not known yet; %s",
                             part.topic, part.partition, b"trying again" if again else b"beginning without")
                    self.mailbox.put(NOTE_ERROR, 0, 0, words)
                    said = True
                if again:
                    return True
        return False

    cdef int64_t committed(self, const char *topic, int32_t partition) noexcept nogil:
        """The group's offset as it was found; below 0: none."""
        cdef rd_kafka_topic_partition_t *found = self.rk.topic_partition_list_find(self.commits, topic, partition)
        return found.offset if found is not NULL else TG_NO_OFFSET

    cdef bint _met(self, tg_lane *lane, const char *topic, int64_t now_ns) noexcept nogil:
        """Whether the group has begun to read the topic."""
        cdef rd_kafka_topic_partition_t *part
        cdef bint others = False
        cdef int i
        for i in range(self.commits.cnt):
            part = &self.commits.elems[i]
            if strcmp(part.topic, topic) == 0:
                if now_ns < lane.void_until_ns and (
                        part.partition >= lane.slot_room or lane.begun[part.partition] != lane.log_number + 1):
                    part.offset = TG_NO_OFFSET  # committed by a member that did not know of the new log yet, maybe
                others |= part.offset >= 0
        return lane.met or (others and now_ns >= lane.unmet_until_ns)

    cdef void _decide(self, tg_lane *lane, bint met, rd_kafka_topic_partition_t *part, int at) noexcept nogil:
        cdef int64_t committed = self.committed(part.topic, part.partition)
        cdef int64_t low = self.lows.elems[at].offset, high = self.highs.elems[at].offset
        cdef int64_t earliest = low if low >= 0 else TG_RK_OFFSET_BEGINNING
        cdef tg_lane_counts *counts = self.intake.ledger.lanes[lane.number]
        cdef char words[TG_NOTE_TEXT]
        # An epoch of the committed offset's would be held against an offset that is not its own.
        self.rk.topic_partition_set_leader_epoch(part, -1)
        if committed >= 0 and low >= 0 and committed < low:
            part.offset = low
            counts.lost += low - committed
            snprintf(words, sizeof(words), b"%s/%d: offsets %lld to %lld were deleted before they were read",
                     part.topic, part.partition, <long long>committed, <long long>(low - 1))
            self.mailbox.put(NOTE_RESET, part.partition, low - committed, words)
        elif committed >= 0 and high >= 0 and committed > high:
            part.offset = earliest
            snprintf(words, sizeof(words), b"%s/%d: the committed offset %lld is beyond the end %lld, the log was cut "
                     b"or replaced; starts at earliest %lld", part.topic, part.partition, <long long>committed,
                     <long long>high, <long long>earliest)
            self.mailbox.put(NOTE_RESET, part.partition, 0, words)
        elif committed >= 0:
            part.offset = committed
        elif lane.known >= 0 and part.partition >= lane.known:
            part.offset = earliest
            snprintf(words, sizeof(words), b"%s/%d: came into being while the topic was known; starts at earliest %lld",
                     part.topic, part.partition, <long long>earliest)
            self.mailbox.put(NOTE_START, LEVEL_INFO, earliest, words)
        elif met:
            part.offset = earliest
            snprintf(words, sizeof(words), b"%s/%d: no committed offset, though the group has begun to read the topic: "
                     b"added meanwhile, or deleted; starts at earliest %lld", part.topic, part.partition,
                     <long long>earliest)
            self.mailbox.put(NOTE_START, LEVEL_WARNING, earliest, words)
        elif self.latest and not lane.parking:
            part.offset = self.ends.elems[at].offset if self.ends.elems[at].offset >= 0 else TG_RK_OFFSET_END
        else:
            part.offset = earliest
