"""The producer of the parking topic: what Kafka has comes back whole, what it has not is nowhere else either."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from harness.fixtures import require_java
from harness.kafka import KafkaServer
from harness.scene import Broker
from harness.topics import create_topic, ends, partitions_of
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.parked import decode
from tidegate.core.parking import Parked, ParkingFailure
from tidegate.core.producer_face import ProducerFace
from tidegate.errors import ConfigError, KafkaClientError

LIVE, CLOSING, DEAD = 1, 2, 3  # ledger.pxd
BULK = 3
PRODUCE = 0  # Kafka's ApiKey
NOT_AUTHORISED, TOO_LARGE, INVALID_RECORD, REQUEST_TIMED_OUT, OUT_OF_ORDER, FEW_REPLICAS = 29, 10, 87, 7, 45, 19
PLAIN = Parked("", 0, 0, 1_700_000_000_000, 1, BULK, None, None, (), b"{}")


class Parking:
    """A producer with the test as its reader and its event loop: one partition of one topic, from offset 0."""

    def __init__(self, servers: str, topic: str = "parked", *, span: int = 1 << 17, **more: Any) -> None:
        properties = {
            "bootstrap.servers": servers,
            "topic.metadata.propagation.max.ms": "500",
            "topic.metadata.refresh.interval.ms": "300",
            "reconnect.backoff.max.ms": "200",
        }
        properties |= more.pop("properties", {})
        self.ledger = LedgerFace(span)
        self.ledger.add_lane("orders")
        self.slot = self.ledger.test_open(0, 7, 0)
        self.producer = ProducerFace(properties, topic, self.ledger, **more)
        self.failures: list[ParkingFailure] = []

    def park(self, offset: int, key: bytes | None = b"k", **fields: Any) -> str:
        return self.producer.test_park(self.slot, PLAIN._replace(offset=offset, **fields), key)

    def drain(self, seconds: float = 0.02) -> None:
        select.select([self.producer.fileno()], [], [], seconds)
        self.failures += self.producer.drain()

    def drain_until(self, done: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, (self.producer.stats(), self.failures, self.producer.mailbox.drain())
            self.drain()

    def idle(self) -> bool:
        return not sum(self.ledger.parking())

    def stands(self) -> dict[str, int]:
        return self.ledger.test_slot(self.slot)

    def codes(self) -> set[str]:
        return {one.code for one in self.failures}

    def row(self) -> dict[str, int]:
        """Dispositions of bulk records; checks that none is missing and none counted twice."""
        row = self.ledger.totals()["bulk"]
        ended = sum(n for name, n in row.items() if name != "polled")
        assert row["polled"] == ended + self.ledger.parking()[BULK], (row, self.ledger.parking())
        return {name: n for name, n in row.items() if n}


@contextmanager
def parking(servers: str, topic: str = "parked", **more: Any) -> Iterator[Parking]:
    made = Parking(servers, topic, **more)
    try:
        yield made
    finally:
        made.producer.close(0)


def stored(servers: str, topic: str) -> list[tuple[bytes | None, bytes]]:
    """Key and value of each record of a topic."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "look", "enable.partition.eof": True})
    partitions = partitions_of(servers, [topic])
    consumer.assign([TopicPartition(*one, 0) for one in partitions])
    found: list[tuple[bytes | None, bytes]] = []
    left, deadline = len(partitions), time.monotonic() + 30
    try:
        while left:
            assert time.monotonic() < deadline
            for message in consumer.consume(5000, 0.5):
                error = message.error()
                if error is None:
                    assert not message.headers()
                    found.append((message.key(), message.value()))
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left -= 1
        return found
    finally:
        consumer.close()


def offsets(servers: str, topic: str = "parked") -> Counter[int]:
    """How often each parked offset is stored."""
    found = [decode(value)[1] for _, value in stored(servers, topic)]
    return Counter(-1 if one is None else one.offset for one in found)


