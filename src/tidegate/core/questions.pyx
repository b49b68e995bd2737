"""Questions: what an assignment has to know of topics and logs, asked without waiting.

Behind a fetch on the same connection an answer can take fetch.wait.max.ms, so the reader does not wait: answers come to
a queue, and from a thread, and it looks at both in every round. Without the group's offsets nothing begins, however
long they take. Of the rest, what cannot be had in time is left to librdkafka (earliest, latest, or the committed offset
as it is; auto.offset.reset=error then says when that is out of range).
"""

import threading

from libc.stdint cimport int32_t, int64_t, intptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport strcmp

from tidegate.core.atomic cimport tg_load_i32, tg_store_i32
from tidegate.core.client cimport RETRY_NS
from tidegate.core.csrc cimport tg_wakeup_wake
from tidegate.core.mailbox cimport NOTE_ERROR
from tidegate.core.rdkafka cimport (
    TG_RK_ADMIN_DESCRIBETOPICS,
    TG_RK_ADMIN_LISTOFFSETS,
    TG_RK_ERR_OK,
    TG_RK_ERR_UNKNOWN_TOPIC_OR_PART,
    TG_RK_EVENT_DESCRIBETOPICS_RESULT,
    TG_RK_EVENT_LISTOFFSETS_RESULT,
    TG_RK_OFFSET_BEGINNING,
    TG_RK_OFFSET_END,
    TG_RK_READ_COMMITTED,
    TG_RK_READ_UNCOMMITTED,
    rd_kafka_AdminOptions_t,
    rd_kafka_error_t,
    rd_kafka_ListOffsetsResultInfo_t,
    rd_kafka_topic_partition_t,
    rd_kafka_TopicCollection_t,
    rd_kafka_TopicDescription_t,
    rdkafka,
)

cdef enum:
    ANSWER_MS = 3000
    COMMITTED_MS = 2000
    CALL_NS = 2000000000         # between two questions whether anybody is there
    GRACE_NS = 250000000         # the topics' description may be later than the offsets by
    UNMET_NS = 10000000000       # so long the first look at the group's offsets counts
    VOID_NS = 300000000000       # so long offsets found for a topic made anew may be of the one before
    # What an answer is to: the lower bits of its tag, beside the round's number.
    ASKED_TOPICS = 0
    ASKED_LOWS = 1
    ASKED_HIGHS = 2
    ASKED_ENDS = 3
    ASKED_LOOK = 4
    ASKED_MET = 5
    ASKED_ANYBODY = 6
    KINDS = 8


cdef void free_list(const tg_rdkafka *rk, rd_kafka_topic_partition_list_t **list) noexcept nogil:
    if list[0] is not NULL:
        rk.topic_partition_list_destroy(list[0])
        list[0] = NULL


cdef rd_kafka_AdminOptions_t *new_options(const tg_rdkafka *rk, rd_kafka_t *client, int operation,
                                          int64_t tag) noexcept nogil:
    """For a question whose answer carries `tag`. The caller frees them."""
    cdef rd_kafka_AdminOptions_t *options = rk.AdminOptions_new(client, operation)
    cdef char words[8]
    rk.AdminOptions_set_request_timeout(options, ANSWER_MS, words, sizeof(words))
    rk.AdminOptions_set_opaque(options, <void *><intptr_t>tag)
    return options


cdef void ask_offsets(const tg_rdkafka *rk, rd_kafka_t *client, rd_kafka_queue_t *answers,
                      rd_kafka_topic_partition_list_t *asked, int64_t tag, int isolation) noexcept nogil:
    """One request to each leader, for what the list's offsets say; borrows the list. The answer carries `tag`."""
    cdef rd_kafka_AdminOptions_t *options = new_options(rk, client, TG_RK_ADMIN_LISTOFFSETS, tag)
    cdef rd_kafka_error_t *error = rk.AdminOptions_set_isolation_level(options, isolation)
    if error is not NULL:
        rk.error_destroy(error)
    rk.ListOffsets(client, asked, options, answers)
    rk.AdminOptions_destroy(options)


