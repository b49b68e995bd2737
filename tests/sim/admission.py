"""admission.pyx in Python: records that do not simply go into their ring. Functions name what they mirror.

Left out: headers, what is known of a record's sampling, and the shares of types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.checks import Slot
from sim.client import Message
from sim.producer import FULL, Producer
from tidegate.core.extra import Extra
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.ring import Rings

if TYPE_CHECKING:
    from sim.intake import Lane

BULK = 3
DELIVER, PARK, DROP, HOLD = "deliver", "park", "drop", "hold"
SAMPLED, EXPIRED = 2, 3  # ledger.pxd
HELD_RING, HELD_PARKING = 1, 3  # lanes.pxd


class Admission:
    def __init__(self, rings: Rings, ledger: LedgerFace, clock: Callable[[], float], mutant: str) -> None:
        self.rings, self.ledger, self.clock, self.mutant = rings, ledger, clock, mutant
        self.producer: Producer | None = None
        self.ttl = 0.0  # seconds; 0: nothing expires
        self.orders: dict[int, tuple[float, str]] = {}  # by class: the share that is let in, and PARK or DROP
        self.overflow: frozenset[int] = frozenset()  # classes that are parked where their ring is full
        self.replaying = False  # the bucket of the parking topic is open
        self.polled = [0, 0, 0, 0]
        self.dropped = {SAMPLED: [0, 0, 0, 0], EXPIRED: [0, 0, 0, 0]}

    def counted(self, klass: int) -> tuple[int, int, int]:
        """Records of a class deferred, sampled and expired, by this side's own count."""
        deferred = self.producer.deferred[klass] if self.producer is not None else 0
        return deferred, self.dropped[SAMPLED][klass], self.dropped[EXPIRED][klass]

    def _hold(self, lane: Lane, reason: int, klass: int) -> None:
        lane.holds += lane.hold == 0
        lane.hold, lane.hold_class = reason, klass

    def decide(self, slot: Slot, message: Message) -> str:
        """decide: by a hash of what the record is, so that it is decided alike each time."""
        keep, rest = self.orders.get(message.klass, (1.0, DELIVER))
        return rest if self.share(slot, message) >= keep else DELIVER

    @staticmethod
    def share(slot: Slot, message: Message) -> float:
        return (message.offset * 2654435761 + slot.partition.number * 40503 + len(slot.partition.topic)) % 1009 / 1009

    def expired(self, message: Message) -> bool:
        """expired."""
        return message.klass == BULK and self.ttl > 0 and self.clock() - message.born > self.ttl

    def drop(self, slot: Slot, message: Message, disposition: int) -> None:
        """Ledger.drop. Nobody will acknowledge it."""
        assert self.ledger.test_drop(slot.number, message.offset, message.klass, disposition), "looked for before"
        self.polled[message.klass] += 1
        self.dropped[disposition][message.klass] += 1
        slot.drop(message.offset)
        slot.checks.dropped_for_good(slot.partition, message)

    def park(self, lane: Lane, slot: Slot, message: Message) -> str:
        """park: PARK, or HOLD where the producer takes none now."""
        if self.producer is None:
            return DELIVER
        if self.producer.put(slot, message) == FULL:
            self._hold(lane, HELD_PARKING, message.klass)
            return HOLD
        self.polled[message.klass] += 1
        slot.read(message.offset)
        return PARK

    def take_parked(self, lane: Lane, slot: Slot, gap: int, message: Message) -> bool:
        """take_parked: a record of the parking topic goes into the ring of its class. False: the lane is held."""
        if self.expired(message):
            self.drop(slot, message, EXPIRED)
            return True
        assert message.origin is not None
        if self.mutant == "park-again" and self.decide(slot, message) == PARK:  # planted: it meets the gate
            return self.park(lane, slot, message) != HOLD
        partition, offset = message.origin
        origin = self.ledger.test_origin(partition.topic.encode(), partition.number)
        return self.lay(lane, slot, gap, message, Extra(origin, offset, replayed=True))

    def lay(self, lane: Lane, slot: Slot, gap: int, message: Message, extra: Extra | None = None) -> bool:
        """_lay, and the end of _take. False: the lane is held."""
        if not self._push(slot, gap, message, extra):
            lane.hold_bytes = len(message.value)
            self._hold(lane, HELD_RING, message.klass)
            return False
        self.ledger.test_read(slot.number, message.offset, message.klass)
        self.polled[message.klass] += 1
        slot.read(message.offset)
        return True

    def _push(self, slot: Slot, gap: int, message: Message, extra: Extra | None = None) -> bool:
        return self.rings.push(
            message.klass, message.value, slot=slot.number, offset=message.offset, gap=gap,
            read_ns=int(self.clock() * 1e9), publish=False, extra=extra,
        )  # fmt: skip

    def give_back(self) -> int:
        """give_back: what Kafka did not take goes into the rings; it was counted when it was read."""
        given = 0
        while self.producer is not None and self.producer.back:
            entry = self.producer.back[0]
            gap = 0 if self.mutant == "back-gap" else entry.gap  # planted: the offsets that it stands for are forgotten
            if self.mutant == "back-lost":  # planted: it leaves the producer, and comes nowhere
                self.producer.back.popleft()
                self.producer.inside -= 1
                continue
            if not self._push(entry.slot, gap, entry.message):
                break
            self.producer.drop_back(entry)
            given += 1
        if given:
            self.rings.show()
        return given
