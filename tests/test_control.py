"""The tick with a real reader on the embedded broker: what it looks at, what it orders, what becomes of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "core"))

from member import Member, numbers, produce, properties

from tidegate.broker.embedded import EmbeddedBroker
from tidegate.control import Control
from tidegate.core.schedule import AGE_BUDGET_SECONDS
from tidegate.pressure.orders import Settings
from tidegate.pressure.policy import policies
from tidegate.types import LaneState

PAD = b"x" * 900


@dataclass
class Class:
    bytes: int = 0
    acks: int = 0


@dataclass
class Figures:
    """Delivery's, as the test wants them."""

    classes: list[Class] = field(default_factory=lambda: [Class() for _ in range(4)])
    ahead_bytes: int = 0
    target: str = "open"
    busy_seconds: float = 0.0


class Lines:
    """A log that is read; changes of the rung by themselves."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.rungs: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        if event == "the rung changed":
            self.rungs.append((fields["rung"], fields))
        else:
            self.said.append((event, fields))

    exception = info


class Ticking:
    """A control and its member; a tick each 100 ms, in real time."""

    def __init__(self, member: Member, memory_bytes: int = 96 << 20) -> None:
        self.member, self.figures, self.log = member, Figures(), Lines()
        self.control = Control(
            member.reader,
            member.rings,
            member.ledger,
            lambda: self.figures,
            memory_bytes=memory_bytes,
            settings=Settings(policies(), AGE_BUDGET_SECONDS),
            log=self.log,
        )

    def until(self, done: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, (self.member.state(), self.control.accounted_bytes, self.log.said)
            self.control.tick(time.monotonic())
            time.sleep(0.1)

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def lane(self, topic: str) -> LaneState:
        return next(state for state in self.member.reader.lanes() if state.topic == topic)


@pytest.fixture
def servers() -> Iterator[str]:
    with EmbeddedBroker({"orders": 4}) as broker:
        for topic in ("critical.orders", "bulk.clicks"):
            time.sleep(0.003)  # two orders at once make the mock sleep for a second over the later one
            broker.create_topic(topic, 1)
        yield broker.bootstrap_servers


def padded(count: int) -> list[bytes]:
    return [b'{"type":"scroll","n":%d,"pad":"%s"}' % (n, PAD) for n in range(count)]


def test_while_the_app_is_down_only_what_cannot_wait_is_read(servers: str) -> None:
    with Member([(properties(servers), ["bulk.clicks", "critical.orders"])]) as member:
        member.wait_assigned(2)
        ticking = Ticking(member)
        ticking.figures.target = "down"
        ticking.until(lambda: ticking.lane("bulk.clicks").reason == "app-down")
        produce(servers, "bulk.clicks", numbers(100), 0)
        produce(servers, "critical.orders", numbers(100), 0)
        ticking.until(lambda: member.rings.buffered(0)[0] == 100)
        ticking.run(0.5)
        assert member.rings.buffered(3)[0] == 0
        ticking.figures.target = "slow"
        ticking.until(lambda: member.rings.buffered(3)[0] == 100)
        member.deliver_count(200)
        assert ticking.log.said == []


def test_a_ring_holds_until_it_is_half_empty(servers: str) -> None:
    """The reader alone would go on as soon as half a reserve is free, and hold again a moment later."""
    produce(servers, "bulk.clicks", padded(2500), 0)
    with Member([(properties(servers), ["bulk.clicks"])], rings=2 << 20, max_records=20) as member:
        member.wait_until(lambda: member.holds().get("bulk.clicks") == "ring")
        ticking = Ticking(member)
        ticking.run(1.2)

        def share() -> float:
            used, room, _, _ = member.rings.usage(3)
            return used / (used + room)

        def deliver_to(low: float) -> None:
            while share() > low:
                batch = member.take()
                assert batch is not None
                member.settle(batch)
                ticking.run(0.05)  # slowly: a ring that drains fast is not held at all

        deliver_to(0.65)
        ticking.run(0.3)
        held = ticking.lane("bulk.clicks")
        assert (held.reason, held.own, held.holds) == ("ring", False, 1)
        assert share() <= 0.65
        deliver_to(0.5)
        ticking.until(lambda: ticking.lane("bulk.clicks").reason == "flowing")
        member.deliver_count(2500)


def test_memory_is_given_back_where_a_hold_does_not_end(servers: str) -> None:
    """Nothing is delivered: rings full, 5 s of the reader's own hold, memory short; then everything flows again."""
    for partition in range(4):
        produce(servers, "orders", padded(1500), partition)
    with Member([(properties(servers), ["orders"])], rings=1 << 20) as member:
        member.wait_until(lambda: member.holds().get("orders") == "ring")
        member.wait_until(lambda: member.reader.lanes()[0].queued > 4000)
        ticking = Ticking(member, memory_bytes=5 << 20)
        began = time.monotonic()
        ticking.until(lambda: ticking.lane("orders").paused)
        assert 4 < time.monotonic() - began < 8
        assert ticking.log.said[0][1]["topic"] == "orders"
        ticking.until(lambda: ticking.lane("orders").queued <= 1001)
        ticking.run(0.3)
        assert ticking.control.accounted_bytes < 0.7 * (5 << 20)
        purged = ticking.lane("orders").purged
        assert purged > 3000
        ticking.run(1.5)
        assert ticking.lane("orders").pauses == 1  # fetched again, it would be as before: so it stays paused
        ticking.until(lambda: member.deliver() + len(member.delivered) >= 6000)
        member.deliver_count(6000)
        assert len(set(member.delivered)) == 6000
        ticking.until(lambda: ticking.lane("orders").reason == "flowing")
        assert [fields["topic"] for _, fields in ticking.log.said] == ["orders", "orders"]


