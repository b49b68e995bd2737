"""Handle: one consumer of the group and its rebalances.

Rules proved for librdkafka that this file keeps: partition queues are forwarded to their lane before every assign
(a revoke clears the forward without a word); start offsets are explicit; a revocation waits for what is in flight, two
seconds at most, because librdkafka pauses every partition of the handle meanwhile; the last acknowledgements are
stored before unassign; a pause outlives a revocation, so it is taken back at every assignment.
"""

from libc.stdint cimport int32_t
from libc.stdio cimport snprintf

from tidegate.core.atomic cimport tg_load_u64, tg_store_i32, tg_store_i64
from tidegate.core.client cimport RETRY_NS
from tidegate.core.ends cimport Ends
from tidegate.core.events cimport note_event
from tidegate.core.intake cimport Intake
from tidegate.core.lanes cimport tg_lane
from tidegate.core.mailbox cimport (
    Mailbox,
    NOTE_ASSIGNED,
    NOTE_ERROR,
    NOTE_FATAL,
    NOTE_LOG,
    NOTE_LOST,
    NOTE_REVOKED,
    TG_NOTE_TEXT,
)
from tidegate.core.rdkafka cimport (
    TG_RK_ERR_ALL_BROKERS_DOWN,
    TG_RK_ERR_ASSIGN_PARTITIONS,
    TG_RK_ERR_NO_OFFSET,
    TG_RK_EVENT_ERROR,
    TG_RK_EVENT_FETCH,
    TG_RK_EVENT_LOG,
    TG_RK_EVENT_OFFSET_COMMIT,
    TG_RK_EVENT_REBALANCE,
    rd_kafka_topic_partition_t,
)
from tidegate.core.slots cimport TG_SLOT_CLOSING, TG_SLOT_DEAD, tg_slot
from tidegate.core.start cimport Start

from tidegate.errors import BrokerError

cdef enum:
    SETTLE_NS = 2000000000       # a revocation waits so long for in-flight work
    LEVEL_INFO = 6               # syslog
    LOOK_MS = 2000               # topics made anew are noticed at least so often


