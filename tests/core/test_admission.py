"""The reader parks, samples, expires and takes back: with real parts on both brokers, the test as the event loop."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer as PlainProducer
from hypothesis import given
from hypothesis import strategies as st
from member import Id, Member, committed, numbers, produce, properties

from harness.scene import Broker
from tidegate.core.admission import read_time
from tidegate.core.gate import DROP, PARK, Gate, randomness
from tidegate.core.ledger import Ledger
from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.core.producer import Producer
from tidegate.core.rules import RuleTable

BULK = 3
PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?[+-][0-9]{2}:[0-9]{2}"
RULES = RuleTable([(0, "purchase"), (3, "view"), (3, "rare"), (3, "topic:bulk*")], ["json:/type"], ["json:/n"])


class Scene:
    """A topic, its parking topic, and members of one group."""

    def __init__(self, broker: Broker, name: str = "shop", partitions: int = 3) -> None:
        unique = time.time_ns()
        self.servers = broker.bootstrap_servers
        self.topic, self.parked, self.group = f"{name}-{unique}", f"{name}-{unique}.parked", f"g-{unique}"
        self.partitions = partitions
        broker.create(self.topic, partitions, {})
        broker.create(self.parked, 2, {})

    def member(self, *, more: dict[str, str] | None = None, parks: dict[str, Any] | None = None, **kw: Any) -> Member:
        def parking(ledger: Ledger) -> Producer:
            return Producer({"bootstrap.servers": self.servers} | (more or {}), self.parked, ledger, **(parks or {}))

        kw = {"gate": Gate(0, [BULK]), "rules": RULES} | kw
        subscription = (properties(self.servers, self.group), [self.topic, self.parked])
        return Member([subscription], parking=parking, **kw)

    def lane(self, member: Member, topic: str | None = None) -> Any:
        return next(one for one in member.reader.lanes() if one.topic == (topic or self.topic))

    def settled(self, member: Member, total: int) -> Callable[[], bool]:
        """All of the topic is read, and ended one way or the other."""

        def done() -> bool:
            row = member.ledger.counts().get(self.topic, {})
            ended = sum(n for one in row.values() for name, n in one.items() if name != "polled")
            return ended == total and sum(one["polled"] for one in row.values()) == total

        return done

    def ends(self, member: Member) -> dict[str, int]:
        row = member.ledger.counts()[self.topic]
        return {name: n for name, n in sum((Counter(one) for one in row.values()), Counter()).items() if n}


@pytest.fixture
def scene(broker: Broker) -> Scene:
    return Scene(broker)


def of(ids: list[Id], topic: str) -> list[Id]:
    return [one for one in ids if one[0] == topic]


def lines(member: Member) -> Counter[bytes]:
    return Counter(line for body in member.bodies for line in body.splitlines())


def test_a_share_is_parked_and_comes_back_as_what_it_was(scene: Scene) -> None:
    values = numbers(900)
    produce(scene.servers, scene.topic, values)
    gate = Gate(7, [])
    gate.order(BULK, 0.25, PARK)
    kept = {n for n in range(900) if randomness(b"%d" % n, 7) >= 3 << 54}
    with scene.member(gate=gate) as member:
        member.wait_assigned(5, 40)
        member.deliver_until(scene.settled(member, 900))
        assert scene.ends(member) == {"polled": 900, "delivered": len(kept), "deferred": 900 - len(kept)}
        assert lines(member) == Counter(values[n] for n in kept)
        assert gate.totals()[BULK] == (len(kept), 900 - len(kept), 0)
        time.sleep(0.3)
        assert not of(member.delivered, scene.parked)
        member.reader.replay(1e6)
        member.deliver_until(lambda: len(member.delivered) == 900)
        assert lines(member) == Counter(values)
        # Under the ids of their origin, each once; acknowledged where they were parked.
        assert Counter(member.delivered) == Counter(
            {(scene.topic, p, offset): 1 for p in range(3) for offset in range(300)}
        )
        member.wait_until(member.committed_all)
        assert member.conserved()
        assert member.dispatcher.conservation() == (0, 0, 0, 0)
    found = committed(scene.servers, scene.group, scene.parked, 2)
    assert sum(found.values()) == 900 - len(kept)
    assert committed(scene.servers, scene.group, scene.topic, 3) == {0: 300, 1: 300, 2: 300}


def test_what_is_sampled_away_is_settled_also_where_nothing_follows(scene: Scene) -> None:
    produce(scene.servers, scene.topic, numbers(300))
    gate = Gate(0, [BULK])
    gate.order(BULK, 1 / 64, DROP)
    with scene.member(gate=gate, format="envelope") as member:
        member.wait_assigned(5, 40)
        member.deliver_until(scene.settled(member, 300))
        ends = scene.ends(member)
        assert ends["sampled"] + ends.get("delivered", 0) == 300
        member.wait_until(lambda: all(row[2] == row[3] for row in member.ledger.partitions() if row[0] == scene.topic))
        member.wait_until(member.committed_all)
        assert member.dispatcher.conservation() == (0, 0, 0, 0)
        assert all(b'"weight":64,"ot":"th:fc;rv:' in body for body in member.bodies)
    assert committed(scene.servers, scene.group, scene.topic, 3) == {0: 100, 1: 100, 2: 100}


def test_records_dropped_between_others_in_flight(scene: Scene) -> None:
    """Two types: one kept, one dropped. The frontier passes what was dropped only with what is before it."""
    values = [b'{"type":"%s","n":%d}' % (b"view" if n % 3 else b"purchase", n) for n in range(300)]
    produce(scene.servers, scene.topic, values, 0)
    gate = Gate(0, [BULK])
    gate.order(BULK, 1 / 64, DROP)
    with scene.member(gate=gate, max_records=7) as member:
        member.wait_assigned(5, 40)
        member.wait_until(lambda: member.buffered() >= 100)
        batches = []
        while (batch := member.take()) is not None:
            batches.append(batch)
        place = next(row for row in member.ledger.partitions() if row[:2] == (scene.topic, 0))
        assert place[2:4] == (300, 0)
        for batch in reversed(batches):
            member.settle(batch)
        member.wait_until(lambda: committed(scene.servers, scene.group, scene.topic, 1) == {0: 300})
        assert member.conserved()


def test_old_bulk_expires(scene: Scene) -> None:
    producer = PlainProducer({"bootstrap.servers": scene.servers})
    now_ms = int(time.time() * 1000)
    for n in range(60):
        kind, age_ms = (b"view", b"purchase")[n % 2], (0, 1_800_000)[n % 4 > 1]
        producer.produce(scene.topic, b'{"type":"%s"}' % kind, partition=0, timestamp=now_ms - age_ms)
    old = Parked(scene.topic, 0, 5, now_ms - 1_800_000, 1, BULK, None, None, (), b'{"type":"view"}')
    producer.produce(scene.parked, encode(old), partition=0)
    assert producer.flush(10) == 0
    with scene.member(ttl_seconds=600) as member:
        member.reader.replay(1e6)
        member.wait_assigned(5, 40)
        member.deliver_until(scene.settled(member, 60))
        assert scene.ends(member) == {"polled": 60, "delivered": 45, "expired": 15}
        member.wait_until(lambda: member.ledger.counts()[scene.parked]["bulk"]["expired"] == 1)
        member.wait_until(lambda: committed(scene.servers, scene.group, scene.parked, 1) == {0: 1})


MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones() | st.just(UTC))


@given(MOMENTS, st.sampled_from(["seconds", "milliseconds", "microseconds"]))
def test_moments_are_read_as_they_are_written(moment: datetime, precision: str) -> None:
    text = moment.isoformat(timespec=precision)
    if re.search(r"[+-]\d\d:\d\d$", text) is None:
        return  # zones of the past with seconds in them, which RFC 3339 cannot write
    read = datetime.fromisoformat(text)
    wanted = (read - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert read_time(text.encode()) == wanted
    if text.endswith("+00:00"):
        assert {read_time(text.replace("+00:00", z).encode()) for z in "Zz"} == {wanted}


ALMOST = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?(Z|[+-][0-9]{2}:[0-9]{2})?"


@given(st.binary(max_size=40) | st.from_regex(ALMOST, fullmatch=True))
def test_only_moments_are_read(text: bytes) -> None:
    try:
        right = text.decode().upper().replace("Z", "+00:00")
        wanted = datetime.fromisoformat(right) if re.fullmatch(PATTERN, right) else None
    except ValueError:
        wanted = None
    if wanted is None and re.match(rb"....-..-..T..:..:60", text):
        return  # a leap second, which Python does not know
    assert (read_time(text) is None) == (wanted is None)


def test_events_expire_at_the_moment_that_they_name(scene: Scene) -> None:
    producer = PlainProducer({"bootstrap.servers": scene.servers})
    for moment in (b"2020-01-01T00:00:00Z", b"2999-01-01T00:00:00.5+02:00", b"soon", None):
        for kind in (b"view", b"purchase"):
            headers = [("ce_expirytime", moment)]
            producer.produce(scene.topic, b'{"type":"%s"}' % kind, partition=0, headers=headers)
    assert producer.flush(10) == 0
    with scene.member(ttl_seconds=600) as member:
        member.wait_assigned(5, 40)
        member.deliver_until(scene.settled(member, 8))
        assert scene.ends(member) == {"polled": 8, "delivered": 7, "expired": 1}


def test_a_full_ring_overflows_into_the_parking_topic_where_it_is_told_so(scene: Scene) -> None:
    values = [b'{"type":"view","n":%d,"pad":"%s"}' % (n, b"x" * 4000) for n in range(3000)]
    produce(scene.servers, scene.topic, values)
    with scene.member(rings=4 << 20) as member:
        member.wait_assigned(5, 40)
        member.wait_until(lambda: scene.lane(member).reason == "ring")
        assert sum(member.ledger.parking()) == 0
        member.reader.park_overflow([BULK])
        member.wait_until(
            lambda: scene.lane(member).position == 3000 and not sum(member.ledger.parking()), idle=member.settle_parked
        )
        ends = scene.ends(member)
        assert ends["deferred"] > 1500
        assert member.conserved()


def test_a_full_producer_holds_the_lane_and_room_lets_it_go(scene: Scene) -> None:
    produce(scene.servers, scene.topic, numbers(600))
    gate = Gate(0, [])
    gate.order(BULK, 0.0, PARK)
    with scene.member(gate=gate, parks={"records": 64}) as member:
        member.wait_assigned(5, 40)
        member.wait_until(lambda: scene.lane(member).reason == "parking")  # nobody drains it
        assert scene.lane(member).own
        assert sum(member.ledger.parking()) == 64 - 8  # an eighth is for what lies in rings
        member.deliver_until(scene.settled(member, 600))
        assert scene.lane(member).parking_seconds > 0
        assert scene.ends(member) == {"polled": 600, "deferred": 600}
        assert member.conserved()


def test_what_cannot_be_parked_is_delivered_instead(scene: Scene) -> None:
    big = b'{"type":"view","n":1,"pad":"%s"}' % (b"x" * 60_000)
    produce(scene.servers, scene.topic, [big, *numbers(30)], 0)
    gate = Gate(0, [])
    gate.order(BULK, 0.0, PARK)
    with scene.member(gate=gate, more={"message.max.bytes": "50000"}) as member:
        member.wait_assigned(5, 40)
        member.deliver_until(scene.settled(member, 31))
        assert scene.ends(member) == {"polled": 31, "deferred": 30, "delivered": 1}
        assert member.delivered == [(scene.topic, 0, 0)]
        assert any("cannot be parked" in note[3] for note in member.notes())
        assert member.conserved()


def test_what_kafka_does_not_take_comes_back_with_all_that_it_had(scene: Scene) -> None:
    produce(scene.servers, scene.topic, numbers(50), 0)
    gate = Gate(0, [])
    gate.order(BULK, 0.0, PARK)
    nowhere = {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": "300", "log_level": "0"}
    with scene.member(gate=gate, more=nowhere, parks={"attempts": 1}, format="envelope") as member:
        member.wait_assigned(5, 40)
        member.deliver_until(scene.settled(member, 50))
        assert scene.ends(member) == {"polled": 50, "delivered": 50}
        assert sorted(member.delivered) == [(scene.topic, 0, n) for n in range(50)]
        assert b'"weight":1,' in member.bodies[0]
        assert member.conserved()
        assert member.dispatcher.conservation() == (0, 0, 0, 0)
        assert {one.code for one in member.failures} == {"timed-out"}
    assert committed(scene.servers, scene.group, scene.topic, 1) == {0: 50}


def test_a_stranger_in_the_parking_topic_halts_it_and_nothing_else(scene: Scene) -> None:
    produce(scene.servers, scene.parked, [b"not ours"], 0)
    produce(scene.servers, scene.topic, numbers(30))
    with scene.member() as member:
        member.reader.replay(1e6)
        member.wait_assigned(5, 40)
        member.deliver_until(scene.settled(member, 30))
        member.wait_until(lambda: scene.lane(member, scene.parked).reason == "halted")
        assert any("tidegate parked drop" in note[3] for note in member.notes())


@pytest.mark.parametrize("rate", [0.0, 200.0])
def test_a_lane_that_can_wait_is_read_at_a_rate(broker: Broker, rate: float) -> None:
    scene = Scene(broker, "bulk")
    produce(scene.servers, scene.topic, numbers(3000))
    with scene.member(waits=[BULK]) as member:
        member.reader.limit(BULK, rate)
        member.wait_assigned(5, 40)
        time.sleep(0.5)
        begun, before = time.monotonic(), scene.lane(member).position
        time.sleep(2)
        member.deliver()
        read, seconds = scene.lane(member).position - before, time.monotonic() - begun
        assert scene.lane(member).throttled
        assert rate * (seconds - 0.5) <= read <= rate * (seconds + 0.5)
        member.reader.limit(BULK, None)
        member.deliver_until(scene.settled(member, 3000))
        assert not scene.lane(member).throttled


def test_what_was_parked_comes_back_in_runs(scene: Scene) -> None:
    """Not one by one between the others, for a batch is of one kind."""
    produce(scene.servers, scene.topic, numbers(600))
    gate = Gate(0, [])
    gate.order(BULK, 0.0, PARK)
    fresh = PlainProducer({"bootstrap.servers": scene.servers, "linger.ms": 0})
    runs = [False]
    with scene.member(gate=gate) as member:
        member.wait_assigned(5, 40)
        member.deliver_until(scene.settled(member, 600))
        gate.release(BULK)

        def deliver() -> None:
            fresh.produce(scene.topic, b'{"type":"view"}', partition=0)
            fresh.flush(1)
            member.settle_parked()
            while (batch := member.take()) is not None:
                if batch.replayed is not runs[-1]:
                    runs.append(batch.replayed)
                member.settle(batch)

        member.reader.replay(500)
        member.wait_until(lambda: sum(b"n" in line for line in lines(member)) == 600, idle=deliver)
    assert sum(runs) <= 600 / 25 + 5


def test_the_parking_topic_begins_at_its_beginning_whatever_start_says(scene: Scene) -> None:
    produce(scene.servers, scene.topic, numbers(30), 0)
    producer = PlainProducer({"bootstrap.servers": scene.servers})
    parked = Parked("elsewhere", 3, 77, 1_790_000_000_000, 1, BULK, 5, 1 << 55, (), b'{"type":"view"}')
    producer.produce(scene.parked, encode(parked), b"k", partition=1)
    assert producer.flush(10) == 0
    with scene.member(start="latest", format="envelope") as member:
        member.reader.replay(10)
        member.wait_assigned(5, 40)
        member.deliver_until(lambda: member.delivered)
        assert member.delivered == [("elsewhere", 3, 77)]
        assert b'"weight":2,' in member.bodies[0]


def test_what_could_never_come_back_is_not_parked(scene: Scene) -> None:
    """A record larger than half a ring halts its lane as ever; parked by a process with more memory, the parking's."""
    large = b'{"type":"view","pad":"%s"}' % (b"x" * 900_000)
    produce(scene.servers, scene.topic, [large], 0)
    gate = Gate(0, [])
    gate.order(BULK, 0.0, PARK)
    with scene.member(gate=gate, rings=1 << 20, parks={"bytes": 4 << 20}) as member:
        member.reader.replay(1e6)
        member.wait_assigned(5, 40)
        member.wait_until(lambda: scene.lane(member).reason == "halted")
        assert sum(member.ledger.parking()) == 0
        parked = Parked(scene.topic, 0, 0, 1_790_000_000_000, 1, BULK, None, None, (), large)
        produce(scene.servers, scene.parked, [encode(parked)], 0)
        member.wait_until(lambda: scene.lane(member, scene.parked).reason == "halted")
        assert sum("half a ring" in note[3] for note in member.notes()) == 2
