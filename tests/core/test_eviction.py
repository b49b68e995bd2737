"""What is parked out of the rings: as much as stands in a full span's way, whole, and counted once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer as PlainProducer
from flow import Flow, header_block
from hypothesis import given
from hypothesis import strategies as st
from member import committed, numbers, produce
from test_admission import Scene
from test_producer import stored

from harness.scene import Broker
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.core.eviction import Eviction
from tidegate.core.extra import Extra
from tidegate.core.parked import decode
from tidegate.core.parking import Parked
from tidegate.core.producer_face import ProducerFace

CRITICAL, HIGH, BULK = 0, 1, 3
NULL, APPENDED, WHOLE = 64, 128, 256  # ring.pxd
NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "log_level": "0"}
SPAN = 64


@pytest.fixture
def scene(broker: Broker) -> Scene:
    return Scene(broker, partitions=1)


class Rig:
    """Rings and a producer without a reader or a broker: what is evicted stays with the producer."""

    def __init__(self, properties: dict[str, str] = NOWHERE, **parks: Any) -> None:
        self.flow = Flow()
        self.ledger = self.flow.ledger
        self.producer = ProducerFace(properties, "parked", self.ledger, **parks)
        self.eviction = Eviction(self.flow.dispatcher, self.producer)

    def buffered(self) -> int:
        return sum(records for records, _, _ in self.flow.dispatcher.states().values())


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.producer.close(0)


HALF = 1 << 16  # of Flow's span


@given(
    turns=st.lists(st.tuples(st.sampled_from([HIGH, BULK]), st.integers(0, 2), st.booleans()), max_size=40),
    jumps=st.dictionaries(st.integers(0, 2), st.sampled_from([HALF // 2, HALF - 10, HALF + 1, HALF + 15]), max_size=3),
    classes=st.sets(st.sampled_from([HIGH, BULK])),
)
def test_as_far_as_the_last_one_in_the_way(
    turns: list[tuple[int, int, bool]], jumps: dict[int, int], classes: set[int]
) -> None:
    """Against a plain model: of each ring the oldest, up to the last one that lies in a crowded span's older half, and
    never over one that does not stand whole."""
    rig = Rig()
    try:
        read: dict[int, list[tuple[int, int, bool]]] = {HIGH: [], BULK: []}
        positions = dict.fromkeys(range(3), 0)
        for klass, partition, whole in turns:
            number = rig.flow.slot(partition=partition)
            offset = positions[partition]
            assert rig.ledger.test_read(number, offset, klass) == 0
            assert rig.flow.rings.push(klass, b"{}", slot=number, offset=offset, flags=WHOLE if whole else 0)
            read[klass].append((partition, offset, whole))
            positions[partition] += 1
        for partition, step in jumps.items():  # what was read since, and is settled
            offset = positions[partition] + step
            number = rig.flow.slot(partition=partition)
            gap = rig.ledger.test_read(number, offset, CRITICAL)
            assert gap is not None
            rig.ledger.test_settle(number, offset, 1, gap, CRITICAL)
            positions[partition] = offset + 1
        crowded = {
            p for p in range(3) if any(q == p for rows in read.values() for q, _, _ in rows) and positions[p] > HALF
        }
        wanted = 0
        for klass in classes:
            reach = 0
            for n, (partition, offset, whole) in enumerate(read[klass], 1):
                if not whole:
                    break
                if partition in crowded and positions[partition] - offset > HALF:
                    reach = n
            wanted += reach
        rig.eviction.look(classes)
        assert rig.eviction.under_way == (wanted > 0)
        assert rig.eviction.go_on() == wanted
        assert not rig.eviction.under_way
        assert rig.eviction.go_on() == 0
        assert rig.eviction.evicted == sum(rig.ledger.parking()) == wanted
        assert rig.buffered() == len(turns) - wanted
    finally:
        rig.producer.close(0)
    row = Counter[str]()
    for counts in rig.ledger.totals().values():
        row.update(counts)
    assert row["discarded"] == wanted  # no broker was there to take them
    assert not sum(rig.ledger.parking())


def fill(rig: Rig, count: int) -> None:
    """So many bulk records that are to go."""
    number = rig.flow.slot()
    for offset in range(count):
        rig.ledger.test_read(number, offset, BULK)
        assert rig.flow.rings.push(BULK, b"{}", slot=number, offset=offset, flags=WHOLE)
    offset = count + HALF
    gap = rig.ledger.test_read(number, offset, CRITICAL)
    rig.ledger.test_settle(number, offset, 1, gap or 0, CRITICAL)


def test_no_more_than_the_event_loops_own_room(rig: Rig) -> None:
    """The reader's share of the producer is not touched, so its own parking goes on."""
    rig.producer.close(0)
    rig = Rig(records=64)
    fill(rig, 20)
    rig.eviction.look([BULK])
    assert rig.eviction.go_on() == 8
    assert rig.eviction.under_way
    assert rig.eviction.go_on() == 0
    assert rig.producer.fill == 0.0
    assert rig.producer.test_room(10) == (True, 0)
    assert sum(rig.ledger.parking()) == 8
    rig.eviction.look([])
    assert not rig.eviction.under_way
    rig.producer.close(0)


