"""lanes.pyx and intake.pyx in Python: the way of a message into a ring. Each function names the one it mirrors.

Left out: rules (a record brings its class), headers, token buckets (replay is on or off), and notes to the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sim.admission import DELIVER, DROP, EXPIRED, HELD_PARKING, HELD_RING, HOLD, PARK, SAMPLED, Admission
from sim.checks import Checks, Slot
from sim.client import EOF, RESET, Client, Message
from sim.kafka import PARKING, Partition
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.ring import Rings

LIVE, CLOSING, DEAD, ORPHAN = 1, 2, 3, 4  # ledger.pxd
FLOWING, HELD_SPAN = 0, 2  # lanes.pxd
ORDERED_RING, ORDERED_SPAN, ORDERED_BUDGET, ORDERED_APP_DOWN = 5, 6, 7, 8


@dataclass(eq=False)
class Lane:
    number: int
    topic: str
    client: Client
    hold: int = FLOWING
    hold_class: int = 0
    hold_bytes: int = 0
    holds: int = 0
    resets: int = 0
    order: int = FLOWING  # the control's: one of ORDERED_*
    order_pause: bool = False
    paused: bool = False
    pauses: int = 0
    pause_after: float = 0.0
    slots: dict[int, Slot] = field(default_factory=dict)
    carry: deque[Message] = field(default_factory=deque)


class Intake(Admission):
    def __init__(
        self, rings: Rings, ledger: LedgerFace, clock: Callable[[], float], carry_max: int, mutant: str, checks: Checks
    ) -> None:
        super().__init__(rings, ledger, clock, mutant)
        self.carry_max, self.checks = carry_max, checks
        self.lanes: dict[str, Lane] = {}
        self.slots: dict[int, Slot] = {}  # by number: the newest with it
        self.lost = self.stale = 0

    def open(self, lane: Lane, partition: Partition, start: int) -> Slot:
        """Ledger.open."""
        slot = Slot(
            self.ledger.test_open(lane.number, partition.number, start), partition, start, self.checks, stored=start
        )
        self.slots[slot.number] = slot
        return slot

    def lane_of(self, client: Client, topic: str) -> Lane:
        """lane_of, _new_lane."""
        if topic not in self.lanes:
            self.lanes[topic] = Lane(self.ledger.add_lane(topic), topic, client)
        return self.lanes[topic]

    def slot_now(self, slot: Slot) -> Slot | None:
        """The slot that its partition has by now."""
        lane = self.lanes.get(slot.partition.topic)
        return None if lane is None else lane.slots.get(slot.partition.number)

    def state(self, slot: Slot) -> int:
        return self.ledger.test_slot(slot.number)["state"]

    def forget(self, lane: Lane, partition: int) -> None:
        """forget: drops what the carry holds of a partition."""
        if self.mutant == "hold-lost" and lane.hold:
            lane.carry.clear()  # planted: the hold ends with the rebalance, and what it held back is gone
        kept = [message for message in lane.carry if message.partition.number != partition]
        self.stale += len(lane.carry) - len(kept)
        lane.carry = deque(kept)
        lane.hold = FLOWING
        if self.mutant == "order-lost":
            lane.order, lane.order_pause = FLOWING, False  # planted: what was ordered ends with the rebalance as well

    # ── holding ─────────────────────────────────────────────────────────────────────────────────────────────────

    def released(self, lane: Lane) -> bool:
        """released: ends the hold where its reason has gone, or begins one that was ordered."""
        reason = lane.order
        if reason == FLOWING and (lane.order_pause or lane.paused):
            reason = ORDERED_BUDGET
        if lane.hold == HELD_RING:
            if not self.rings.test_room(lane.hold_class, lane.hold_bytes) and not self._may_overflow(lane):
                return False
        elif lane.hold == HELD_PARKING:
            if self.producer is not None and not self.producer.has_room():
                return False
        elif lane.hold == HELD_SPAN and lane.carry:
            message = lane.carry[0]
            slot = lane.slots.get(message.partition.number)
            if slot is not None:
                at = self.ledger.test_slot(slot.number)
                if at["covered"] != at["frontier"] and message.offset - at["frontier"] > self.ledger.span // 2:
                    return False
        if lane.hold != reason:
            if reason != FLOWING:
                self._hold(lane, reason, -1)
            else:
                lane.hold = FLOWING
        return reason == FLOWING

    def _may_overflow(self, lane: Lane) -> bool:
        """_may_overflow: what found its ring full may be parked instead; never what was parked before."""
        able = self.producer is not None and self.producer.has_room()
        return lane.topic != PARKING and lane.hold_class in self.overflow and able

    def look(self, lane: Lane) -> None:
        """look: takes one message, if there is none in hand, and deals with events on the way."""
        for _ in range(16):
            if not lane.carry:
                if lane.paused:
                    break
                lane.carry.extend(lane.client.consume(lane.topic, 1))
            if not lane.carry or not lane.carry[0].err:
                break
            self._trouble(lane, lane.carry[0])
            lane.carry.popleft()

    def shed(self, lane: Lane) -> None:
        """shed: reading the queue is what drops the messages that a pause has outdated."""
        room = self.carry_max + 1 - len(lane.carry)
        if room > 0:
            lane.carry.extend(lane.client.consume(lane.topic, room))

    # ── messages ────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, lane: Lane) -> int:
        """read, allowed: one batch from the lane's queue, or on with the carry."""
        if lane.topic == PARKING and not self.replaying:
            return 0
        if not lane.carry:
            lane.carry.extend(lane.client.consume(lane.topic, self.carry_max))
        done = 0
        while lane.carry and self._take(lane, lane.carry[0]):
            lane.carry.popleft()
            done += 1
        if done:
            self.rings.show()
        return done

    def _take(self, lane: Lane, message: Message) -> bool:
        """_take. False: the lane is held, and the message stays in the carry."""
        if message.err:
            self._trouble(lane, message)
            return True
        slot = lane.slots.get(message.partition.number)
        if slot is None or (at := self.ledger.test_slot(slot.number))["state"] != LIVE:
            self.stale += 1
            return True
        if message.offset < at["next"] or slot.reset_from >= 0:
            found = self._rewound(lane, slot, message.offset)
            if found is None:
                return True
            slot = found
        gap = self.ledger.test_skip(slot.number, message.offset)
        if gap is None:
            self._hold(lane, HELD_SPAN, 0)
            return False
        if self.mutant == "gap-jump" and gap:
            gap = message.offset - at["frontier"]  # planted: the missing offsets are taken from the frontier on
        if lane.topic == PARKING:
            return self.take_parked(lane, slot, gap, message)
        if self.expired(message):
            self.drop(slot, message, EXPIRED)
            return True
        action = self.decide(slot, message)
        if action == DROP:
            self.drop(slot, message, SAMPLED)
        elif action == PARK:
            action = self.park(lane, slot, message)
        if action == DELIVER:
            if self.lay(lane, slot, gap, message):
                return True
            if message.klass in self.overflow and self.producer is not None:
                lane.hold = FLOWING  # the record is looked at before the lane is held
                return self.park(lane, slot, message) == PARK
            return False
        return action != HOLD

    def _rewound(self, lane: Lane, old: Slot, offset: int) -> Slot | None:
        """_rewound: the first record after an offset reset, or one that was read before (None: drop it)."""
        if old.reset_from < 0:
            self.stale += 1
            return None
        position = self.ledger.test_slot(old.number)["next"]
        if offset >= position:
            self.lost += offset - position if position >= 0 else 0
            old.reset_from, old.resetting = -1, 0
            return old
        fresh = self.open(lane, old.partition, -1)
        fresh.anew = True
        lane.slots[old.partition.number] = fresh
        self.ledger.test_state(old.number, ORPHAN)
        return fresh

    def _trouble(self, lane: Lane, message: Message) -> None:
        """_trouble: events among the messages."""
        slot = lane.slots.get(message.partition.number)
        if slot is None or (at := self.ledger.test_slot(slot.number))["state"] != LIVE:
            return
        if message.err == EOF:
            if slot.reset_from >= 0:
                found = self._rewound(lane, slot, message.offset)
                if found is None:
                    return
                slot = found
            slot.end = message.offset
            self.ledger.test_end(slot.number, slot.end)
        elif message.err == RESET:
            lane.resets += 1
            if slot.reset_from < 0 and 0 <= message.offset < at["next"] and self.mutant != "old-reset":
                slot.resetting = 2
                return
            slot.reset_from = max(at["next"], 0)
            slot.resetting = 0
