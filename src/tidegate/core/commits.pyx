"""Commits: what was acknowledged goes to the group; the last of it before the client closes.

Rules proved for librdkafka that this file keeps: each element of a stored list is checked; offsets are stored by the
thread that reads only, monotone, for live slots only, and committed by hand only where a slot begins, and at the end.
"""

from tidegate.core.atomic cimport tg_load_i64
from tidegate.core.lanes cimport tg_lane
from tidegate.core.mailbox cimport NOTE_ERROR
from tidegate.core.rdkafka cimport (
    TG_RK_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    TG_RK_ERR_COORDINATOR_NOT_AVAILABLE,
    TG_RK_ERR_ILLEGAL_GENERATION,
    TG_RK_ERR_NOT_COORDINATOR,
    TG_RK_ERR_OK,
    TG_RK_ERR_REBALANCE_IN_PROGRESS,
    TG_RK_ERR_REQUEST_TIMED_OUT,
    TG_RK_ERR_STALE_MEMBER_EPOCH,
    TG_RK_ERR_TIMED_OUT,
    TG_RK_ERR_TRANSPORT,
    TG_RK_ERR_WAIT_COORD,
    rd_kafka_error_t,
    rd_kafka_topic_partition_list_t,
)
from tidegate.core.slots cimport TG_SLOT_CLOSING, TG_SLOT_LIVE, tg_slot

cdef enum:
    LAST_COMMIT_NS = 4000000000  # a rebalance or a fail-over at the end is waited for so long: a heartbeat and more
    COMMIT_AGAIN_NS = 50000000
    NOBODY_NS = 1000000000       # without any broker: a connection that was reset is there again before


cdef class Commits(Client):
    """A client's stored offsets, and its end."""

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
                self.ledger.catch_up(slot)
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

    cdef void _begin_end(self, int64_t now_ns) noexcept nogil:
        """From here on `_end` is to be called in every round."""
        self.last_commit_until_ns = now_ns + LAST_COMMIT_NS
        self.last_commit_ns = now_ns
        self.sweep()

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
        # The group is changing; the coordinator is; the connection was cut.
        if err in (TG_RK_ERR_ILLEGAL_GENERATION, TG_RK_ERR_REBALANCE_IN_PROGRESS, TG_RK_ERR_STALE_MEMBER_EPOCH,
                   TG_RK_ERR_COORDINATOR_LOAD_IN_PROGRESS, TG_RK_ERR_COORDINATOR_NOT_AVAILABLE,
                   TG_RK_ERR_NOT_COORDINATOR, TG_RK_ERR_REQUEST_TIMED_OUT,
                   TG_RK_ERR_TIMED_OUT, TG_RK_ERR_TRANSPORT, TG_RK_ERR_WAIT_COORD):
            if now_ns + COMMIT_AGAIN_NS < self.last_commit_until_ns:
                self.last_commit_ns = now_ns + COMMIT_AGAIN_NS
                return True
        self._close()
        return False

    cdef void _hurry(self, int64_t now_ns) noexcept nogil:
        """No broker is there: the last commit is tried for a moment only."""
        if self.last_commit_until_ns:
            self.last_commit_until_ns = min(self.last_commit_until_ns, now_ns + NOBODY_NS)

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