def test_what_is_no_longer_ours_is_discarded_not_parked(rig: Rig) -> None:
    fill(rig, 5)
    rig.eviction.look([BULK])
    rig.ledger.test_state(rig.flow.slot(), 3)  # dead
    assert rig.eviction.go_on() == 0
    assert not rig.eviction.under_way
    assert rig.ledger.totals()["bulk"]["discarded"] == 5
    assert not sum(rig.ledger.parking())


def test_a_crowded_span_gives_way_and_nothing_of_a_record_is_missing(scene: Scene) -> None:
    """Bulk waits in the ring, critical records behind it could not be read; then they can, and bulk comes back."""
    shapes: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
        (b'{"type":"view","n":0}', None, []),
        (b'{"type":"view","n":1}', b"", [("a", b"1"), ("a", None), ("b", b"")]),
        (b'\xef\xbb\xbf{"type":\n"view","n":2}', b"\0\xff", []),
        (
            b'{"type":"view","n":3,"pad":"%s"}' % (b"x" * 70_000),
            b"k" * 300,
            [("tracestate", b"ot=th:8;rv:" + b"f" * 14)],
        ),
        (b'{"type":"view","n":4', b"k", []),
    ]
    producer = PlainProducer({"bootstrap.servers": scene.servers})
    at = int(time.time() * 1000) - 5000
    for n in range(20):
        value, key, headers = shapes[n % len(shapes)]
        producer.produce(scene.topic, value, key=key, partition=0, headers=headers, timestamp=at + n)
    assert producer.flush(10) == 0
    critical = [b'{"type":"purchase","n":%d}' % n for n in range(500)]
    produce(scene.servers, scene.topic, critical, 0)
    with scene.member(span=SPAN, defers=[HIGH, BULK]) as member:
        assert member.producer is not None
        eviction = Eviction(member.dispatcher, member.producer)
        member.wait_assigned(3, 40)

        def deliver(classes: int = 1 << CRITICAL) -> None:
            member.settle_parked()
            while (batch := member.dispatcher.take(classes)) is not None:
                member.settle(batch)

        member.wait_until(lambda: scene.lane(member).reason == "span", idle=deliver)
        time.sleep(0.3)
        deliver()
        assert len(member.delivered) == SPAN - 20
        eviction.look([HIGH, BULK])
        assert eviction.go_on() == 20
        assert member.dispatcher.conservation() == (0, 0, 0, 0)
        member.wait_until(lambda: len(member.delivered) == 500, idle=deliver)
        assert scene.ends(member) == {"polled": 520, "delivered": 500, "deferred": 20}
        assert member.conserved()
        found = {}
        for stored_key, envelope in stored(scene.servers, scene.parked):
            status, record = decode(envelope)
            assert status == "ok"
            assert record is not None
            found[record.offset] = (stored_key, record)
        for n in range(20):
            value, key, headers = shapes[n % len(shapes)]
            names = tuple((name.encode(), header) for name, header in headers)
            klass = HIGH if n % 5 == 4 else BULK  # what is no JSON has no type
            sampling = ((1 << 56) - 1, 1 << 55) if n % 5 == 3 else (None, None)  # as its header says
            assert found[n] == (key, Parked(scene.topic, 0, n, at + n, 1, klass, *sampling, names, value))
        member.reader.replay(1e6)
        member.deliver_until(lambda: len(member.delivered) == 520)
        assert member.delivered[500:] != []
        assert Counter(member.delivered) == Counter((scene.topic, 0, n) for n in range(520))
        eviction.look([BULK])
        assert eviction.go_on() == 0
        member.wait_until(member.committed_all)
    assert committed(scene.servers, scene.group, scene.topic, 1) == {0: 520}


