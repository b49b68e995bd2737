"""Handle: one consumer of the group, its rebalances, its stored offsets and its end.

Rules proved for librdkafka that this file keeps: partition queues are forwarded to their lane before every assign
(a revoke clears the forward without a word); start offsets are explicit; a revocation waits for what is in flight, two
seconds at most, because librdkafka pauses every partition of the handle meanwhile; the last acknowledgements are
stored before unassign; a pause outlives a revocation, so it is taken back at every assignment; each element of a
stored list is checked; offsets are stored by this thread only, monotone, for live slots only, and committed by hand
only where a slot begins (sweep).
"""

from libc.stdio cimport snprintf
from libc.string cimport strcmp

from tidegate.core.atomic cimport tg_load_i64, tg_load_u64, tg_store_i32, tg_store_i64
from tidegate.core.ledger cimport TG_SLOT_CLOSING, TG_SLOT_DEAD, TG_SLOT_LIVE, TG_SLOT_ORPHAN
from tidegate.core.mailbox cimport (
    NOTE_ASSIGNED,
    NOTE_ERROR,
    NOTE_FATAL,
    NOTE_LOG,
    NOTE_LOST,
    NOTE_RESET,
    NOTE_REVOKED,
    TG_NOTE_TEXT,
)
from tidegate.core.rdkafka cimport (
    TG_RK_CONF_OK,
    TG_RK_CONSUMER,
    TG_RK_ERR_ASSIGN_PARTITIONS,
    TG_RK_ERR_ILLEGAL_GENERATION,
    TG_RK_ERR_NO_OFFSET,
    TG_RK_ERR_OK,
    TG_RK_ERR_REBALANCE_IN_PROGRESS,
    TG_RK_ERR_STALE_MEMBER_EPOCH,
    TG_RK_EVENT_ERROR,
    TG_RK_EVENT_FETCH,
    TG_RK_EVENT_LOG,
    TG_RK_EVENT_OFFSET_COMMIT,
    TG_RK_EVENT_REBALANCE,
    TG_RK_OFFSET_BEGINNING,
    rd_kafka_conf_t,
    rd_kafka_error_t,
    rd_kafka_topic_partition_t,
    rdkafka,
)
from tidegate.core.start cimport Start

from tidegate.errors import BrokerError, ConfigError, KafkaClientError

cdef enum:
    SETTLE_NS = 2000000000       # a revocation waits so long for in-flight work
    RETRY_NS = 200000000
    LAST_COMMIT_NS = 4000000000  # a rebalance that is under way at the end is waited for so long: a heartbeat and more
    COMMIT_AGAIN_NS = 50000000
    LOOK_MS = 2000               # topics made anew are noticed at least so often


