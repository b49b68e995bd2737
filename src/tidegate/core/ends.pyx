"""Ends: where the logs of lanes end, while somebody has to know.

What holding keeps from the reader must still be seen coming, so the ends of lanes that are held, read or behind are
asked for each second. Of a lane that is free to be read, and brought nothing, they are where they were, and nobody is
asked. The parking topic is shut most of the time, so that it brought nothing says little; but what this process parks
is known here, and only records of other replicas can come to it unseen. They may be seen a little later: an idle
process is to cost nothing.
"""

from libc.string cimport strcmp

from tidegate.core.atomic cimport tg_load_i32, tg_store_i64
from tidegate.core.questions cimport ask_offsets
from tidegate.core.rdkafka cimport (
    TG_RK_ERR_OK,
    TG_RK_EVENT_LISTOFFSETS_RESULT,
    TG_RK_OFFSET_END,
    TG_RK_READ_COMMITTED,
    rd_kafka_ListOffsetsResultInfo_t,
    rd_kafka_topic_partition_list_t,
    rd_kafka_topic_partition_t,
    rdkafka,
)
from tidegate.core.slots cimport TG_SLOT_LIVE, tg_slot

cdef enum:
    LOOK_NS = 1000000000         # what comes into held lanes is seen so often
    LOOK_PARKED_NS = 5000000000  # and so often what other replicas park, while nothing waits in the parking topic


cdef class Ends:
    """The watch of one handle. Used by the reader's thread."""

    def __init__(self, Intake intake not None, int handle):
        self.rk = rdkafka()
        self.intake, self.handle = intake, handle

    cdef void attach(self, rd_kafka_t *client, int wake_fd) noexcept nogil:
        """Whom to ask, and what to wake when an answer is there."""
        self.client = client
        self.answers = self.rk.queue_new(client)
        self.rk.queue_io_event_enable(self.answers, wake_fd, b"\1\0\0\0\0\0\0\0", 8)

    cdef void destroy(self) noexcept nogil:
        """Before the client is."""
        if self.answers is not NULL:
            self.rk.queue_destroy(self.answers)
            self.answers = NULL

    cdef void look(self, int64_t now_ns) noexcept nogil:
        """Asks, where it is time, where the logs end of the lanes of which somebody has to know."""
        cdef rd_kafka_topic_partition_list_t *asked
        cdef tg_lane *lane
        cdef int i, p
        if now_ns < self.look_after_ns or self.asking:
            return
        self.look_after_ns = now_ns + LOOK_NS
        asked = self.rk.topic_partition_list_new(16)
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            if lane.handle != self.handle:
                continue
            if not self._wanted(lane, now_ns):
                if lane.ends_ns and not lane.parking:
                    tg_store_i64(&lane.ends_ns, now_ns)
                continue
            lane.stirred = False
            for p in range(lane.slot_room):
                if lane.slots[p] is not NULL and lane.slots[p].state == TG_SLOT_LIVE:
                    self.rk.topic_partition_list_add(
                        asked, self.intake.ledger.lanes[lane.number].topic, p).offset = TG_RK_OFFSET_END
        if asked.cnt:
            ask_offsets(self.rk, self.client, self.answers, asked, 0, TG_RK_READ_COMMITTED)
            self.asking = True
        self.rk.topic_partition_list_destroy(asked)

    cdef bint _wanted(self, tg_lane *lane, int64_t now_ns) noexcept nogil:
        cdef uint64_t ended
        if not lane.parking:
            return (lane.stirred or lane.hold or lane.paused or lane.throttled or tg_load_i32(&lane.order)
                    or self._waits(lane))
        ended = self.intake.ledger.parked_ended()
        # Equal: whatever this process has parked had its offset when the end was asked for last.
        if (lane.stirred or self.intake.ledger.parked_begun() != self.parked_before or now_ns >= self.look_parked_ns
                or self._waits(lane)):
            self.parked_before, self.look_parked_ns = ended, now_ns + LOOK_PARKED_NS
            return True
        return False

    cdef bint _waits(self, tg_lane *lane) noexcept nogil:
        """Whether there is something that was not read yet, or nobody knows."""
        cdef tg_slot *slot
        cdef int p
        for p in range(lane.slot_room):
            slot = lane.slots[p]
            if slot is not NULL and slot.state == TG_SLOT_LIVE and (slot.log_end < 0 or slot.log_end > slot.next):
                return True
        return False

    cdef void serve(self, int64_t now_ns) noexcept nogil:
        """Takes the answer, where one is there. Called in every round of the reader."""
        cdef rd_kafka_event_t *event
        if not self.asking:
            return
        event = self.rk.queue_poll(self.answers, 0)
        if event is NULL:
            return
        self.asking = False
        self._take(event, now_ns)
        self.rk.event_destroy(event)

    cdef void _take(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil:
        """Where the logs end. Of the moment of the answer: what was asked may have waited behind a fetch."""
        cdef const rd_kafka_ListOffsetsResultInfo_t **found
        cdef const rd_kafka_topic_partition_t *one
        cdef tg_lane *lane = NULL
        cdef tg_slot *slot
        cdef size_t count = 0, i
        if self.rk.event_error(event) or self.rk.event_type(event) != TG_RK_EVENT_LISTOFFSETS_RESULT:
            return
        found = self.rk.ListOffsets_result_infos(self.rk.event_ListOffsets_result(event), &count)
        for i in range(count):
            one = self.rk.ListOffsetsResultInfo_topic_partition(found[i])
            if one.err != TG_RK_ERR_OK or one.offset < 0:
                continue
            if lane is NULL or strcmp(self.intake.ledger.lanes[lane.number].topic, one.topic) != 0:
                lane = self.intake.lane_of(self.handle, one.topic)
                if lane is NULL:
                    return
            slot = lane.slots[one.partition] if one.partition < lane.slot_room else NULL
            if slot is not NULL and slot.log == lane.log_number:
                tg_store_i64(&slot.log_end, one.offset)
                tg_store_i64(&lane.ends_ns, now_ns)