def test_what_kafka_does_not_take_is_delivered_after_all(scene: Scene) -> None:
    produce(scene.servers, scene.topic, numbers(20), 0)
    produce(scene.servers, scene.topic, [b'{"type":"purchase"}'] * 60, 0)
    nowhere = {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": "300", "log_level": "0"}
    parks = {"attempts": 1, "records": 128}
    with scene.member(span=SPAN, defers=[BULK], more=nowhere, parks=parks, format="envelope") as member:
        assert member.producer is not None
        eviction = Eviction(member.dispatcher, member.producer)
        member.wait_assigned(3, 40)
        member.wait_until(lambda: scene.lane(member).reason == "span")
        eviction.look([BULK])
        assert eviction.go_on() == 16  # an eighth of the producer's records
        member.wait_until(lambda: not sum(member.ledger.parking()), idle=member.settle_parked)
        assert member.producer.stats()["returned"] == 16
        assert member.dispatcher.conservation() == (0, 0, 0, 0)
        assert member.conserved()
        assert member.producer.stats()["bytes"] == 0
        member.deliver_until(scene.settled(member, 80))
        assert scene.ends(member) == {"polled": 80, "delivered": 80}
        assert Counter(member.delivered) == Counter((scene.topic, 0, n) for n in range(80))
    assert committed(scene.servers, scene.group, scene.topic, 1) == {0: 80}


def test_topics_that_can_wait_in_kafka_are_left_alone(broker: Broker) -> None:
    scene = Scene(broker, "bulk", partitions=1)
    produce(scene.servers, scene.topic, numbers(SPAN + 20), 0)
    with scene.member(span=SPAN, defers=[BULK], waits=[BULK]) as member:
        assert member.producer is not None
        eviction = Eviction(member.dispatcher, member.producer)
        member.reader.limit(BULK, None)
        member.wait_assigned(3, 40)
        member.wait_until(lambda: scene.lane(member).reason == "span")
        eviction.look([BULK])
        assert not eviction.under_way


def test_a_sampled_record_keeps_what_is_known_of_it() -> None:
    """R and T go along; null is not empty; and whose timestamp it is."""
    block = header_block([(b"a", b"1"), (b"b", None)])
    with EmbeddedBroker({"parked": 1}) as broker:
        rig = Rig({"bootstrap.servers": broker.bootstrap_servers})
        number = rig.flow.slot()
        for offset, (value, flags, extra) in enumerate(
            [
                (b"", NULL, Extra(randomness=7, threshold=5)),
                (b"", APPENDED, Extra(randomness=(1 << 56) - 1)),
                (b"x", 0, Extra(factor=2.0)),
            ]
        ):
            rig.ledger.test_read(number, offset, BULK)
            assert rig.flow.rings.push(
                BULK, value, slot=number, offset=offset, flags=WHOLE | flags, headers=block, key=b"k",
                timestamp_ms=1_790_000_000_000, extra=extra,
            )  # fmt: skip
        gap = rig.ledger.test_read(number, HALF + 9, CRITICAL)
        rig.ledger.test_settle(number, HALF + 9, 1, gap or 0, CRITICAL)
        rig.eviction.look([BULK])
        assert rig.eviction.go_on() == 3
        assert rig.producer.close(10) == []
        found = [decode(envelope)[1] for _, envelope in stored(broker.bootstrap_servers, "parked")]
    plain = Parked("orders", 0, 0, 1_790_000_000_000, 1, BULK, 7, 5, ((b"a", b"1"), (b"b", None)), None)
    assert found == [
        plain,
        plain._replace(offset=1, timestamp_type=2, randomness=(1 << 56) - 1, threshold=None, payload=b""),
        plain._replace(offset=2, randomness=None, threshold=None, payload=b"x"),
    ]
    assert rig.ledger.totals()["bulk"]["deferred"] == 3