cdef class Handle(Repairs):
    """One librdkafka consumer.

    Args:
        properties: librdkafka configuration, complete.
        topics: names and regular expressions (starting with ``^``).
        start: ``"earliest"`` or ``"latest"``: where to begin in a topic that is new to the group.
        find_ends: note each partition's end at assignment (for --until-end).

    Raises:
        ConfigError, KafkaClientError: as Client.
        BrokerError: it cannot subscribe.
    """

    def __init__(self, int number, dict properties, topics, Intake intake not None, Mailbox mailbox not None, *,
                 str start, bint find_ends, int wake_fd):
        cdef rd_kafka_topic_partition_list_t *subscription
        cdef int32_t err
        super().__init__(number, properties, intake, mailbox, wake_fd)
        self.find_ends = find_ends
        self.silent = properties.get("group.protocol") == "consumer"
        self.start = Start(intake, mailbox, number, start=start, find_ends=find_ends)
        self.log_ends = Ends(intake, number)
        self.look_every_ns = min(LOOK_MS, int(properties.get("topic.metadata.refresh.interval.ms", LOOK_MS))) * 1000000
        subscription = self.rk.topic_partition_list_new(len(topics))
        for topic in topics:
            self.rk.topic_partition_list_add(subscription, topic.encode(), -1)
        self.start.attach(self.client, wake_fd, subscription)
        self.log_ends.attach(self.client, wake_fd)
        err = self.rk.subscribe(self.client, subscription)
        self.rk.topic_partition_list_destroy(subscription)
        if err:
            raise BrokerError(f"cannot subscribe to {', '.join(topics)}: {self.rk.err2str(err).decode()}")

    # --- the consumer queue -----------------------------------------------------------------------

    cdef void serve(self, int64_t now_ns) noexcept nogil:
        """Serves the consumer queue and whatever waits to go on. Called in every round of the reader."""
        cdef rd_kafka_event_t *event
        cdef int _turn
        if self.closed:
            return
        for _turn in range(64):
            event = self.rk.queue_poll(self.queue, 0)
            if event is NULL:
                break
            self._event(event, now_ns)
            self.rk.event_destroy(event)
        self.start.serve(now_ns)
        if not self.last_commit_until_ns and self.start.alone(now_ns):
            self.mailbox.put(NOTE_LOG, LEVEL_INFO, 0, b"DEAF: no broker answers; looking once more for those of "
                             b"bootstrap.servers")
            self.find_brokers()
        self.log_ends.serve(now_ns)
        if self.assigning is not NULL and now_ns >= self.assign_after_ns:
            self._assign(now_ns)
        if self.revoking is not NULL and (now_ns >= self.revoke_until_ns or not self._busy()):
            self._revoke(now_ns)
        if self.revoking is NULL and self.assigning is NULL:
            self._repair(now_ns)
            if now_ns >= self.look_after_ns and not self.last_commit_until_ns:
                self.look_after_ns = now_ns + self.look_every_ns
                self.start.look()
            if not self.last_commit_until_ns:
                self.log_ends.look(now_ns)
        if self.closing:
            self.closed = self.closed or self.rk.consumer_closed(self.client)
        elif self.last_commit_until_ns:
            self._end(now_ns)

    cdef void _event(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil:
        cdef int32_t kind = self.rk.event_type(event)
        cdef int32_t err
        cdef char words[TG_NOTE_TEXT]
        if kind == TG_RK_EVENT_REBALANCE:
            self._rebalance(event, now_ns)
        elif kind == TG_RK_EVENT_LOG or kind == TG_RK_EVENT_ERROR:
            if note_event(self.rk, self.client, event, self.mailbox, NOTE_FATAL):
                self.failed = True
            elif kind == TG_RK_EVENT_ERROR and self.rk.event_error(event) == TG_RK_ERR_ALL_BROKERS_DOWN:
                self._hurry(now_ns)
        elif kind == TG_RK_EVENT_OFFSET_COMMIT:
            self._answered(event)
            err = self.rk.event_error(event)
            if self.rk.event_opaque(event) is not NULL and self._try_again(err, now_ns):
                return
            if err == TG_RK_ERR_NO_OFFSET:  # there was nothing to commit
                return
            self.commit_err = err
            if err:
                snprintf(words, sizeof(words), b"offset commit: %s", self.rk.err2str(err))
                self.mailbox.put(NOTE_ERROR, err, 0, words)
        elif kind == TG_RK_EVENT_FETCH:
            # Every partition is forwarded before it is assigned. Were that ever untrue, going on would jump over
            # this message, so nothing more is read.
            self.mailbox.put(NOTE_FATAL, 0, 0, b"a message reached the consumer queue beside its lane")
            self.failed = True

    cdef void await_assignment(self, int64_t now_ns, bint afresh) noexcept nogil:
        """A wait for an assignment begins, by joining (`afresh`: anew, after a loss, as well) or by a revocation.

        Every answer to a join is an event, an empty one too; but with KIP-848 a member that joins and gets nothing
        hears nothing, so a silence says nothing there.
        """
        tg_store_i64(&self.awaiting_ns, 0 if afresh and self.silent else now_ns)

    # --- rebalances -------------------------------------------------------------------------------

    cdef void _rebalance(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil:
        cdef rd_kafka_topic_partition_list_t *list = self.rk.event_topic_partition_list(event)
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef bint lost
        cdef int i
        if self.rk.event_error(event) == TG_RK_ERR_ASSIGN_PARTITIONS:
            if self.assigning is not NULL:
                self.rk.topic_partition_list_destroy(self.assigning)
            self.assigning = self.rk.topic_partition_list_copy(list)
            self.asked, self.assign_after_ns, self.start.asked_ns = False, 0, 0
            tg_store_i64(&self.awaiting_ns, 0)
            if self.last_commit_until_ns:
                self._decline()
            return
        if self.assigning is not NULL:  # taken back before it began
            self.rk.topic_partition_list_destroy(self.assigning)
            self.assigning = NULL
        lost = self.rk.assignment_lost(self.client)
        self.await_assignment(now_ns, lost)
        self._note_list(NOTE_LOST if lost else NOTE_REVOKED, list)
        self.losses += lost
        self.revocations += not lost
        for i in range(list.cnt):
            slot = self._slot(list.elems[i].topic, list.elems[i].partition, &lane)
            if slot is not NULL:
                # From here on the dispatcher discards what is buffered; what is in flight may still settle.
                tg_store_i32(&slot.state, TG_SLOT_DEAD if lost else TG_SLOT_CLOSING)
        if self.revoking is not NULL:
            self.rk.topic_partition_list_destroy(self.revoking)
        self.revoking = self.rk.topic_partition_list_copy(list)
        self.revoke_until_ns = 0 if lost else now_ns + SETTLE_NS

    cdef bint changing(self) noexcept nogil:
        """An assignment or a revocation is under way."""
        return self.assigning is not NULL or self.revoking is not NULL

    cdef void _assign(self, int64_t now_ns) noexcept nogil:
        """Asks for the start offsets, and assigns when they are known; asks again a little later where it has to."""
        cdef rd_kafka_topic_partition_list_t *list = self.assigning
        if not self.asked:
            self.asked = True
            self.start.ask(list, now_ns)
        if not self.start.ready(now_ns):
            return
        if not self.start.resolve(list, now_ns):
            self.asked, self.assign_after_ns = False, now_ns + RETRY_NS
            return
        if not self._open(list, now_ns):
            self.mailbox.put(NOTE_FATAL, 0, 0, b"no memory for an assigned partition")
            self.failed = True
        self._adopt(list, True)
        self._resume_assigned(list, now_ns)
        self._note_list(NOTE_ASSIGNED, list)
        self.assignments += 1
        self.start.drop()
        self.rk.topic_partition_list_destroy(list)
        self.assigning = NULL
        self.changed_ns = now_ns
        self.sweep()  # starts that the group does not know are committed at once

    cdef bint _open(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil:
        """A slot and a forward for each partition."""
        cdef rd_kafka_topic_partition_t *part
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int i
        for i in range(list.cnt):
            part = &list.elems[i]
            lane = self.intake.lane_of(self.number, part.topic)
            if lane is NULL:
                return False
            slot = self.ledger.open(lane.number, part.partition, part.offset if part.offset >= 0 else -1)
            if slot is NULL or not self.intake.place(lane, part.partition, slot):
                return False
            slot.begin, slot.log = part.offset, lane.log_number
            if self.start.highs.elems[i].offset >= 0:
                tg_store_i64(&slot.log_end, self.start.highs.elems[i].offset)
                tg_store_i64(&lane.ends_ns, now_ns)
            if part.offset != self.start.committed(part.topic, part.partition):
                slot.stored, slot.anew = -1, 1
            else:
                lane.begun[part.partition] = lane.log_number + 1
            if self.find_ends:
                slot.target = self.start.ends.elems[i].offset if self.start.ends.elems[i].offset >= 0 else -2
            self._forward(lane, part.topic, part.partition)
        return True

    cdef bint _busy(self) noexcept nogil:
        """Whether a record of a revoked partition is on its way to the app or to the parking topic."""
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int i
        for i in range(self.revoking.cnt):
            slot = self._slot(self.revoking.elems[i].topic, self.revoking.elems[i].partition, &lane)
            if slot is not NULL and tg_load_u64(&slot.popped) + slot.parked != tg_load_u64(&slot.settled):
                return True
        return False

    cdef void _revoke(self, int64_t now_ns) noexcept nogil:
        """Stores the last acknowledgements, ends the slots and lets the partitions go."""
        cdef rd_kafka_topic_partition_list_t *list = self.revoking
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int i
        self.sweep()
        for i in range(list.cnt):
            slot = self._slot(list.elems[i].topic, list.elems[i].partition, &lane)
            if slot is not NULL:
                tg_store_i32(&slot.state, TG_SLOT_DEAD)
                lane.slots[list.elems[i].partition] = NULL
                self.intake.forget(lane, list.elems[i].partition, now_ns)
        self._adopt(list, False)
        self.rk.topic_partition_list_destroy(list)
        self.revoking = NULL
        self.changed_ns = now_ns

    # --- the end ----------------------------------------------------------------------------------

    cdef void begin_close(self, int64_t now_ns) noexcept nogil:
        """Commits and leaves the group; `closed` becomes true while the reader goes on serving."""
        if self.last_commit_until_ns == 0:
            self._decline()
            self._begin_end(now_ns)

    cdef void _decline(self) noexcept nogil:
        """Answers an assignment that nobody will read any more, or librdkafka would wait for the answer, and not close,
        for as long as the start offsets cannot be had."""
        cdef rd_kafka_topic_partition_list_t *nothing
        if self.assigning is NULL:
            return
        self.rk.topic_partition_list_destroy(self.assigning)
        self.assigning = NULL
        nothing = self.rk.topic_partition_list_new(0)
        self._adopt(nothing, True)
        self.rk.topic_partition_list_destroy(nothing)

    cdef void destroy(self) noexcept nogil:
        """Ends the client. Every message, list and lane queue of it must be gone, or librdkafka hangs."""
        cdef int i
        cdef tg_lane *lane
        if self.client is NULL:
            return
        if self.assigning is not NULL:
            self.rk.topic_partition_list_destroy(self.assigning)
            self.assigning = NULL
        if self.revoking is not NULL:
            self.rk.topic_partition_list_destroy(self.revoking)
            self.revoking = NULL
        self.start.destroy()
        self.log_ends.destroy()
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            if lane.handle == self.number and lane.queue is not NULL:
                self.rk.queue_destroy(lane.queue)
                lane.queue = NULL
        self.rk.queue_destroy(self.queue)
        self.rk.destroy(self.client)
        self.client = NULL
