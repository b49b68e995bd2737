"""Snapshots made of real native parts, without a reader."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import structlog

from tidegate.core.dispatcher import Dispatcher
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.ring import Rings
from tidegate.delivery import Delivery
from tidegate.ops.snapshot import Snapshot, Sources
from tidegate.pressure.adaptive import Adaptive
from tidegate.pressure.orders import ParkingState, Pressure, Rung
from tidegate.pressure.parking import Parking
from tidegate.pressure.signals import LaneView, View
from tidegate.sinks.base import open_sink
from tidegate.types import EventClass, LaneState

ORDERS = LaneView((1.0, 2.0, 3.0, 4.0), 10.0, 50.0, 2.5, (0.1, 0.2, 0.3, 0.4), False, 0.0)
PRESSURE = Pressure(
    Rung.HOLD, None, Rung.PAUSE, (1.0, 1.0, 0.5, 0.25), {Rung.HOLD: 2},
    View(8.0, 9.0, 7.0, 0.75, (0, 0, 0, 0), (0.0,) * 4, {0: ORDERS}, 0.5, (1.0, 2.0, 2.0, 2.0)),
    Parking(True, 0.25, 70.0),
    ParkingState("parked", {"timed-out": 5}, 3, 2, 900, 0.25, 40.0, {EventClass.BULK: 0.02}, 4),
    2.0,
)  # fmt: skip


@dataclass
class StillReader:
    """What metrics ask of a reader; there is no Kafka here."""

    heartbeat_age: float = 0.5
    stale: int = 0
    refetched: int = 0
    held: list[LaneState] = field(default_factory=list)
    rebalances: dict[str, int] = field(default_factory=lambda: {"assigned": 2, "revoked": 1, "lost": 0})

    def lanes(self) -> list[LaneState]:
        return self.held


class Parts:
    """Ledger, rings, dispatcher and delivery. `read` puts a record in as the reader does."""

    def __init__(self, topics: tuple[str, ...] = ("orders",)) -> None:
        self.ledger = LedgerFace(1024)
        self.rings = Rings(4 << 20)
        self.dispatcher = Dispatcher(self.rings, self.ledger, linger=0.0)
        self.reader = StillReader()
        self.delivery = Delivery(
            self.dispatcher, open_sink("http://127.0.0.1:1/"), concurrency=8, inflight_bytes=1 << 20,
            log=structlog.get_logger("test"), limiter=Adaptive(8, 500, Random(1), 0.0), rng=Random(1),
        )  # fmt: skip
        self.slots = [self.ledger.test_open(self.ledger.add_lane(topic), 0, 0) for topic in topics]
        self._next = [0] * len(topics)

    def read(self, klass: int = 0, lane: int = 0, timestamp_ms: int = -1) -> None:
        offset = self._next[lane]
        self._next[lane] += 1
        assert self.ledger.test_read(self.slots[lane], offset, klass) == 0
        assert self.rings.push(klass, b"{}", slot=self.slots[lane], offset=offset, timestamp_ms=timestamp_ms)

    def snapshot(self, **changes: Any) -> Snapshot:
        sources = Sources(
            self.ledger, self.dispatcher, self.reader, self.delivery.stats, lambda: 12345, lambda: PRESSURE,  # type: ignore[arg-type]
        )  # fmt: skip
        return replace(sources.take(), **changes)


def snapshot() -> Snapshot:
    """One with a record in it."""
    parts = Parts()
    parts.read()
    return parts.snapshot()