@pytest.fixture
def embedded() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"parked": 4}) as broker:
        yield broker


@pytest.fixture
def topic(broker: Broker) -> str:
    name = f"parked-{time.time_ns()}"
    broker.create(name, 3, {})
    return name


# ── what Kafka takes ────────────────────────────────────────────────────────────────────────────────────────────────

SHAPES = [
    (None, PLAIN),
    (b"", PLAIN._replace(payload=b"")),
    (b"key", PLAIN._replace(payload=None)),
    (b"\0\xff", PLAIN._replace(payload=b"\0\xff", timestamp_ms=-1, timestamp_type=0)),
    (b"h", PLAIN._replace(headers=((b"a", b"1"), (b"a", None), (b"b", b""), (b"a", b"1")))),
    (b"s", PLAIN._replace(randomness=(1 << 56) - 1, threshold=0, klass=2, timestamp_type=2)),
    (b"r", PLAIN._replace(randomness=0, klass=1)),
    (b"large", PLAIN._replace(payload=os.urandom(200_000), headers=((b"x" * 300, b"y" * 70_000),))),
]


def test_everything_of_a_record_comes_back(broker: Broker, topic: str) -> None:
    with parking(broker.bootstrap_servers, topic) as one:
        for offset, (key, record) in enumerate(SHAPES):
            assert one.producer.test_park(one.slot, record._replace(offset=offset), key) == "parked"
        assert one.ledger.parking() == (0, 1, 1, 6)
        assert one.stands()["frontier"] == 0
        one.drain_until(one.idle)
        assert not one.failures
        assert one.stands()["frontier"] == len(SHAPES) == one.stands()["next"]
        assert [row["deferred"] for row in one.ledger.totals().values()] == [0, 1, 1, 6]
        assert one.ledger.times()[1] > 0
    wanted = {
        offset: (key, record._replace(topic="orders", partition=7, offset=offset))
        for offset, (key, record) in enumerate(SHAPES)
    }
    found = stored(broker.bootstrap_servers, topic)
    assert len(found) == len(wanted)
    for key, value in found:
        status, record = decode(value)
        assert status == "ok"
        assert record is not None
        assert (key, record) == wanted[record.offset]


def test_a_hundred_thousand_through_a_small_queue(broker: Broker, topic: str) -> None:
    """The queue is full most of the time, and nothing is lost, nothing stored or counted twice."""
    count = 100_000
    with parking(broker.bootstrap_servers, topic, records=512, properties={"linger.ms": "1"}) as one:
        full: list[tuple[int, int]] = []
        keys = [b"%d" % n for n in range(100)]
        reader = threading.Thread(
            target=lambda: full.append(one.producer.test_park_many(one.slot, keys, [b"x" * 9] * 100, count))
        )
        reader.start()
        one.drain_until(lambda: not reader.is_alive() and one.idle(), 90)
        assert full[0][0] > 10
        assert full[0][1] == 0
        assert one.row() == {"polled": count, "deferred": count}
        stands = one.stands()
        assert (stands["frontier"], stands["next"], stands["settled"], stands["parked"]) == (count,) * 4
        assert one.producer.stats()["bytes"] == 0
        assert not one.failures
    assert offsets(broker.bootstrap_servers, topic) == Counter(range(count))


@pytest.mark.parametrize(
    ("partitions", "wanted"),
    [
        (4, {3}),
        (3, {1}),
        (0, {0, 1, 2, 3}),  # librdkafka's choice, by the key
        (8, {0, 1, 2, 3}),  # the topic has fewer by now: there is no partition 7
    ],
)
def test_a_record_goes_to_the_partition_with_its_own_number(
    embedded: EmbeddedBroker, partitions: int, wanted: set[int]
) -> None:
    with parking(embedded.bootstrap_servers, partitions=partitions) as one:
        one.park(0)  # before it the client does not know how many there are
        one.drain_until(one.idle)
        for offset in range(1, 100):
            assert one.park(offset, b"key %d" % offset) == "parked"
        one.drain_until(one.idle)
        assert one.row() == {"polled": 100, "deferred": 100}
        # The first was given to librdkafka before it could know better.
        assert one.codes() == ({"topic-missing"} if partitions == 8 else set())
    assert offsets(embedded.bootstrap_servers) == Counter(range(100))
    assert {p for p in range(4) if ends(embedded.bootstrap_servers, [("parked", p)])["parked", p]} == wanted