cdef class Questions:
    """Questions of one handle. Used by the reader's thread, but for `_fetch`.

    Args:
        start: ``"earliest"`` or ``"latest"``: TIDEGATE_START.
        find_ends: the ends of the partitions are wanted too (for --until-end).
    """

    def __init__(self, Intake intake not None, int handle, *, str start, bint find_ends):
        self.rk = rdkafka()
        self.intake, self.handle = intake, handle
        self.latest, self.find_ends = start == "latest", find_ends

    cdef void attach(self, rd_kafka_t *client, int wake_fd, rd_kafka_topic_partition_list_t *topics) noexcept nogil:
        """Whom to ask, and what to wake when an answer is there. The first question: what the group has of the topics.

        Asked before this member joins, and so before others of the group's first generation can have committed."""
        self.client, self.wake_fd = client, wake_fd
        self.answers = self.rk.queue_new(client)
        self.rk.queue_io_event_enable(self.answers, wake_fd, b"\1\0\0\0\0\0\0\0", 8)
        self.topics = self.rk.topic_partition_list_copy(topics)
        self._describe(ASKED_MET, topics)

    cdef void drop(self) noexcept nogil:
        """Forgets the questions under way and what was answered."""
        self.round += 1
        self.waiting, self.undescribed, self.ready_ns, self.commits_err = 0, False, 0, 0
        free_list(self.rk, &self.lows)
        free_list(self.rk, &self.highs)
        free_list(self.rk, &self.ends)
        free_list(self.rk, &self.commits)

    cdef void destroy(self) noexcept nogil:
        """Before the client is."""
        self.drop()
        if self.lent is not NULL:
            with gil:
                self.thread.join()  # the client must outlive the question
        free_list(self.rk, &self.lent)
        free_list(self.rk, &self.wanted)
        free_list(self.rk, &self.topics)
        if self.answers is not NULL:
            self.rk.queue_destroy(self.answers)
            self.answers = NULL

    # --- questions --------------------------------------------------------------------------------

    cdef void ask(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil:
        """Asks for lows, highs, ends, commits and topics; see `ready`."""
        cdef int i
        self.drop()
        if self.asked_ns == 0:
            self.asked_ns = now_ns
        for i in range(list.cnt):
            self.intake.lane_of(self.handle, list.elems[i].topic)
        self.lows = self._list_offsets(list, ASKED_LOWS, TG_RK_OFFSET_BEGINNING, TG_RK_READ_UNCOMMITTED)
        self.highs = self._list_offsets(list, ASKED_HIGHS, TG_RK_OFFSET_END, TG_RK_READ_UNCOMMITTED)
        if self.latest or self.find_ends:
            # As a reader of committed records sees it: what an open transaction holds is still to come.
            self.ends = self._list_offsets(list, ASKED_ENDS, TG_RK_OFFSET_END, TG_RK_READ_COMMITTED)
        if list.cnt:
            self.waiting += 1
            self._ask_commits(list, self.round * KINDS + ASKED_TOPICS)
            self._describe(ASKED_TOPICS, list)
            self.undescribed = True

    cdef bint ready(self, int64_t now_ns) noexcept nogil:
        """Whether the answers are there, or will not come in time."""
        # Where the group's offset is known, the rest is worth this much of a stand-still of the whole handle.
        if self.waiting and (self.commits is NULL or now_ns < self.asked_ns + ENOUGH_NS):
            return False
        if not self.undescribed or self.mute:
            return True
        # The controller answers this one. Where there is none (the embedded broker; a fail-over) the rest goes on.
        if self.ready_ns == 0:
            self.ready_ns = now_ns + GRACE_NS
        return now_ns >= self.ready_ns

    cdef bint alone(self, int64_t now_ns) noexcept nogil:
        """Whether nobody answers any more: said once for each question that was in vain. In every round.

        Topics are described by the controller, which can be missing where all else is well. Where that is not answered,
        it is asked where one partition ends."""
        cdef bint deaf = self.deaf
        self.deaf = False
        if self.mute and not self.calling and now_ns >= self.call_after_ns:
            self.call_after_ns = now_ns + CALL_NS
            self._call()
        return deaf

    cdef void _call(self) noexcept nogil:
        cdef rd_kafka_topic_partition_list_t *asked = NULL
        cdef int i
        for i in range(self.topics.cnt):
            if asked is NULL and self.topics.elems[i].topic[0] != b'^':
                asked = self.rk.topic_partition_list_new(1)
                self.rk.topic_partition_list_add(asked, self.topics.elems[i].topic, 0).offset = TG_RK_OFFSET_END
        for i in range(self.intake.lane_count):
            if asked is NULL and self.intake.lanes[i].handle == self.handle:
                asked = self.rk.topic_partition_list_new(1)
                self.rk.topic_partition_list_add(
                    asked, self.intake.ledger.lanes[self.intake.lanes[i].number].topic, 0).offset = TG_RK_OFFSET_END
        if asked is NULL:  # a pattern that has met no topic yet
            return
        ask_offsets(self.rk, self.client, self.answers, asked, ASKED_ANYBODY, TG_RK_READ_UNCOMMITTED)
        self.calling = True
        self.rk.topic_partition_list_destroy(asked)

    cdef void look(self) noexcept nogil:
        """Asks whether the topics are still the ones that they were; see `log_number` of a lane."""
        cdef rd_kafka_topic_partition_list_t *list = self.rk.topic_partition_list_new(16)
        cdef tg_lane *lane
        cdef int i
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            if lane.handle == self.handle:
                self.rk.topic_partition_list_add(list, self.intake.ledger.lanes[lane.number].topic, 0)
        if list.cnt:
            self._describe(ASKED_LOOK, list)
        self.rk.topic_partition_list_destroy(list)

    cdef void _describe(self, int kind, rd_kafka_topic_partition_list_t *list) noexcept nogil:
        cdef rd_kafka_AdminOptions_t *options
        cdef rd_kafka_TopicCollection_t *topics
        cdef const char **names = <const char **>malloc(list.cnt * sizeof(char *))
        cdef int i, k, count = 0
        if names is NULL:
            return
        for i in range(list.cnt):
            if list.elems[i].topic[0] == b'^':  # a pattern, no name
                continue
            for k in range(count):
                if strcmp(names[count - 1 - k], list.elems[i].topic) == 0:
                    break
            else:
                names[count] = list.elems[i].topic
                count += 1
        if count == 0:
            free(names)
            return
        topics = self.rk.TopicCollection_of_topic_names(names, count)
        options = new_options(self.rk, self.client, TG_RK_ADMIN_DESCRIBETOPICS, self.round * KINDS + kind)
        self.rk.DescribeTopics(self.client, topics, options, self.answers)
        self.rk.AdminOptions_destroy(options)
        self.rk.TopicCollection_destroy(topics)
        free(names)

    cdef rd_kafka_topic_partition_list_t *_list_offsets(self, rd_kafka_topic_partition_list_t *list, int kind,
                                                        int64_t spec, int isolation) noexcept nogil:
        """The list returned has no offsets yet."""
        cdef rd_kafka_topic_partition_list_t *asked = self.rk.topic_partition_list_new(list.cnt)
        cdef int i
        for i in range(list.cnt):
            self.rk.topic_partition_list_add(asked, list.elems[i].topic, list.elems[i].partition).offset = spec
        if list.cnt:
            ask_offsets(self.rk, self.client, self.answers, asked, self.round * KINDS + kind, isolation)
            self.waiting += 1
        for i in range(list.cnt):
            asked.elems[i].offset = TG_NO_OFFSET
        return asked

    cdef void _ask_commits(self, rd_kafka_topic_partition_list_t *list, int64_t tag) noexcept nogil:
        """Asks for the group's offsets in all partitions of the list's topics: the others tell what it has met.

        A question under way is awaited first; the next one then takes the place of any that waits."""
        cdef rd_kafka_topic_partition_list_t *wanted = self.rk.topic_partition_list_new(list.cnt)
        cdef tg_lane *lane
        cdef int32_t count
        cdef int i, k
        for i in range(list.cnt):
            if self.rk.topic_partition_list_find(wanted, list.elems[i].topic, 0) is not NULL:
                continue
            lane = self.intake.lane_of(self.handle, list.elems[i].topic)
            count = lane.partitions if lane is not NULL else 0
            for k in range(i, list.cnt):
                if list.elems[k].partition >= count and strcmp(list.elems[k].topic, list.elems[i].topic) == 0:
                    count = list.elems[k].partition + 1
            for k in range(count):
                self.rk.topic_partition_list_add(wanted, list.elems[i].topic, k)
        free_list(self.rk, &self.wanted)
        self.wanted, self.wanted_tag = wanted, tag
        self._send()

    cdef void _send(self) noexcept nogil:
        """Lends the waiting question to a thread, if none has one."""
        if self.wanted is NULL or self.lent is not NULL:
            return
        self.lent, self.lent_tag, self.wanted = self.wanted, self.wanted_tag, NULL
        tg_store_i32(&self.back, 0)
        with gil:
            try:
                thread = threading.Thread(target=self._fetch, name="tidegate-offsets", daemon=True)
                thread.start()
                self.thread = thread
            except (RuntimeError, MemoryError):  # the pod has as many as it may have; `serve` tries again
                self.wanted, self.lent = self.lent, NULL
                self.intake.mailbox.put(NOTE_ERROR, 0, 0, b"no thread can be started to ask for the group's offsets; "
                                        b"trying again")

    def _fetch(self):
        """The thread's: rd_kafka_committed blocks. There is a question without waiting among the admin client's, but
        it goes on asking the coordinator that it knew first, also when another broker is that now."""
        with nogil:
            self.lent_err = self.rk.committed(self.client, self.lent, COMMITTED_MS)
            tg_store_i32(&self.back, 1)
            tg_wakeup_wake(self.wake_fd)

    # --- answers ----------------------------------------------------------------------------------

    cdef void serve(self, int64_t now_ns) noexcept nogil:
        """Takes the answers that are there. Called in every round of the reader."""
        cdef rd_kafka_event_t *event
        cdef int64_t tag
        while True:
            event = self.rk.queue_poll(self.answers, 0)
            if event is NULL:
                break
            tag = <int64_t><intptr_t>self.rk.event_opaque(event)
            if self.rk.event_type(event) == TG_RK_EVENT_DESCRIBETOPICS_RESULT:  # good also where it comes late
                self._described(event, tag % KINDS == ASKED_MET, now_ns)
                if tag == self.round * KINDS + ASKED_TOPICS:
                    self.undescribed = False
            elif tag % KINDS == ASKED_ANYBODY:
                self.calling = False
                self.deaf = self.rk.event_error(event) != TG_RK_ERR_OK
            elif tag // KINDS == self.round:
                self.waiting -= 1
                if tag % KINDS == ASKED_LOWS:
                    self._listed(event, self.lows)
                elif tag % KINDS == ASKED_HIGHS:
                    self._listed(event, self.highs)
                else:
                    self._listed(event, self.ends)
            self.rk.event_destroy(event)
        if self.lent is not NULL and tg_load_i32(&self.back):
            self._returned(now_ns)
        elif self.wanted is not NULL and self.lent is NULL and now_ns >= self.send_after_ns:
            self.send_after_ns = now_ns + RETRY_NS
            self._send()

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

    cdef void _returned(self, int64_t now_ns) noexcept nogil:
        """The group's offsets are there, or an error is; below 0: none. What is asked for next goes out."""
        cdef int32_t err = self.lent_err
        cdef int i
        for i in range(self.lent.cnt):
            if self.lent.elems[i].err == TG_RK_ERR_UNKNOWN_TOPIC_OR_PART:  # gone: the group has nothing there
                self.lent.elems[i].offset = TG_NO_OFFSET
            elif not err:
                err = self.lent.elems[i].err
        if self.lent_tag == self.round * KINDS + ASKED_TOPICS:
            self.waiting -= 1
            self.commits_err = err
            free_list(self.rk, &self.commits)
            self.commits, self.lent = self.lent, NULL
        else:
            if not err and self.lent_tag % KINDS == ASKED_MET:
                self._seen(now_ns)
            free_list(self.rk, &self.lent)
        self._send()

    cdef void _seen(self, int64_t now_ns) noexcept nogil:
        """What the group had when this process began."""
        cdef tg_lane *lane
        cdef int i
        for i in range(self.lent.cnt):
            lane = self.intake.lane_of(self.handle, self.lent.elems[i].topic)
            if lane is not NULL:
                lane.unmet_until_ns = now_ns + UNMET_NS
                lane.met |= self.lent.elems[i].offset >= 0

    cdef void _described(self, rd_kafka_event_t *event, bint first, int64_t now_ns) noexcept nogil:
        cdef const rd_kafka_TopicDescription_t **found
        cdef const rd_kafka_error_t *error
        cdef rd_kafka_topic_partition_list_t *topics = NULL
        cdef tg_lane *lane
        cdef int64_t log[2]
        cdef size_t count = 0, partitions = 0, i
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
            lane = self.intake.lane_of(self.handle, self.rk.TopicDescription_name(found[i]))
            if lane is NULL:
                continue
            if log[0] == lane.gone[0] and log[1] == lane.gone[1] and (log[0] or log[1]):
                continue  # a broker that has not heard of the new log yet: an id never comes back
            if lane.known < 0:
                lane.known = <int32_t>partitions
            elif (lane.log[0] != log[0] or lane.log[1] != log[1]) and (lane.log[0] or lane.log[1]) and (
                    log[0] or log[1]):  # none: of a broker, or a proxy, that knows no ids
                lane.replaced = True
                lane.log_number += 1
                lane.known, lane.void_until_ns = 0, now_ns + VOID_NS
                lane.gone[0], lane.gone[1] = lane.log[0], lane.log[1]
            if log[0] or log[1]:
                lane.log[0], lane.log[1] = log[0], log[1]
            lane.partitions = <int32_t>partitions
            if first:
                if topics is NULL:
                    topics = self.rk.topic_partition_list_new(<int>count)
                self.rk.topic_partition_list_add(topics, self.rk.TopicDescription_name(found[i]), 0)
        if topics is not NULL:
            self._ask_commits(topics, ASKED_MET)
            self.rk.topic_partition_list_destroy(topics)
