"""The tick with a real reader on the embedded broker: what it looks at, what it orders, what becomes of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "core"))

from member import Member, numbers, produce, properties

from harness.figures import Figures
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.control import Control
from tidegate.core.schedule import AGE_BUDGET_SECONDS
from tidegate.pressure.orders import Actuator, ParkingState, Rung, Settings
from tidegate.pressure.parking import FIRST_RATE, Parking
from tidegate.pressure.policy import policies
from tidegate.pressure.shed import Rest, Shed
from tidegate.types import EventClass, LaneState

PAD = b"x" * 900


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


class Recording:
    """An actuator that remembers what it was told last."""

    def __init__(self, parking: Parking, samples: bool = True) -> None:
        self.there, self.samples = parking, samples
        self.sheds: Sequence[Shed] = ()
        self.rate = -1.0
        self.settled = 0

    def parking(self, lanes: Sequence[LaneState]) -> Parking:
        return self.there

    def settle(self) -> None:
        self.settled += 1

    def state(self) -> ParkingState:
        return ParkingState(topic="parked" if self.there.available else None)

    def shed(self, sheds: Sequence[Shed]) -> None:
        self.sheds = sheds

    def relieve(self, lanes: Sequence[LaneState]) -> None:
        self.relieved = True

    def replay(self, records_per_second: float) -> None:
        self.rate = records_per_second


class Ticking:
    """A control and its member; a tick each 100 ms, in real time."""

    def __init__(
        self,
        member: Member,
        memory_bytes: int = 96 << 20,
        highest: Rung = Rung.PAUSE,
        texts: dict[EventClass, str] | None = None,
        actuator: Actuator | None = None,
    ) -> None:
        self.member, self.figures, self.log = member, Figures(), Lines()
        self.control = Control(
            member.reader,
            member.rings,
            member.ledger,
            lambda: self.figures,
            memory_bytes=memory_bytes,
            settings=Settings(policies(texts or {}), AGE_BUDGET_SECONDS, highest),
            log=self.log,
            actuator=actuator,
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


# ── the ladder ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_slow_app_is_seen_and_shown_and_so_is_its_recovery(servers: str) -> None:
    """Mixed topic, no gate: demand is what comes into Kafka, service what is settled, and the rung is HOLD."""
    with Member([(properties(servers), ["orders"])], rings=2 << 20, max_records=20) as member:
        member.wait_assigned(4)
        ticking = Ticking(member)

        def work(seconds: float, rate: int) -> None:
            """A tick each tenth of a second, in which so many records come, and twenty are settled."""
            for _ in range(round(seconds * 10)):
                begun = time.monotonic()
                produce(servers, "orders", padded(rate // 10), 0)
                if (batch := member.take()) is not None:
                    member.settle(batch)
                    ticking.figures.busy_seconds += 0.1
                    ticking.figures.classes[3].acks += 1
                ticking.control.tick(time.monotonic())
                time.sleep(max(0.0, 0.1 - (time.monotonic() - begun)))

        work(12, 800)
        pressure = ticking.control.pressure()
        view = pressure.view
        assert view is not None
        assert pressure.rung is Rung.HOLD
        assert 600 < view.offered(EventClass.BULK) < 1000, view
        assert view.service is not None
        assert 140 < view.service < 300, view
        assert 140 < view.completions[EventClass.BULK] < 260, view
        assert view.lanes[0].lag > 1000
        assert view.lanes[0].age > 2
        assert view.rings[EventClass.BULK] > 0.5
        assert pressure.keep[EventClass.BULK] == 1.0  # nothing may be done with it: so it is protected
        [(rung, numbers)] = ticking.log.rungs
        assert (rung, numbers["before"]) == ("hold", "normal")
        assert {"offered_bulk", "service", "age", "lag", "memory", "queued_bulk"} <= set(numbers)
        ticking.until(lambda: member.deliver() == 0 and member.buffered() == 0 and not ticking.lane("orders").queued)
        ticking.until(lambda: ticking.control.pressure().rung is Rung.NORMAL)
        ticking.until(lambda: ticking.control.pressure().view.lanes[0].lag == 0)  # type: ignore[union-attr]
        ticking.run(2)
        after = ticking.control.pressure().view
        assert after is not None
        assert after.lanes[0].age == 0
        assert after.offered(EventClass.BULK) < 50
        assert ticking.control.pressure().changes == {Rung.HOLD: 1, Rung.NORMAL: 1}
        assert member.conserved()


def test_the_operator_holds_pauses_and_lets_go(servers: str) -> None:
    with Member([(properties(servers), ["bulk.clicks", "critical.orders"])]) as member:
        member.wait_assigned(2)
        ticking = Ticking(member)
        ticking.control.force(Rung.HOLD)
        ticking.until(lambda: ticking.lane("bulk.clicks").reason == "operator")
        assert ticking.control.pressure().forced is Rung.HOLD
        produce(servers, "bulk.clicks", numbers(100), 0)
        produce(servers, "critical.orders", numbers(100), 0)
        ticking.until(lambda: member.rings.buffered(0)[0] == 100)
        ticking.until(lambda: ticking.control.pressure().view.lanes[0].lag == 100)  # type: ignore[union-attr]
        assert (member.rings.buffered(3)[0], ticking.lane("bulk.clicks").paused) == (0, False)
        ticking.control.force(Rung.PAUSE)
        ticking.until(lambda: ticking.lane("bulk.clicks").paused)
        assert not ticking.lane("critical.orders").paused
        ticking.control.force(None)
        ticking.until(lambda: ticking.lane("bulk.clicks").reason == "flowing")
        member.deliver_count(200)
        assert not ticking.lane("bulk.clicks").paused
        with pytest.raises(ValueError, match="no parking topic"):
            ticking.control.force(Rung.DEFER)
        with pytest.raises(ValueError, match="there is no gate"):
            ticking.control.force(Rung.SAMPLE)


@pytest.mark.parametrize("forced", [False, True])
def test_below_hold_nothing_is_held_early(servers: str, forced: bool) -> None:
    with Member([(properties(servers), ["bulk.clicks"])]) as member:
        member.wait_assigned(1)
        ticking = Ticking(member, highest=Rung.PAUSE if forced else Rung.SAMPLE)
        if forced:
            ticking.control.force(Rung.NORMAL)
        ticking.figures.target = "down"
        ticking.run(1.5)
        assert ticking.lane("bulk.clicks").reason == "flowing"
        ticking.control.force(None if forced else Rung.HOLD)  # what was decided all the while is carried out now
        ticking.until(lambda: ticking.lane("bulk.clicks").reason == "app-down", 1)
        ticking.control.force(Rung.NORMAL)
        ticking.until(lambda: ticking.lane("bulk.clicks").reason == "flowing", 1)


def test_a_class_that_is_to_be_kept_is_not_held_early(servers: str) -> None:
    with Member([(properties(servers), ["bulk.clicks"])]) as member:
        member.wait_assigned(1)
        ticking = Ticking(member, texts={EventClass.BULK: "keep"})
        ticking.figures.target = "down"
        ticking.run(1.5)
        assert ticking.lane("bulk.clicks").reason == "flowing"


def test_where_there_is_a_gate_it_gets_its_orders_and_after_a_fault_lets_all_in(servers: str) -> None:
    actuator = Recording(Parking(available=True, records=1000))
    with Member([(properties(servers), ["orders"])], rings=2 << 20, max_records=20) as member:
        member.wait_assigned(4)
        ticking = Ticking(member, actuator=actuator)
        for partition in range(4):
            produce(servers, "orders", padded(2000), partition)

        def engaged() -> bool:
            if (batch := member.take()) is not None:
                member.settle(batch)
                ticking.figures.busy_seconds += 0.1
            return ticking.control.pressure().rung is Rung.DEFER

        ticking.until(engaged)
        critical, _, _, bulk = actuator.sheds
        assert (critical.keep, critical.rest, critical.threshold) == (1.0, None, 0)
        assert bulk.rest is Rest.PARK
        assert bulk.keep < 0.95
        assert bulk.threshold == (1 << 56) - round(bulk.keep * (1 << 56))
        assert actuator.rate == 0.0
        ticking.figures.classes = None  # type: ignore[assignment]
        ticking.control.tick(time.monotonic())
        assert set(actuator.sheds) == {Shed()}
        member.dispatcher.discard_buffered()


def test_the_operator_says_how_fast_parked_records_come_back(servers: str) -> None:
    actuator = Recording(Parking(available=True, records=1000))
    with Member([(properties(servers), ["bulk.clicks"])]) as member:
        ticking = Ticking(member, actuator=actuator)
        for rate in (500.0, 0.0):
            ticking.control.force_replay(rate)
            ticking.control.tick(time.monotonic())
            assert actuator.rate == rate
            assert ticking.control.pressure().forced_replay == rate
        assert actuator.settled == 2
        ticking.control.force_replay(None)
        ticking.until(lambda: actuator.rate == FIRST_RATE)  # calm, and of the target nothing is known
        with pytest.raises(ValueError, match="no parking topic"):
            Ticking(member).control.force_replay(1.0)


def test_sampling_that_nothing_can_carry_out_is_not_ordered(servers: str) -> None:
    texts = {EventClass.BULK: "defer,sample"}
    with Member([(properties(servers), ["bulk.clicks"])]) as member:
        for samples in (True, False):
            actuator = Recording(Parking(), samples)
            ticking = Ticking(member, texts=texts, actuator=actuator)
            ticking.control.tick(time.monotonic())
            assert actuator.sheds[3].rest is (Rest.DROP if samples else None)
        actuator.samples = True
        with pytest.raises(ValueError, match="no class has it"):
            Ticking(member, actuator=actuator).control.force(Rung.SAMPLE)