def test_librdkafkas_own_limit_is_a_full_queue_too(embedded: EmbeddedBroker) -> None:
    properties = {"queue.buffering.max.messages": "20", "linger.ms": "300"}
    with parking(embedded.bootstrap_servers, properties=properties) as one:
        answers = [one.park(0)] + [one.park(n) for n in range(1, 20)]
        assert answers == ["parked"] * 20
        before = one.stands()
        assert one.park(20) == "full"
        assert one.stands() == before
        one.drain_until(one.idle)
        assert one.park(20) == "parked"
        one.drain_until(one.idle)
        assert one.row() == {"polled": 21, "deferred": 21}
        assert one.producer.stats()["bytes"] == 0


def test_the_bytes_of_all_records_are_bounded_and_a_large_one_goes_alone(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers, bytes=5000, properties={"linger.ms": "200"}) as one:
        assert [one.park(n, payload=b"x" * 2000) for n in range(3)] == ["parked", "parked", "full"]
        assert one.producer.test_room(100) == (True, 0)
        assert one.producer.test_room(1000) == (False, 0)
        one.drain_until(one.idle)
        assert one.park(2, payload=b"x" * 100_000) == "parked"
        assert one.park(3) == "full"
        one.drain_until(one.idle)
        assert one.park(3) == "parked"
        one.drain_until(one.idle)
    assert offsets(embedded.bootstrap_servers) == Counter(range(4))


def test_the_reader_is_woken_when_there_is_room_again(embedded: EmbeddedBroker) -> None:
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    try:
        with parking(embedded.bootstrap_servers, records=2) as one:
            assert [one.park(n) for n in range(3)] == ["parked", "parked", "full"]
            one.producer.test_want(wake)
            one.drain(0)
            assert not select.select([wake], [], [], 0)[0]
            one.drain_until(one.idle)
            assert os.eventfd_read(wake) == 1
            assert one.park(2) == "parked"
            one.drain_until(one.idle)  # nobody asked any more
            assert not select.select([wake], [], [], 0)[0]
    finally:
        os.close(wake)


def test_neighbours_are_settled_together_and_gaps_with_them(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers, properties={"linger.ms": "100"}) as one:
        for offset in (0, 1, 2, 5, 6, 9):
            one.park(offset)  # one key, so one partition, in order
        one.drain_until(one.idle)
        assert one.producer.stats()["runs"] == 3
        assert one.stands()["frontier"] == 10


def test_a_broker_that_is_killed_and_comes_back() -> None:
    require_java()
    count = 30_000
    with KafkaServer() as server:
        server.create_topic("parked", 3)
        with parking(server.bootstrap_servers, records=2048, properties={"linger.ms": "2"}) as one:
            done: list[tuple[int, int]] = []
            reader = threading.Thread(
                target=lambda: done.append(one.producer.test_park_many(one.slot, [b"a", b"b", b"c"], [b"x"] * 3, count))
            )
            reader.start()
            one.drain_until(lambda: one.stands()["settled"] > 1000)
            server.kill()
            one.drain_until(lambda: one.ledger.parking()[BULK] == 2048 - 256 or not reader.is_alive())
            # An eighth of the entries is for what the event loop parks out of the rings.
            assert reader.is_alive(), "all was parked before the broker died"
            settled = one.stands()["settled"]
            server.start()
            one.drain_until(lambda: one.idle() and not reader.is_alive(), 60)
            assert one.stands()["settled"] > settled
            assert done == [(done[0][0], 0)]
            assert one.row() == {"polled": count, "deferred": count}
            assert not one.failures
            assert "error" in {kind for kind, *_ in one.producer.mailbox.drain()}
        assert offsets(server.bootstrap_servers) == Counter(range(count))  # idempotence: none twice


