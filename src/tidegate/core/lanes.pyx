"""Lanes: one per topic of a handle. Which slots its partitions have, what is in hand of it, and what holds it.

A lane is held for the reader's own safety (a full ring, a full span), or because the control ordered it; the first is
looked at first. Either way librdkafka's queue for it fills, and then it stops fetching by itself.
"""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset, strcmp

from tidegate.core.atomic cimport tg_load_i32, tg_load_i64, tg_store_i32, tg_store_i64
from tidegate.core.rdkafka cimport rdkafka

import time

from tidegate.types import LaneState

REASONS = ("flowing", "ring", "span", "parking", "halted", "ring", "span", "budget", "app-down", "operator")
assert len(REASONS) == TG_REASONS
ORDERS = {None: 0, "ring": TG_ORDERED_RING, "span": TG_ORDERED_SPAN, "budget": TG_ORDERED_BUDGET,
          "app-down": TG_ORDERED_APP_DOWN, "operator": TG_ORDERED_OPERATOR}


cdef class Lanes:
    """Used by the reader's thread only, but for `report` and `order`."""

    def __cinit__(self):
        self.lanes = <tg_lane **>calloc(4096, sizeof(tg_lane *))
        if self.lanes is NULL:
            raise MemoryError

    def __init__(self, Rings rings not None, Ledger ledger not None, RuleTable rules not None):
        cdef int i
        self.rings, self.ledger, self.rules = rings, ledger, rules
        self.rk = rdkafka()
        for i in range(TG_BUCKETS_OF_LANES):
            self.buckets[i].rate = -1
        self.buckets[TG_REPLAY].rate = 0  # until somebody says that it is calm

    def __dealloc__(self):
        cdef int i
        if self.lanes is not NULL:
            for i in range(self.lane_count):
                free(self.lanes[i].carry)
                free(self.lanes[i].slots)
                free(self.lanes[i].begun)
                free(self.lanes[i])
        free(self.lanes)

    # --- lanes ------------------------------------------------------------------------------------

    cdef tg_lane *lane_of(self, int handle, const char *topic) noexcept nogil:
        """The lane of a topic, made when it is first heard of. NULL: no memory, or too many topics."""
        cdef int i
        cdef tg_lane *lane
        for i in range(self.lane_count):
            lane = self.lanes[i]
            if lane.handle == handle and strcmp(self.ledger.lanes[lane.number].topic, topic) == 0:
                return lane
        with gil:  # once per topic: names and rules are Python's
            return self._new_lane(handle, topic.decode())

    cdef tg_lane *_new_lane(self, int handle, str topic) noexcept:
        cdef tg_lane *lane
        try:
            decided = self.rules.topic(topic)
            number = self.ledger.add_lane(topic)
        except Exception:
            return NULL
        lane = <tg_lane *>calloc(1, sizeof(tg_lane))
        if lane is NULL:
            return NULL
        lane.carry = <rd_kafka_message_t **>calloc(TG_CARRY + 1, sizeof(rd_kafka_message_t *))
        if lane.carry is NULL:
            free(lane)
            return NULL
        lane.number, lane.handle, lane.carry_max, lane.head_ms = number, handle, 16, -1
        lane.known = -1
        lane.read_ms = lane.reading_ms = -1
        lane.topic_class, lane.topic_rule = decided if decided is not None else (-1, -1)
        lane.bucket = lane.topic_class if lane.topic_class >= 0 and self.waits[lane.topic_class] else -1
        if topic == self.parking_topic:
            # What is in it was classified when it was parked.
            lane.parking, lane.topic_class, lane.topic_rule, lane.bucket = True, -1, -1, TG_REPLAY
        if lane.bucket < 0:
            lane.evictable = self.evictable if lane.topic_class < 0 else self.evictable & 1 << lane.topic_class
        self.lanes[self.lane_count] = lane
        self.lane_count += 1
        return lane

    cdef bint place(self, tg_lane *lane, int32_t partition, tg_slot *slot) noexcept nogil:
        """Says which slot the partition's messages belong to. False: no memory."""
        cdef tg_slot **grown
        cdef int32_t *begun
        cdef int32_t room
        if partition >= lane.slot_room:
            room = partition + 16
            grown = <tg_slot **>realloc(lane.slots, room * sizeof(tg_slot *))
            if grown is NULL:
                return False
            memset(grown + lane.slot_room, 0, (room - lane.slot_room) * sizeof(tg_slot *))
            lane.slots = grown
            begun = <int32_t *>realloc(lane.begun, room * sizeof(int32_t))
            if begun is NULL:
                return False
            memset(begun + lane.slot_room, 0, (room - lane.slot_room) * sizeof(int32_t))
            lane.begun, lane.slot_room = begun, room
        lane.slots[partition] = slot
        lane.reading_ms = -1
        tg_store_i64(&lane.read_ms, -1)
        return True

    cdef void forget(self, tg_lane *lane, int32_t partition, int64_t now_ns) noexcept nogil:
        """Drops what the carry holds of a partition: after a new assignment it would look like new records."""
        cdef uint32_t i, kept = lane.carry_at
        cdef rd_kafka_message_t *message
        for i in range(lane.carry_at, lane.carry_len):
            message = lane.carry[i]
            if message.partition == partition:
                self.rk.message_destroy(message)
                self.stale += 1
            else:
                lane.carry[kept] = message
                kept += 1
        lane.carry_len = kept
        # A hold, even a halt, is derived anew at the next read: its record may be among those that have gone.
        if lane.hold != TG_FLOWING:
            lane.held_ns[lane.hold] += now_ns - lane.hold_since_ns
            tg_store_i32(&lane.hold, TG_FLOWING)

    cdef void clear(self) noexcept nogil:
        """Destroys every message still in hand; librdkafka cannot be destroyed before."""
        cdef int i
        cdef tg_lane *lane
        for i in range(self.lane_count):
            lane = self.lanes[i]
            while lane.carry_at < lane.carry_len:
                self.rk.message_destroy(lane.carry[lane.carry_at])
                lane.carry_at += 1
            lane.carry_at = lane.carry_len = 0

    # --- holding ----------------------------------------------------------------------------------

    cdef void _hold(self, tg_lane *lane, int reason, int klass, int64_t now_ns) noexcept nogil:
        lane.hold_class = klass
        lane.hold_since_ns = now_ns
        if lane.hold == TG_FLOWING:
            lane.holds += 1
        tg_store_i32(&lane.hold, reason)

    cdef bint _may_overflow(self, const tg_lane *lane) noexcept nogil:
        """Whether what found its ring full may be parked instead. Never what was parked before."""
        return (not lane.parking and lane.bucket < 0 and tg_load_i32(&self.overflow) >> lane.hold_class & 1
                and self.producer.has_room(lane.hold_bytes))

    cdef bint released(self, tg_lane *lane, int64_t now_ns) noexcept nogil:
        """Whether the lane may be read; ends its hold where the reason has gone, or begins one that was ordered.

        What holds a lane for the reader's own safety stands over what the control ordered: it ends here, at once,
        and only then the order is looked at."""
        cdef rd_kafka_message_t *message
        cdef tg_slot *slot
        cdef int32_t order = tg_load_i32(&lane.order)
        cdef int32_t reason = order & TG_ORDER_REASON
        if reason == TG_FLOWING and (order & TG_ORDER_PAUSE or lane.paused):
            reason = TG_ORDERED_BUDGET
        if lane.hold == TG_HALTED:
            return False
        if lane.hold == TG_HELD_RING:
            if not self.rings.has_room(lane.hold_class, lane.hold_bytes) and not self._may_overflow(lane):
                return False
        elif lane.hold == TG_HELD_PARKING:
            if not self.producer.has_room(lane.hold_bytes):
                return False
        elif lane.hold == TG_HELD_SPAN and lane.carry_at < lane.carry_len:
            message = lane.carry[lane.carry_at]
            slot = lane.slots[message.partition]
            # Half a span of room, so that holding does not flicker; or nothing left to wait for.
            if slot is not NULL and slot.covered != slot.frontier and (
                    message.offset - slot.frontier > self.ledger.span // 2):
                return False
        if lane.hold != reason:
            if lane.hold != TG_FLOWING:
                lane.held_ns[lane.hold] += now_ns - lane.hold_since_ns
            if reason != TG_FLOWING:
                self._hold(lane, reason, lane.topic_class, now_ns)
            else:
                tg_store_i32(&lane.hold, TG_FLOWING)
        return reason == TG_FLOWING

    cdef int64_t allowed(self, tg_lane *lane, int64_t now_ns) noexcept nogil:
        """How many records may be read of the lane now, as far as its bucket goes.

        What was parked comes in runs: one by one it would stand between the others in the ring of its class, and a
        batch ends where its kind does."""
        cdef tg_bucket *bucket
        cdef int64_t rate
        cdef double burst, run
        if lane.bucket < 0:
            return TG_CARRY
        bucket = &self.buckets[lane.bucket]
        rate = tg_load_i64(&bucket.rate)
        if rate < 0:
            lane.throttled = 0
            return TG_CARRY
        burst = max(1.0, <double>rate / 1e6 * TG_BURST_MS) if rate else 0.0
        bucket.tokens = min(burst, bucket.tokens + <double>rate / 1e12 * <double>(now_ns - bucket.filled_ns))
        bucket.filled_ns = now_ns
        run = min(max(1.0, <double>rate / 1e6 * TG_RUN_MS), <double>TG_CARRY) if lane.bucket == TG_REPLAY else 1.0
        tg_store_i32(&lane.throttled, bucket.tokens < run)
        return <int64_t>min(bucket.tokens, <double>TG_CARRY) if bucket.tokens >= run else 0

    cdef void count_queued(self) noexcept nogil:
        """Looks how much librdkafka has fetched ahead for each lane, and notes how old what was read is."""
        cdef int i
        cdef tg_lane *lane
        for i in range(self.lane_count):
            lane = self.lanes[i]
            if lane.queue is not NULL:
                tg_store_i64(&lane.queued, <int64_t>self.rk.queue_length(lane.queue) + lane.carry_len - lane.carry_at)
            if lane.reading_ms >= 0:
                tg_store_i64(&lane.read_ms, lane.reading_ms)
                lane.reading_ms = -1

    # --- for the event loop -----------------------------------------------------------------------

    def report(self, int64_t now_ns) -> list:
        """A LaneState for each lane."""
        cdef int i, reason
        cdef int64_t head_ms, read_ms, queued, wall_ms = <int64_t>(time.time() * 1000)
        cdef double current
        cdef tg_lane *lane
        progress = self.ledger.progress()
        lanes = []
        for i in range(self.lane_count):
            lane = self.lanes[i]
            reason = tg_load_i32(&lane.hold)
            head_ms = tg_load_i64(&lane.head_ms)
            read_ms = tg_load_i64(&lane.read_ms)
            queued = tg_load_i64(&lane.queued)
            span, position, end, assignment, unreadable, polled = progress[lane.number]
            current = (now_ns - lane.paused_since_ns) / 1e9 if tg_load_i32(&lane.paused) else 0.0
            lanes.append(LaneState(
                self.ledger._lane_names[lane.number], REASONS[reason], lane.hold_class,
                max(0.0, (now_ns - lane.hold_since_ns) / 1e9) if reason else 0.0, lane.holds,
                (lane.held_ns[TG_HELD_RING] + lane.held_ns[TG_ORDERED_RING]) / 1e9,
                (lane.held_ns[TG_HELD_SPAN] + lane.held_ns[TG_ORDERED_SPAN]) / 1e9,
                lane.held_ns[TG_ORDERED_BUDGET] / 1e9,
                lane.held_ns[TG_ORDERED_APP_DOWN] / 1e9,
                lane.held_ns[TG_ORDERED_OPERATOR] / 1e9,
                TG_FLOWING < reason <= TG_HALTED,
                lane.topic_class,
                lane.paused != 0,
                lane.pauses,
                lane.paused_ns / 1e9 + max(0.0, current),
                lane.purged,
                queued,
                queued * (lane.mean_bytes + TG_QUEUED_BYTES),
                span,
                max(0, wall_ms - head_ms) / 1e3 if reason and head_ms >= 0 else 0.0,
                polled,
                position,
                end,
                tg_load_i64(&lane.ends_ns) / 1e9,
                assignment,
                head_ms / 1e3 if reason and head_ms >= 0 else read_ms / 1e3 if read_ms >= 0 else None,
                unreadable,
                lane.held_ns[TG_HELD_PARKING] / 1e9,
                lane.parking,
                tg_load_i32(&lane.throttled) != 0,
            ))
        return lanes

    def limit(self, int bucket, rate) -> None:
        """Records/s that the lanes of a class, or with TG_REPLAY the parking topic, may bring; see Reader.limit."""
        if not 0 <= bucket < TG_BUCKETS_OF_LANES:
            raise IndexError(f"there is no class {bucket}")
        tg_store_i64(&self.buckets[bucket].rate, -1 if rate is None else <int64_t>(min(max(rate, 0.0), 1e12) * 1e3))

    def order(self, int lane, reason, bint pause) -> None:
        """What the reader's thread is to do with a lane; see Reader.order."""
        if not 0 <= lane < self.lane_count:
            raise IndexError(f"there is no lane {lane}")
        tg_store_i32(&self.lanes[lane].order, ORDERS[reason] | (TG_ORDER_PAUSE if pause else 0))