def test_where_nothing_is_to_decide_it_looks_less_often(servers: str) -> None:
    with Member([(properties(servers), ["bulk.clicks"])]) as member:
        member.wait_assigned(1)
        ticking = Ticking(member)
        ticking.until(lambda: ticking.control.interval == 0.5)
        produce(servers, "bulk.clicks", numbers(1), 0)
        ticking.until(lambda: ticking.control.interval == 0.1)  # it waits in a ring
        member.deliver_count(1)
        ticking.until(lambda: ticking.control.interval == 0.5)
        ticking.figures.target = "down"
        ticking.until(lambda: ticking.control.interval == 0.1)


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_what_is_accounted_falls_where_rss_does_not(servers: str) -> None:
    """Why RSS cannot steer: pages of a ring that was once full stay, and so does what the allocator keeps."""
    for partition in range(4):
        produce(servers, "orders", padded(2500), partition)
    before = resident_bytes()
    with Member([(properties(servers), ["orders"])], rings=9 << 20) as member:
        member.wait_until(lambda: member.holds().get("orders") == "ring")
        ticking = Ticking(member)
        ticking.run(0.3)
        full, resident = ticking.control.accounted_bytes, resident_bytes() - before
        assert full > 7 << 20
        member.deliver_count(10_000)
        member.bodies.clear()
        ticking.run(0.3)
        kept = resident_bytes() - before
        print(
            f"full: accounted {full >> 10} KiB, RSS +{resident >> 10} KiB; "
            f"drained: {ticking.control.accounted_bytes >> 10} KiB, RSS +{kept >> 10} KiB"
        )
        assert ticking.control.accounted_bytes < 0.1 * full
        assert kept > 0.5 * resident


def test_a_fault_lets_every_lane_go_and_is_said_once(servers: str) -> None:
    with Member([(properties(servers), ["bulk.clicks"])]) as member:
        member.wait_assigned(1)
        ticking = Ticking(member)
        ticking.figures.target = "down"
        ticking.until(lambda: ticking.lane("bulk.clicks").reason == "app-down")
        working, ticking.figures.classes = ticking.figures.classes, None  # type: ignore[assignment]
        ticking.run(0.5)
        assert ticking.lane("bulk.clicks").reason == "flowing"
        assert len(ticking.log.said) == 1
        ticking.figures.classes = working
        ticking.until(lambda: ticking.lane("bulk.clicks").reason == "app-down")