# ── what Kafka does not take ────────────────────────────────────────────────────────────────────────────────────────


def test_a_topic_that_is_missing_is_named_and_its_records_come_back(kafka: str) -> None:
    topic = f"missing-{time.time_ns()}"
    with parking(kafka, topic, attempts=2, retry_seconds=0.1) as one:
        for offset in range(5):
            assert one.park(offset, key=None if offset == 3 else b"%d" % offset) == "parked"
        one.drain_until(lambda: one.producer.stats()["returned"] == 5)
        assert one.codes() == {"topic-missing"}
        assert topic in one.failures[0].hint
        assert "Create the topic" in one.failures[0].hint
        assert one.failures[0][6:] == (0, "orders", 7, 0)
        assert sum(f.again for f in one.failures) == 5 == sum(f.returned for f in one.failures)
        assert one.row() == {"polled": 5}  # none has ended
        assert one.stands()["frontier"] == 0
        for offset in range(5):
            slot, gap, record, key = one.producer.test_back() or pytest.fail("too few came back")
            assert (slot, gap, key) == (one.slot, 0, None if offset == 3 else b"%d" % offset)
            assert record == PLAIN._replace(topic="orders", partition=7, offset=offset)
        assert one.producer.test_back() is None
        assert one.idle()
        assert one.stands()["parked"] == 0
        assert one.stands()["read"] == 5
        before = one.stands()
        assert one.park(5) == "failed"  # librdkafka knows by now, and says so at once
        assert one.producer.test_room(1) == (True, -188)
        assert one.stands() == before
        create_topic(kafka, topic, 1)
        one.drain_until(lambda: one.park(5) == "parked")
        one.drain_until(one.idle)
        assert one.ledger.totals()["bulk"]["deferred"] == 1
    assert offsets(kafka, topic) == Counter([5])


def test_a_topic_that_is_made_in_time_takes_what_waited(kafka: str) -> None:
    topic = f"late-{time.time_ns()}"
    with parking(kafka, topic, attempts=16, retry_seconds=0.2) as one:
        for offset in range(50):
            one.park(offset)
        one.drain_until(lambda: one.producer.stats()["waiting"] == 50)
        assert one.park(50) == "full"  # what failed comes first
        assert one.producer.test_room(1) == (False, 0)
        create_topic(kafka, topic, 1)
        one.drain_until(one.idle)
        assert one.row() == {"polled": 50, "deferred": 50}
        assert one.producer.stats()["repeated"] >= 50
        assert one.park(50) == "parked"
        one.drain_until(one.idle)
    assert offsets(kafka, topic) == Counter(range(51))


def test_a_record_that_is_too_large_for_the_topic_comes_back_at_once(kafka: str) -> None:
    topic = f"small-{time.time_ns()}"
    create_topic(kafka, topic, 1, {"max.message.bytes": "3000"})
    with parking(kafka, topic, retry_seconds=30) as one:
        one.park(0)
        one.drain_until(one.idle)
        one.park(1, payload=os.urandom(5000))
        one.drain_until(lambda: one.failures)
        assert one.codes() == {"message-too-large"}
        assert "max.message.bytes" in one.failures[0].hint
        assert (one.failures[0].returned, one.failures[0].again) == (1, 0)
        back = one.producer.test_back()
        assert back is not None
        assert len(back[2].payload or b"") == 5000
        assert one.park(2) == "parked"
        one.drain_until(one.idle)
        assert one.stands()["frontier"] == 1  # the one that came back holds it
    assert offsets(kafka, topic) == Counter([0, 2])