cdef class Handle:
    """One librdkafka consumer.

    Args:
        properties: librdkafka configuration, complete.
        topics: names and regular expressions (starting with ``^``).
        start: ``"earliest"`` or ``"latest"``: where to begin in a topic that is new to the group.
        find_ends: note each partition's end at assignment (for --until-end).

    Raises:
        ConfigError: librdkafka refuses a property.
        BrokerError: the client cannot be created or cannot subscribe.
    """

    def __init__(self, int number, dict properties, topics, Intake intake not None, Mailbox mailbox not None, *,
                 str start, bint find_ends, int wake_fd):
        cdef rd_kafka_conf_t *conf
        cdef rd_kafka_topic_partition_list_t *subscription
        cdef char words[512]
        cdef int32_t err
        self.rk = rdkafka()
        self.number, self.intake, self.ledger, self.mailbox = number, intake, intake.ledger, mailbox
        self.find_ends, self.wake_fd = find_ends, wake_fd
        self.silent = properties.get("group.protocol") == "consumer"
        self.start = Start(intake, mailbox, number, start=start, find_ends=find_ends)
        self.look_every_ns = min(LOOK_MS, int(properties.get("topic.metadata.refresh.interval.ms", LOOK_MS))) * 1000000
        conf = self.rk.conf_new()
        for name, value in properties.items():
            if self.rk.conf_set(conf, name.encode(), str(value).encode(), words, sizeof(words)) != TG_RK_CONF_OK:
                self.rk.conf_destroy(conf)
                raise ConfigError(f"Kafka property {name}: {words.decode('utf-8', 'replace')}")
        self.rk.conf_set_events(conf, TG_RK_EVENT_REBALANCE | TG_RK_EVENT_ERROR | TG_RK_EVENT_LOG
                                | TG_RK_EVENT_OFFSET_COMMIT)
        self.client = self.rk.new_(TG_RK_CONSUMER, conf, words, sizeof(words))
        if self.client is NULL:
            self.rk.conf_destroy(conf)
            raise KafkaClientError(words.decode("utf-8", "replace"))
        self.rk.poll_set_consumer(self.client)
        self.queue = self.rk.queue_get_consumer(self.client)
        self.rk.set_log_queue(self.client, self.queue)
        self.rk.queue_io_event_enable(self.queue, wake_fd, b"\1\0\0\0\0\0\0\0", 8)
        subscription = self.rk.topic_partition_list_new(len(topics))
        for topic in topics:
            self.rk.topic_partition_list_add(subscription, topic.encode(), -1)
        self.start.attach(self.client, wake_fd, subscription)
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
        if self.assigning is not NULL and now_ns >= self.assign_after_ns:
            self._assign(now_ns)
        if self.revoking is not NULL and (now_ns >= self.revoke_until_ns or not self._busy()):
            self._revoke(now_ns)
        if self.revoking is NULL and self.assigning is NULL:
            self._repair(now_ns)
            if now_ns >= self.look_after_ns and not self.last_commit_until_ns:
                self.look_after_ns = now_ns + self.look_every_ns
                self.start.look()
        if self.closing:
            self.closed = self.closed or self.rk.consumer_closed(self.client)
        elif self.last_commit_until_ns:
            self._end(now_ns)

    cdef void _event(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil:
        cdef int32_t kind = self.rk.event_type(event)
        cdef const char *facility
        cdef const char *text
        cdef int level
        cdef int32_t err
        cdef char words[TG_NOTE_TEXT]
        if kind == TG_RK_EVENT_REBALANCE:
            self._rebalance(event, now_ns)
        elif kind == TG_RK_EVENT_LOG:
            if self.rk.event_log(event, &facility, &text, &level) == 0:
                snprintf(words, sizeof(words), b"%s: %s", facility, text)
                self.mailbox.put(NOTE_LOG, level, 0, words)
        elif kind == TG_RK_EVENT_ERROR:
            if self.rk.event_error_is_fatal(event):
                self.rk.fatal_error(self.client, words, sizeof(words))
                self.mailbox.put(NOTE_FATAL, self.rk.event_error(event), 0, words)
                self.failed = True
            else:
                self.mailbox.put(NOTE_ERROR, self.rk.event_error(event), 0, self.rk.event_error_string(event))
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

    cdef void _note_list(self, int kind, rd_kafka_topic_partition_list_t *list) noexcept nogil:
        """Says which partitions, as far as a note has room."""
        cdef char words[TG_NOTE_TEXT]
        cdef int at = 0, i
        words[0] = 0
        for i in range(list.cnt):
            if i and strcmp(list.elems[i].topic, list.elems[i - 1].topic) == 0:
                at += snprintf(words + at, sizeof(words) - at, b",%d", list.elems[i].partition)
            else:
                at += snprintf(words + at, sizeof(words) - at, b" %s/%d" if i else b"%s/%d", list.elems[i].topic,
                               list.elems[i].partition)
            if at >= <int>sizeof(words) - 16:
                break
        self.mailbox.put(kind, list.cnt, 0, words)

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
            self.asked, self.assign_after_ns = False, 0
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

    cdef tg_slot *_slot(self, const char *topic, int32_t partition, tg_lane **lane) noexcept nogil:
        """The slot that a partition of this handle has now, and its lane; NULL: none."""
        cdef int i
        lane[0] = NULL
        for i in range(self.intake.lane_count):
            lane[0] = self.intake.lanes[i]
            if lane[0].handle == self.number and strcmp(self.ledger.lanes[lane[0].number].topic, topic) == 0:
                return lane[0].slots[partition] if partition < lane[0].slot_room else NULL
        return NULL

    cdef bint changing(self) noexcept nogil:
        """An assignment or a revocation is under way."""
        return self.assigning is not NULL or self.revoking is not NULL

    cdef bint _incremental(self) noexcept nogil:
        return strcmp(self.rk.rebalance_protocol(self.client), b"COOPERATIVE") == 0

    cdef void _adopt(self, rd_kafka_topic_partition_list_t *list, bint add) noexcept nogil:
        """Tells librdkafka, in the manner of its rebalance protocol."""
        cdef rd_kafka_error_t *error = NULL
        cdef int32_t err = 0
        if self._incremental():
            error = self.rk.incremental_assign(self.client, list) if add else (
                self.rk.incremental_unassign(self.client, list))
            if error is not NULL:
                self.mailbox.put(NOTE_ERROR, 0, 0, self.rk.error_string(error))
                self.rk.error_destroy(error)
        else:
            err = self.rk.assign(self.client, list if add else NULL)
            if err:
                self.mailbox.put(NOTE_ERROR, err, 0, self.rk.err2str(err))

    cdef void _forward(self, tg_lane *lane, const char *topic, int32_t partition) noexcept nogil:
        cdef rd_kafka_queue_t *queue = self.rk.queue_get_partition(self.client, topic, partition)
        if lane.queue is NULL:
            lane.queue = self.rk.queue_new(self.client)
            self.rk.queue_io_event_enable(lane.queue, self.wake_fd, b"\1\0\0\0\0\0\0\0", 8)
        self.rk.queue_forward(queue, lane.queue)
        self.rk.queue_destroy(queue)

    cdef void _assign(self, int64_t now_ns) noexcept nogil:
        """Asks for the start offsets, and assigns when they are known; asks again a little later where it has to."""
        cdef rd_kafka_topic_partition_list_t *list = self.assigning
        if not self.asked:
            self.asked = True
            self.start.ask(list)
        if not self.start.ready(now_ns):
            return
        if not self.start.resolve(list, now_ns):
            self.asked, self.assign_after_ns = False, now_ns + RETRY_NS
            return
        if not self._open(list):
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

    cdef bint _open(self, rd_kafka_topic_partition_list_t *list) noexcept nogil:
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
            if part.offset != self.start.committed(part.topic, part.partition):
                slot.stored, slot.anew = -1, 1
            else:
                lane.begun[part.partition] = lane.log_number + 1
            if self.find_ends:
                slot.target = self.start.ends.elems[i].offset if self.start.ends.elems[i].offset >= 0 else -2
            self._forward(lane, part.topic, part.partition)
        return True

    cdef bint _busy(self) noexcept nogil:
        """Whether a record of a revoked partition is on its way to the app."""
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int i
        for i in range(self.revoking.cnt):
            slot = self._slot(self.revoking.elems[i].topic, self.revoking.elems[i].partition, &lane)
            if slot is not NULL and tg_load_u64(&slot.popped) != tg_load_u64(&slot.settled):
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

    cdef void _repair(self, int64_t now_ns) noexcept nogil:
        """Partitions whose position was out of range, or whose log was replaced, start again at what Kafka has."""
        cdef rd_kafka_topic_partition_list_t *list
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int i, p
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            if lane.handle != self.number or (lane.resets == 0 and not lane.replaced):
                continue
            list = self.rk.topic_partition_list_new(4)
            for p in range(lane.slot_room):
                slot = lane.slots[p]
                if slot is NULL:
                    continue
                if slot.log != lane.log_number:
                    if not self._replace(lane, slot):
                        continue
                elif slot.resetting == 2 or (slot.reset_from >= 0 and slot.resetting == 0):
                    slot.resetting = 1 if slot.reset_from >= 0 else 0
                else:
                    continue
                self.rk.topic_partition_list_add(list, self.ledger.lanes[lane.number].topic, p)
            lane.resets, lane.replaced = 0, False
            if list.cnt:
                self._again(list, now_ns)
                self.sweep()  # librdkafka commits what was stored of the old log when its partitions leave
            self.rk.topic_partition_list_destroy(list)

    cdef bint _replace(self, tg_lane *lane, tg_slot *slot) noexcept nogil:
        """A slot of the new log takes the old one's place. librdkafka goes on at the old position, and notices nothing
        where the new log is longer."""
        cdef tg_slot *fresh = self.ledger.open(lane.number, slot.partition, 0)
        cdef char words[TG_NOTE_TEXT]
        if fresh is NULL:
            self.mailbox.put(NOTE_FATAL, 0, 0, b"no memory for a partition whose log was replaced")
            self.failed = True
            return False
        fresh.target, fresh.stored, fresh.anew, fresh.log = slot.target, -1, 1, lane.log_number
        snprintf(words, sizeof(words), b"%s/%d: the log was replaced, position %lld is void; starts at 0",
                 self.ledger.lanes[lane.number].topic, slot.partition, <long long>slot.next)
        self.mailbox.put(NOTE_RESET, slot.partition, 0, words)
        tg_store_i32(&slot.state, TG_SLOT_ORPHAN)
        return self.intake.place(lane, fresh.partition, fresh)

    cdef void _again(self, rd_kafka_topic_partition_list_t *broken, int64_t now_ns) noexcept nogil:
        """Partitions leave the assignment and join it, at their position or their log's start: a seek cannot mend
        this (_STATE). An eager protocol knows whole assignments only: what is well must be part of it, or falls silent.
        """
        cdef rd_kafka_topic_partition_list_t *list = broken if self._incremental() else self._owned()
        cdef rd_kafka_topic_partition_list_t *now
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int i
        self._adopt(list, False)
        # librdkafka's thread clears the forward when it comes to the order to stop, some time after the call above
        # returned. An answer to a later question says that it has: forwarding before would leave the partition silent
        # for good.
        if self.rk.assignment(self.client, &now) == TG_RK_ERR_OK:
            self.rk.topic_partition_list_destroy(now)
        for i in range(list.cnt):
            slot = self._slot(list.elems[i].topic, list.elems[i].partition, &lane)
            list.elems[i].offset = (TG_RK_OFFSET_BEGINNING if slot.reset_from >= 0
                                    else slot.next if slot.next >= 0 else slot.begin)
            list.elems[i].err = 0
            self.intake.forget(lane, list.elems[i].partition, now_ns)
            self._forward(lane, list.elems[i].topic, list.elems[i].partition)
        self._adopt(list, True)
        if list is not broken:
            self.rk.topic_partition_list_destroy(list)

    cdef rd_kafka_topic_partition_list_t *_owned(self) noexcept nogil:
        """Every partition that this handle has. The caller frees the list."""
        cdef rd_kafka_topic_partition_list_t *list = self.rk.topic_partition_list_new(16)
        cdef tg_lane *lane
        cdef int i, p
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            for p in range(lane.slot_room if lane.handle == self.number else 0):
                if lane.slots[p] is not NULL:
                    self.rk.topic_partition_list_add(list, self.ledger.lanes[lane.number].topic, p)
        return list

    # --- pausing ----------------------------------------------------------------------------------

    cdef void pause(self, tg_lane *lane, bint on, int64_t now_ns) noexcept nogil:
        """Pauses or resumes every partition of a lane. `lane.paused` says what came of it.

        Only here, in the thread that reads: librdkafka goes back to what was last handed out, and a read in between
        would make that too early or too late. What stands in the carry was handed out, and stays."""
        cdef rd_kafka_topic_partition_list_t *list = self.rk.topic_partition_list_new(16)
        cdef int32_t err = 0
        cdef int p, list_cnt
        cdef size_t before
        if lane.slots is not NULL:
            for p in range(lane.slot_room):
                if lane.slots[p] is not NULL:
                    self.rk.topic_partition_list_add(list, self.ledger.lanes[lane.number].topic, p)
        list_cnt = list.cnt
        if list_cnt:
            if on:
                before = self.rk.queue_length(lane.queue)
                err = self.rk.pause_partitions(self.client, list)
                self.intake.shed(lane)
                lane.purged += before - min(before, self.rk.queue_length(lane.queue))
            else:
                err = self.rk.resume_partitions(self.client, list)
            for p in range(list.cnt):
                err = err if err else list.elems[p].err
        self.rk.topic_partition_list_destroy(list)
        if err:
            self.mailbox.put(NOTE_ERROR, err, 0, self.rk.err2str(err))
        if on and not list_cnt or err and not on:  # a partition that stayed paused would be silent for good
            lane.pause_after_ns = now_ns + RETRY_NS
            if not on and not lane.paused:  # it came back paused: see _resume_assigned
                lane.paused_since_ns = now_ns
                tg_store_i32(&lane.paused, 1)
            return
        if on:
            lane.pauses += 1
            lane.paused_since_ns = now_ns
        elif lane.paused:
            lane.paused_ns += now_ns - lane.paused_since_ns
        tg_store_i32(&lane.paused, on)

    cdef void _resume_assigned(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil:
        """A partition that was paused when it was taken away comes back paused, without a word. All of its lane is
        resumed, and paused anew in the next round if the order still stands."""
        cdef tg_lane *lane = NULL
        cdef tg_lane *last = NULL
        cdef int i
        for i in range(list.cnt):
            self._slot(list.elems[i].topic, list.elems[i].partition, &lane)
            if lane is not NULL and lane is not last and lane.pauses:
                self.pause(lane, False, now_ns)
            last = lane

    # --- offsets ----------------------------------------------------------------------------------

    cdef void sweep(self) noexcept nogil:
        """Gives librdkafka the frontiers that moved; its auto-commit takes them to the group.

        A slot that begins elsewhere than the group has committed is committed once by order, while its partition is
        ours and by this thread: librdkafka keeps the highest offset that it committed, and would let a log that was
        replaced wait until it is as long as the old one; and a start at the end is nowhere until it is committed."""
        cdef rd_kafka_topic_partition_list_t *list = NULL
        cdef rd_kafka_topic_partition_list_t *anew = NULL
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int64_t frontier
        cdef int i, p
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            if lane.handle != self.number:
                continue
            for p in range(lane.slot_room):
                slot = lane.slots[p]
                if slot is NULL or slot.state not in (TG_SLOT_LIVE, TG_SLOT_CLOSING) or slot.log != lane.log_number:
                    continue
                if slot.state == TG_SLOT_LIVE:
                    self.ledger.sweep_end(slot)
                frontier = tg_load_i64(&slot.frontier)
                if frontier > slot.stored:
                    if list is NULL:
                        list = self.rk.topic_partition_list_new(16)
                    self.rk.topic_partition_list_add(
                        list, self.ledger.lanes[lane.number].topic, p).offset = frontier
                if slot.anew == 1 and frontier >= 0:
                    slot.anew = 2
                    if anew is NULL:
                        anew = self.rk.topic_partition_list_new(16)
                    self.rk.topic_partition_list_add(
                        anew, self.ledger.lanes[lane.number].topic, p).offset = frontier
        if list is not NULL:
            self.rk.offsets_store(self.client, list)  # the overall answer hides single failures
            for i in range(list.cnt):
                slot = self._slot(list.elems[i].topic, list.elems[i].partition, &lane)
                if slot is not NULL and list.elems[i].err == TG_RK_ERR_OK:
                    slot.stored = list.elems[i].offset
            self.rk.topic_partition_list_destroy(list)
        if anew is not NULL:
            self.rk.commit_queue(self.client, anew, self.queue, NULL, NULL)
            self.rk.topic_partition_list_destroy(anew)

    cdef void _answered(self, rd_kafka_event_t *event) noexcept nogil:
        """A commit was answered. Starts among it that failed are committed again with the next sweep."""
        cdef rd_kafka_topic_partition_list_t *list = self.rk.event_topic_partition_list(event)
        cdef int32_t err = self.rk.event_error(event)
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int i
        for i in range(list.cnt if list is not NULL else 0):
            slot = self._slot(list.elems[i].topic, list.elems[i].partition, &lane)
            if slot is not NULL and slot.anew == 2:
                slot.anew = 1 if err or list.elems[i].err else 0
                if slot.anew == 0:
                    lane.begun[slot.partition] = slot.log + 1

    # --- the end ----------------------------------------------------------------------------------

    cdef void begin_close(self, int64_t now_ns) noexcept nogil:
        """Commits and leaves the group; `closed` becomes true while the reader goes on serving."""
        if self.last_commit_until_ns == 0:
            self.last_commit_until_ns = now_ns + LAST_COMMIT_NS
            self.last_commit_ns = now_ns
            self._decline()
            self.sweep()

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

    cdef void _end(self, int64_t now_ns) noexcept nogil:
        """The last commit, tried until Kafka takes it; then the close.

        librdkafka commits at the close as well, once. With the classic protocol a join may be under way: Kafka answers
        what comes behind it on the connection when the join is over, so the commit carries the generation before and
        is refused, and a member that closes takes no new one.
        """
        if now_ns >= self.last_commit_until_ns:
            self._close()
        elif self.last_commit_ns and now_ns >= self.last_commit_ns:
            self.last_commit_ns = 0  # until it is answered
            self.rk.commit_queue(self.client, NULL, self.queue, NULL, self.client)

    cdef bint _try_again(self, int32_t err, int64_t now_ns) noexcept nogil:
        """What became of the last commit: whether it is worth another try. If not, the handle closes."""
        if err in (TG_RK_ERR_ILLEGAL_GENERATION, TG_RK_ERR_REBALANCE_IN_PROGRESS, TG_RK_ERR_STALE_MEMBER_EPOCH):
            if now_ns + COMMIT_AGAIN_NS < self.last_commit_until_ns:
                self.last_commit_ns = now_ns + COMMIT_AGAIN_NS
                return True
        self._close()
        return False

    cdef void _close(self) noexcept nogil:
        cdef rd_kafka_error_t *error
        if self.closing:
            return
        self.closing = True
        error = self.rk.consumer_close_queue(self.client, self.queue)
        if error is not NULL:
            self.mailbox.put(NOTE_ERROR, 0, 0, self.rk.error_string(error))
            self.rk.error_destroy(error)
            self.closed = True

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
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            if lane.handle == self.number and lane.queue is not NULL:
                self.rk.queue_destroy(lane.queue)
                lane.queue = NULL
        self.rk.queue_destroy(self.queue)
        self.rk.destroy(self.client)
        self.client = NULL
