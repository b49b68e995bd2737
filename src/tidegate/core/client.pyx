"""Client: a librdkafka consumer, and what is done to its partitions wherever they come from.

Rules proved for librdkafka that this file keeps: an eager rebalance protocol knows whole assignments only; partition
queues are forwarded to their lane, so that a lane can be left unread without the others; pausing belongs to the thread
that reads.
"""

from libc.stdio cimport snprintf
from libc.string cimport strcmp

from tidegate.core.atomic cimport tg_store_i32
from tidegate.core.mailbox cimport NOTE_ERROR, TG_NOTE_TEXT
from tidegate.core.rdkafka cimport (
    TG_RK_CONSUMER,
    TG_RK_EVENT_ERROR,
    TG_RK_EVENT_LOG,
    TG_RK_EVENT_OFFSET_COMMIT,
    TG_RK_EVENT_REBALANCE,
    new_client,
    rd_kafka_error_t,
    rd_kafka_queue_t,
    rdkafka,
)


cdef class Client:
    """One librdkafka consumer, not yet subscribed.

    Args:
        properties: librdkafka configuration, complete.
        wake_fd: written to when its queues have something.

    Raises:
        ConfigError: librdkafka refuses a property.
        KafkaClientError: the client cannot be created.
    """

    def __init__(self, int number, dict properties, Intake intake not None, Mailbox mailbox not None, int wake_fd):
        self.rk = rdkafka()
        self.number, self.intake, self.ledger, self.mailbox = number, intake, intake.ledger, mailbox
        self.wake_fd = wake_fd
        self.servers = str(properties.get("bootstrap.servers", "")).encode()
        self.servers_text = self.servers
        self.client = new_client(TG_RK_CONSUMER, properties, TG_RK_EVENT_REBALANCE | TG_RK_EVENT_ERROR
                                 | TG_RK_EVENT_LOG | TG_RK_EVENT_OFFSET_COMMIT)
        self.rk.poll_set_consumer(self.client)
        self.queue = self.rk.queue_get_consumer(self.client)
        self.rk.set_log_queue(self.client, self.queue)
        self.rk.queue_io_event_enable(self.queue, wake_fd, b"\1\0\0\0\0\0\0\0", 8)

    cdef void find_brokers(self) noexcept nogil:
        """Makes bootstrap.servers known to librdkafka once more.

        It drops each broker that a metadata response does not name, and begins anew with these when none is left; but
        where the connection to the last one ends in that very moment, it does not, and knows nobody for good (2.16,
        docs/adr/0014). To one that has brokers this does nothing: it drops them again with the next response."""
        self.rk.brokers_add(self.client, self.servers_text)

    # --- its partitions ---------------------------------------------------------------------------

    cdef tg_slot *_slot(self, const char *topic, int32_t partition, tg_lane **lane) noexcept nogil:
        """The slot that a partition of this handle has now, and its lane; NULL: none."""
        cdef int i
        lane[0] = NULL
        for i in range(self.intake.lane_count):
            lane[0] = self.intake.lanes[i]
            if lane[0].handle == self.number and strcmp(self.ledger.lanes[lane[0].number].topic, topic) == 0:
                return lane[0].slots[partition] if partition < lane[0].slot_room else NULL
        return NULL

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