def test_a_record_that_is_too_large_for_librdkafka_stays_with_the_reader(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers, properties={"message.max.bytes": "2000"}) as one:
        before = one.stands()
        assert one.park(0, payload=b"x" * 3000) == "failed"
        assert one.producer.test_room(1) == (True, TOO_LARGE)
        assert one.stands() == before
        assert one.row() == {}
        assert one.producer.stats()["bytes"] == 0
        assert one.park(0) == "parked"
        one.drain_until(one.idle)


@pytest.mark.parametrize(
    ("error", "code", "again"),
    [(NOT_AUTHORISED, "not-authorised", 1), (INVALID_RECORD, "refused-by-topic", 0), (99, "other", 1)],
)
def test_a_refusal_is_named_and_tried_again_where_that_can_help(
    embedded: EmbeddedBroker, error: int, code: str, again: int
) -> None:
    with parking(embedded.bootstrap_servers, retry_seconds=0.02, attempts=16) as one:
        one.park(0)
        one.drain_until(one.idle)
        embedded.push_errors(PRODUCE, error)
        one.park(1)
        one.drain_until(lambda: one.failures)
        assert one.codes() == {code}
        assert (one.failures[0].again, one.failures[0].returned) == (again, 1 - again)
        if again:
            one.drain_until(one.idle)
            assert one.row() == {"polled": 2, "deferred": 2}
        else:
            assert one.producer.test_back() is not None
    assert offsets(embedded.bootstrap_servers) == Counter(range(1 + again))


def test_a_topic_with_too_few_replicas_in_sync_is_waited_for(embedded: EmbeddedBroker) -> None:
    """librdkafka tries again by itself: no attempt of ours is used up, and nothing is stored twice."""
    with parking(embedded.bootstrap_servers, attempts=1, properties={"linger.ms": "1"}) as one:
        one.park(0)
        one.drain_until(one.idle)
        embedded.push_errors(PRODUCE, *[FEW_REPLICAS] * 4)
        begun = time.monotonic()
        for offset in range(1, 20):
            assert one.park(offset) == "parked"
        one.drain_until(one.idle)
        assert time.monotonic() - begun > 0.2, "none was refused"
        assert not one.failures
        assert one.row() == {"polled": 20, "deferred": 20}
    assert offsets(embedded.bootstrap_servers) == Counter(range(20))


def test_what_timed_out_is_produced_again_when_the_broker_is_back(embedded: EmbeddedBroker) -> None:
    """With the key that it had, and not twice: none was ever sent."""
    properties = {"message.timeout.ms": "500", "linger.ms": "1"}
    with parking(embedded.bootstrap_servers, retry_seconds=0.3, attempts=9, properties=properties) as one:
        one.park(0)
        one.drain_until(one.idle)
        embedded.set_broker_down(1)
        wanted = Counter([(b"k", PLAIN._replace(offset=0))])
        for offset in range(1, 30):
            key = (None, b"", b"key")[offset % 3]
            record = PLAIN._replace(offset=offset, headers=((b"n", b"%d" % offset),), payload=b"x" * offset)
            assert one.producer.test_park(one.slot, record, key) == "parked"
            wanted[key, record] += 1
        one.drain_until(lambda: one.failures)
        assert one.codes() == {"timed-out"}
        embedded.set_broker_up(1)
        one.drain_until(one.idle)
        assert one.row() == {"polled": 30, "deferred": 30}
        assert one.stands()["frontier"] == 30
        assert one.producer.stats()["uncertain"] == 0
    found = Counter((key, decode(value)[1]) for key, value in stored(embedded.bootstrap_servers, "parked"))
    assert found == {(key, record._replace(topic="orders", partition=7)): n for (key, record), n in wanted.items()}


