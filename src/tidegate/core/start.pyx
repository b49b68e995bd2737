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

Offsets and topics are asked for without waiting: behind a fetch on the same connection an answer can take
fetch.wait.max.ms. What cannot be had in time is left to librdkafka (earliest, latest, or the committed offset as it
is; auto.offset.reset=error then says when that is out of range). Only the committed offsets, from the coordinator,
are waited for: a second at most.
"""

from libc.stdint cimport int32_t, int64_t, intptr_t
from libc.stdio cimport snprintf, sscanf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strcmp

from tidegate.core.ledger cimport tg_lane_counts
from tidegate.core.mailbox cimport NOTE_RESET, NOTE_START, TG_NOTE_TEXT
from tidegate.core.rdkafka cimport (
    TG_RK_ADMIN_DESCRIBETOPICS,
    TG_RK_ADMIN_LISTOFFSETS,
    TG_RK_ERR_OK,
    TG_RK_EVENT_DESCRIBETOPICS_RESULT,
    TG_RK_EVENT_LISTOFFSETS_RESULT,
    TG_RK_OFFSET_BEGINNING,
    TG_RK_OFFSET_END,
    TG_RK_READ_COMMITTED,
    TG_RK_READ_UNCOMMITTED,
    rd_kafka_error_t,
    rd_kafka_ListOffsetsResultInfo_t,
    rd_kafka_TopicCollection_t,
    rd_kafka_TopicDescription_t,
    rdkafka,
)

cdef enum:
    COMMITTED_MS = 1000          # one try to fetch committed offsets
    ANSWER_MS = 3000             # for all other answers
    GRACE_NS = 250000000         # the topics' description may be later than the offsets by
    # What an answer is to: the lower bits of its tag, beside the round's number.
    ASKED_TOPICS = 0
    ASKED_LOWS = 1
    ASKED_HIGHS = 2
    ASKED_ENDS = 3
    ASKED_LOOK = 4
    KINDS = 8
    UNKNOWN = -1001              # offset: not known, or not there
    LEVEL_WARNING = 4            # syslog
    LEVEL_INFO = 6


cdef void _free_list(const tg_rdkafka *rk, rd_kafka_topic_partition_list_t **list) noexcept nogil:
    if list[0] is not NULL:
        rk.topic_partition_list_destroy(list[0])
        list[0] = NULL


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


cdef class Start:
    """Questions and decisions of one handle. Used by the reader's thread only.

    Args:
        start: ``"earliest"`` or ``"latest"``: TIDEGATE_START.
        find_ends: the ends of the partitions are wanted too (for --until-end).
    """

    def __init__(self, Intake intake not None, Mailbox mailbox not None, int handle, *, str start, bint find_ends):
        self.rk = rdkafka()
        self.intake, self.mailbox, self.handle = intake, mailbox, handle
        self.latest, self.find_ends = start == "latest", find_ends

    cdef void attach(self, rd_kafka_t *client, int wake_fd) noexcept nogil:
        """Whom to ask, and what to wake when an answer is there."""
        self.client = client
        self.answers = self.rk.queue_new(client)
        self.rk.queue_io_event_enable(self.answers, wake_fd, b"\1\0\0\0\0\0\0\0", 8)

    cdef void drop(self) noexcept nogil:
        """Forgets the questions under way and what was answered."""
        self.round += 1
        self.waiting, self.undescribed, self.ready_ns = 0, False, 0
        _free_list(self.rk, &self.lows)
        _free_list(self.rk, &self.highs)
        _free_list(self.rk, &self.ends)
        _free_list(self.rk, &self.commits)

    cdef void destroy(self) noexcept nogil:
        """Before the client is."""
        self.drop()
        if self.answers is not NULL:
            self.rk.queue_destroy(self.answers)
            self.answers = NULL

    # --- questions --------------------------------------------------------------------------------

    cdef void ask(self, rd_kafka_topic_partition_list_t *list) noexcept nogil:
        """Asks for what `resolve` needs; see `ready`."""
        cdef int i
        self.drop()
        for i in range(list.cnt):
            self.intake.lane_of(self.handle, list.elems[i].topic)
        self.lows = self._list_offsets(list, ASKED_LOWS, TG_RK_OFFSET_BEGINNING, TG_RK_READ_UNCOMMITTED)
        self.highs = self._list_offsets(list, ASKED_HIGHS, TG_RK_OFFSET_END, TG_RK_READ_UNCOMMITTED)
        if self.latest or self.find_ends:
            # As a reader of committed records sees it: what an open transaction holds is still to come.
            self.ends = self._list_offsets(list, ASKED_ENDS, TG_RK_OFFSET_END, TG_RK_READ_COMMITTED)
        if list.cnt:
            self._describe(ASKED_TOPICS, list)
            self.undescribed = True

    cdef bint ready(self, int64_t now_ns) noexcept nogil:
        """Whether the answers are there, or will not come in time."""
        if self.waiting:
            return False
        if not self.undescribed or self.mute:
            return True
        # The controller answers this one. Where there is none (the embedded broker; a fail-over) the rest goes on.
        if self.ready_ns == 0:
            self.ready_ns = now_ns + GRACE_NS
        return now_ns >= self.ready_ns

    cdef void look(self) noexcept nogil:
        """Asks whether the topics held are still the ones that they were; see `replaced` of a lane."""
        cdef rd_kafka_topic_partition_list_t *list = self.rk.topic_partition_list_new(16)
        cdef tg_lane *lane
        cdef int i, p
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            if lane.handle != self.handle:
                continue
            for p in range(lane.slot_room):
                if lane.slots[p] is not NULL:
                    self.rk.topic_partition_list_add(list, self.intake.ledger.lanes[lane.number].topic, p)
                    break
        if list.cnt:
            self._describe(ASKED_LOOK, list)
        self.rk.topic_partition_list_destroy(list)

    cdef rd_kafka_AdminOptions_t *_options(self, int operation, int kind) noexcept nogil:
        cdef rd_kafka_AdminOptions_t *options = self.rk.AdminOptions_new(self.client, operation)
        cdef char words[8]
        self.rk.AdminOptions_set_request_timeout(options, ANSWER_MS, words, sizeof(words))
        self.rk.AdminOptions_set_opaque(options, <void *><intptr_t>(self.round * KINDS + kind))
        return options

    cdef void _describe(self, int kind, rd_kafka_topic_partition_list_t *list) noexcept nogil:
        cdef rd_kafka_AdminOptions_t *options
        cdef rd_kafka_TopicCollection_t *topics
        cdef const char **names = <const char **>malloc(list.cnt * sizeof(char *))
        cdef int i, k, count = 0
        if names is NULL:
            return
        for i in range(list.cnt):
            for k in range(count):
                if strcmp(names[count - 1 - k], list.elems[i].topic) == 0:
                    break
            else:
                names[count] = list.elems[i].topic
                count += 1
        topics = self.rk.TopicCollection_of_topic_names(names, count)
        options = self._options(TG_RK_ADMIN_DESCRIBETOPICS, kind)
        self.rk.DescribeTopics(self.client, topics, options, self.answers)
        self.rk.AdminOptions_destroy(options)
        self.rk.TopicCollection_destroy(topics)
        free(names)

    cdef rd_kafka_topic_partition_list_t *_list_offsets(self, rd_kafka_topic_partition_list_t *list, int kind,
                                                        int64_t spec, int isolation) noexcept nogil:
        """One request to each leader. The list returned has no offsets yet."""
        cdef rd_kafka_topic_partition_list_t *asked = self.rk.topic_partition_list_new(list.cnt)
        cdef rd_kafka_AdminOptions_t *options
        cdef rd_kafka_error_t *error
        cdef int i
        for i in range(list.cnt):
            self.rk.topic_partition_list_add(asked, list.elems[i].topic, list.elems[i].partition).offset = spec
        if list.cnt:
            options = self._options(TG_RK_ADMIN_LISTOFFSETS, kind)
            error = self.rk.AdminOptions_set_isolation_level(options, isolation)
            if error is not NULL:
                self.rk.error_destroy(error)
            self.rk.ListOffsets(self.client, asked, options, self.answers)
            self.rk.AdminOptions_destroy(options)
            self.waiting += 1
        for i in range(list.cnt):
            asked.elems[i].offset = UNKNOWN
        return asked

    # --- answers ----------------------------------------------------------------------------------

    cdef void serve(self) noexcept nogil:
        """Takes the answers that are there. Called in every round of the reader."""
        cdef rd_kafka_event_t *event
        cdef int64_t tag
        while True:
            event = self.rk.queue_poll(self.answers, 0)
            if event is NULL:
                return
            tag = <int64_t><intptr_t>self.rk.event_opaque(event)
            if tag % KINDS in (ASKED_TOPICS, ASKED_LOOK):  # good also where it comes late
                self._described(event)
                if tag == self.round * KINDS + ASKED_TOPICS:
                    self.undescribed = False
            elif tag // KINDS == self.round:
                self.waiting -= 1
                if tag % KINDS == ASKED_LOWS:
                    self._listed(event, self.lows)
                elif tag % KINDS == ASKED_HIGHS:
                    self._listed(event, self.highs)
                else:
                    self._listed(event, self.ends)
            self.rk.event_destroy(event)

    cdef void _listed(self, rd_kafka_event_t *event, rd_kafka_topic_partition_list_t *list) noexcept nogil:
        cdef const rd_kafka_ListOffsetsResultInfo_t **found
        cdef const rd_kafka_topic_partition_t *one
        cdef rd_kafka_topic_partition_t *place
        cdef size_t count = 0, i
        if self.rk.event_error(event) or self.rk.event_type(event) != TG_RK_EVENT_LISTOFFSETS_RESULT:
            return
        found = self.rk.ListOffsets_result_infos(self.rk.event_ListOffsets_result(event), &count)
        for i in range(count):
            one = self.rk.ListOffsetsResultInfo_topic_partition(found[i])
            if one.err != TG_RK_ERR_OK:
                continue
            place = &list.elems[i] if i < <size_t>list.cnt else NULL
            if place is NULL or place.partition != one.partition or strcmp(place.topic, one.topic) != 0:
                place = self.rk.topic_partition_list_find(list, one.topic, one.partition)
            if place is not NULL:
                place.offset = one.offset

    cdef void _described(self, rd_kafka_event_t *event) noexcept nogil:
        cdef const rd_kafka_TopicDescription_t **found
        cdef const rd_kafka_error_t *error
        cdef tg_lane *lane
        cdef int64_t log[2]
        cdef size_t count = 0, partitions = 0, i
        cdef int k
        self.mute = self.rk.event_error(event) != TG_RK_ERR_OK
        if self.mute or self.rk.event_type(event) != TG_RK_EVENT_DESCRIBETOPICS_RESULT:
            return
        found = self.rk.DescribeTopics_result_topics(self.rk.event_DescribeTopics_result(event), &count)
        for i in range(count):
            error = self.rk.TopicDescription_error(found[i])
            if error is not NULL and self.rk.error_code(error) != TG_RK_ERR_OK:
                continue
            self.rk.TopicDescription_partitions(found[i], &partitions)
            log[0] = self.rk.Uuid_most_significant_bits(self.rk.TopicDescription_topic_id(found[i]))
            log[1] = self.rk.Uuid_least_significant_bits(self.rk.TopicDescription_topic_id(found[i]))
            for k in range(self.intake.lane_count):
                lane = self.intake.lanes[k]
                if lane.handle != self.handle or strcmp(self.intake.ledger.lanes[lane.number].topic,
                                                        self.rk.TopicDescription_name(found[i])) != 0:
                    continue
                if (lane.log[0] or lane.log[1]) and (lane.log[0] != log[0] or lane.log[1] != log[1]):
                    lane.replaced = True
                    lane.known = 0
                lane.log[0], lane.log[1], lane.partitions = log[0], log[1], <int32_t>partitions

    # --- decisions --------------------------------------------------------------------------------

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
        return found.offset if found is not NULL else UNKNOWN

    cdef int32_t _fetch_commits(self, rd_kafka_topic_partition_list_t *list) noexcept nogil:
        """Of all partitions of the topics: those of the others show what this group has met."""
        cdef tg_lane *lane
        cdef int32_t err = 0, count
        cdef int i, k
        _free_list(self.rk, &self.commits)
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
                    part.offset = UNKNOWN
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