def test_what_kafka_may_have_after_all_is_counted(embedded: EmbeddedBroker) -> None:
    """Sent, unanswered and out of time: it is parked again, and may be there twice. That is known, by number."""
    properties = {"message.timeout.ms": "800", "linger.ms": "1", "retry.backoff.ms": "50"}
    with parking(embedded.bootstrap_servers, retry_seconds=0.3, attempts=9, properties=properties) as one:
        one.park(0)
        one.drain_until(one.idle)
        embedded.push_errors(PRODUCE, *[REQUEST_TIMED_OUT] * 8)
        one.park(1)
        one.drain_until(lambda: one.failures)
        assert one.codes() == {"timed-out"}
        assert one.producer.stats()["uncertain"] == 1  # the one that was sent
        one.drain_until(one.idle)
        assert one.row() == {"polled": 2, "deferred": 2}


def test_a_producer_that_failed_for_good_gives_everything_back(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers, retry_seconds=0.1) as one:
        one.park(0)
        one.drain_until(one.idle)
        assert one.producer.usable
        embedded.push_errors(PRODUCE, OUT_OF_ORDER)
        one.park(1)
        one.park(2)
        one.drain_until(lambda: one.producer.stats()["returned"] == 2)
        assert not one.producer.usable
        assert ("error", OUT_OF_ORDER) in {(kind, code) for kind, code, *_ in one.producer.mailbox.drain()}
        assert one.park(3) == "failed"
        for offset in (1, 2):
            back = one.producer.test_back()
            assert back is not None
            assert back[2].offset == offset
        assert one.idle()
        assert one.producer.stats()["bytes"] == 0
        assert one.producer.close(5) == []
        assert one.ledger.totals()["bulk"]["deferred"] == 1


# ── revocation and the end ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_acknowledgement_for_a_partition_that_is_gone_is_void(embedded: EmbeddedBroker) -> None:
    with parking(embedded.bootstrap_servers, properties={"linger.ms": "200"}) as one:
        one.park(0)
        one.ledger.test_state(one.slot, DEAD)
        other = one.ledger.test_open(0, 7, 0)
        assert other != one.slot
        one.drain_until(one.idle)
        assert one.stands()["frontier"] == 0
        assert one.ledger.irregular()["stale"] == 1
        assert one.row() == {"polled": 1, "deferred": 1}
        assert one.ledger.test_open(0, 8, 0) == one.slot  # nothing names it any more


@pytest.mark.parametrize("state", [CLOSING, DEAD])
def test_what_failed_of_a_partition_that_is_gone_is_discarded(embedded: EmbeddedBroker, state: int) -> None:
    """It holds up no revocation, and is not produced again: its next owner reads it."""
    with parking(embedded.bootstrap_servers, retry_seconds=30) as one:
        one.park(0)
        one.drain_until(one.idle)
        embedded.push_errors(PRODUCE, NOT_AUTHORISED, NOT_AUTHORISED)
        one.park(1)
        one.drain_until(lambda: one.producer.stats()["waiting"] == 1)
        assert not one.idle()
        one.ledger.test_state(one.slot, state)
        one.drain_until(one.idle, 2)
        assert one.row() == {"polled": 2, "deferred": 1, "discarded": 1}
        assert one.failures[-1].discarded == 1
        stands = one.stands()
        assert stands["settled"] == stands["read"] == stands["parked"] == 2
        assert stands["frontier"] == 1


@pytest.mark.parametrize("error", [NOT_AUTHORISED, INVALID_RECORD])
def test_a_refusal_for_a_partition_that_is_gone_is_discarded_at_once(embedded: EmbeddedBroker, error: int) -> None:
    """It does not go back to the reader, which has let the partition go."""
    with parking(embedded.bootstrap_servers, properties={"linger.ms": "100"}) as one:
        one.park(0)
        one.drain_until(one.idle)
        embedded.push_errors(PRODUCE, error)
        one.park(1)
        one.ledger.test_state(one.slot, CLOSING)
        one.drain_until(one.idle)
        assert one.row() == {"polled": 2, "deferred": 1, "discarded": 1}
        assert [(f.again, f.returned, f.discarded) for f in one.failures] == [(0, 0, 1)]
        assert one.producer.test_back() is None


def test_closing_sends_what_lingers(broker: Broker, topic: str) -> None:
    one = Parking(broker.bootstrap_servers, topic, properties={"linger.ms": "30000"})
    for offset in range(5000):
        assert one.park(offset, key=None) == "parked"
    begun = time.monotonic()
    assert one.producer.close(30) == []
    assert time.monotonic() - begun < 20
    assert one.row() == {"polled": 5000, "deferred": 5000}
    assert one.stands()["frontier"] == 5000
    assert one.producer.close(1) == []
    assert one.producer.drain() == []
    assert one.park(5000) == "full"
    assert offsets(broker.bootstrap_servers, topic) == Counter(range(5000))


def test_closing_says_what_was_not_acknowledged(embedded: EmbeddedBroker) -> None:
    """Some stored, some in librdkafka, some waiting for another try, some given back: each ends once."""
    one = Parking(embedded.bootstrap_servers, retry_seconds=30)
    one.park(0)
    one.drain_until(one.idle)
    embedded.push_errors(PRODUCE, INVALID_RECORD)
    one.park(1)
    one.drain_until(lambda: one.producer.stats()["returned"] == 1)
    one.park(2)
    one.drain_until(lambda: one.ledger.parking()[BULK] == 1)
    embedded.set_broker_down(1)
    for offset in range(3, 100):
        one.park(offset)
    begun = time.monotonic()
    failures = one.producer.close(0.3)
    assert time.monotonic() - begun < 5
    assert sum(one.discarded for one in failures) == 98
    assert {one.code for one in failures} == {"given-up", "refused-by-topic"}
    assert not any(one.again or one.returned for one in failures)
    assert one.row() == {"polled": 100, "deferred": 2, "discarded": 98}
    assert one.ledger.parking() == (0, 0, 0, 0)
    assert one.stands()["frontier"] == 1
    embedded.set_broker_up(1)
    assert offsets(embedded.bootstrap_servers) == Counter([0, 2])


def test_closing_amid_parking_accounts_for_all(kafka: str) -> None:
    topic = f"amid-{time.time_ns()}"
    create_topic(kafka, topic, 3)
    one = Parking(kafka, topic, properties={"linger.ms": "1"})
    one.producer.test_park_many(one.slot, [b"a", b"b", b"c"], [b"x" * 300] * 3, 20_000)
    one.drain(0.5)
    one.producer.close(0)
    row = one.row()
    assert row["deferred"] + row.get("discarded", 0) == 20_000
    found = offsets(kafka, topic)
    assert set(found.values()) <= {1}
    # What was acknowledged is stored, and the frontier passes nothing else.
    assert len(found) >= row["deferred"]
    assert set(range(one.stands()["frontier"])) <= found.keys()


def test_one_that_is_dropped_without_a_close_takes_no_harm(embedded: EmbeddedBroker) -> None:
    one = Parking(embedded.bootstrap_servers)
    for offset in range(100):
        one.park(offset)
    del one


# ── making one ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_property_that_librdkafka_refuses_is_named() -> None:
    with pytest.raises(ConfigError, match=r"Kafka property linger\.ms"):
        ProducerFace({"linger.ms": "soon"}, "parked", LedgerFace())
    with pytest.raises(ConfigError, match=r"Kafka property message\.max\.bytes"):
        ProducerFace({"message.max.bytes": "many"}, "parked", LedgerFace())
    with pytest.raises(KafkaClientError, match="idempotence"):
        ProducerFace({"acks": "1"}, "parked", LedgerFace())


@pytest.mark.parametrize("records", [0, (1 << 24) + 1])
def test_a_pool_has_bounds(records: int) -> None:
    with pytest.raises(ValueError, match="a pool has"):
        ProducerFace({}, "parked", LedgerFace(), records=records)
