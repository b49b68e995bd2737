"""What waits in the parking topic: every record counted once, by a reader that takes nothing."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Sequence

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from harness.park import park
from harness.ports import free_ports
from harness.scene import Broker
from harness.topics import committed, create_topic, delete_records, ends, partitions_of
from tidegate.broker import parked_records
from tidegate.broker.admin import NoAnswerError
from tidegate.broker.looking import looking
from tidegate.broker.parked_records import Listing, Range, Tally, drop, listing
from tidegate.config import Settings, load
from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.errors import BrokerError
from tidegate.types import CLASSES

Pair = tuple[bytes | None, Parked]
_numbers = itertools.count()


def settings(servers: str, topic: str, **more: str) -> Settings:
    environ = {"kafka_bootstrap_servers": servers, "group_id": f"group-{topic}", "parking_topic": topic} | more
    return load({f"TIDEGATE_{name.upper()}": value for name, value in environ.items()})


def some(count: int, seed: int = 1) -> list[Pair]:
    """Records of every class and of three topics, as varied as they come."""
    pick = random.Random(seed)
    return [
        (
            pick.choice((None, b"", b"key-%d" % pick.randrange(9))),
            Parked(
                pick.choice(("orders", "views", "clicks")),
                pick.randrange(3),
                offset,
                pick.choice((-1, 1_700_000_000_000 + pick.randrange(10**9))),
                1,
                pick.randrange(4),
                pick.choice((None, pick.randrange(1 << 56))),
                None,
                tuple((b"h%d" % n, pick.choice((None, b"v" * n))) for n in range(pick.randrange(3))),
                pick.choice((None, b"", b"x" * pick.randrange(300))),
            ),
        )
        for offset in range(count)
    ]


def model(pairs: Sequence[Pair]) -> tuple[dict[str, Tally], dict[str, Tally]]:
    """By class and by topic, told in plain Python."""

    def tally(chosen: list[Pair]) -> Tally:
        times = [record.timestamp_ms for _, record in chosen if record.timestamp_ms >= 0]
        size = sum(len(key or b"") + len(encode(record)) for key, record in chosen)
        return Tally(len(chosen), size, min(times, default=None), max(times, default=None))

    classes = {k.label: [p for p in pairs if p[1].klass == k] for k in CLASSES}
    topics = {t: [p for p in pairs if p[1].topic == t] for t in {record.topic for _, record in pairs}}
    return {n: tally(c) for n, c in classes.items() if c}, {n: tally(c) for n, c in topics.items()}


def write(servers: str, topic: str, values: Sequence[bytes | None], **properties: str) -> None:
    """Something else writes to the topic."""
    producer = Producer({"bootstrap.servers": servers, **properties})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def commit(servers: str, group: str, topic: str, offsets: dict[int, int]) -> None:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, n, offset) for n, offset in offsets.items()], asynchronous=False)
    consumer.close()


@pytest.fixture
def topic(broker: Broker) -> str:
    return made(broker)


def made(broker: Broker, partitions: int = 3) -> str:
    name = f"parked-{os.getpid()}-{next(_numbers)}"
    broker.create(name, partitions, {})
    return name


def test_every_record_is_counted_once(broker: Broker, topic: str) -> None:
    pairs = some(2500)
    park(broker.bootstrap_servers, topic, pairs)
    newer = bytearray(encode(pairs[0][1]))
    newer[2] += 1
    write(broker.bootstrap_servers, topic, [b"hello", None, bytes(newer), encode(pairs[1][1])[:-1]])
    found = listing(settings(broker.bootstrap_servers, topic), 10**6)
    classes, topics = model(pairs)
    assert (found.classes, found.topics) == (classes, topics)
    assert (found.waiting, found.read, found.complete) == (2504, 2504, True)
    assert sum(found.foreign.values()) == 4
    assert found.foreign["version"] == 1
    assert committed(broker.bootstrap_servers, found.group, partitions_of(broker.bootstrap_servers, [topic])) == {}


def test_a_limit_bounds_what_is_read_and_not_what_is_counted(broker: Broker, topic: str) -> None:
    park(broker.bootstrap_servers, topic, some(1500))
    chosen = settings(broker.bootstrap_servers, topic)
    found = listing(chosen, 100)
    assert (found.read, found.waiting, found.complete) == (100, 1500, False)
    assert sum(one.records for one in found.classes.values()) == 100
    none = listing(chosen, 0)
    assert (none.read, none.waiting, none.complete, none.classes) == (0, 1500, False, {})
    assert listing(chosen, 1500).complete


def test_what_the_group_has_taken_back_does_not_wait(broker: Broker, topic: str) -> None:
    servers, group = broker.bootstrap_servers, f"group-{topic}"
    park(servers, topic, some(900))
    before = listing(settings(servers, topic), 10**6)
    zero, one, two = before.ranges
    assert min(part.records for part in before.ranges) > 10, "the keys are spread"
    commit(servers, group, topic, {0: zero.end, 1: 7, 2: two.end + 100})
    found = listing(settings(servers, topic), 10**6)
    # An offset beyond the end was committed in a topic that was here before: all of this one waits.
    assert found.ranges == (Range(0, zero.end, zero.end), Range(1, 7, one.end), two)
    assert found.read == found.waiting == one.end - 7 + two.end
    commit(servers, group, topic, {n: part.end for n, part in enumerate(before.ranges)})
    nothing = listing(settings(servers, topic), 10**6)
    assert (nothing.waiting, nothing.read, nothing.complete, nothing.classes) == (0, 0, True, {})


def test_what_comes_while_it_is_read_is_left_out(broker: Broker, topic: str) -> None:
    chosen = settings(broker.bootstrap_servers, topic)
    pairs = some(700)
    park(broker.bootstrap_servers, topic, pairs)
    found = listing(chosen, 0)
    park(broker.bootstrap_servers, topic, some(400, seed=2))
    read_up_to(chosen, found)
    assert (found.classes, found.topics) == model(pairs)


def read_up_to(chosen: Settings, found: Listing) -> None:
    """Reads what is in the ranges that were found earlier."""
    left = {part.partition: part for part in found.ranges}
    with looking(chosen) as consumer:
        parked_records._read(chosen, consumer, found, left, 10**6)
    assert not left


def test_a_topic_that_is_not_there_is_said_and_not_made(broker: Broker) -> None:
    chosen = settings(broker.bootstrap_servers, f"nowhere-{next(_numbers)}")
    for _ in range(2):
        with pytest.raises(BrokerError, match="there is no topic nowhere") as caught:
            listing(chosen, 10)
        assert (caught.value.code, caught.value.exit_code) == ("no-topic", 1)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(parked_records, "SECONDS", 0.5)
    with pytest.raises(NoAnswerError):
        listing(settings(f"127.0.0.1:{free_ports(1)[0]}", "parked"), 10)
    assert capfd.readouterr().err == ""


def test_what_was_dropped_is_gone_and_what_came_later_is_not(kafka_broker: Broker) -> None:
    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker)
    chosen = settings(servers, topic)
    park(servers, topic, some(600))
    commit(servers, f"group-{topic}", topic, {1: 20})
    seen = listing(chosen, 0)
    assert seen.waiting == 580
    later = some(200, seed=2)
    park(servers, topic, later)
    assert drop(chosen, seen.ranges) == 580
    left = listing(chosen, 10**6)
    assert (left.classes, left.topics) == model(later)
    assert left.waiting == 200
    assert [part.start for part in left.ranges] == [part.end for part in seen.ranges]
    assert drop(chosen, ()) == 0


def test_what_retention_took_does_not_wait(kafka_broker: Broker) -> None:
    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker)
    park(servers, topic, some(600))
    commit(servers, f"group-{topic}", topic, {0: 3})
    delete_records(servers, {(topic, 0): 10})
    found = listing(settings(servers, topic), 10**6)
    assert [part.start for part in found.ranges] == [10, 0, 0]
    assert found.read == found.waiting == 590


def test_an_end_that_no_record_has_is_reached(kafka_broker: Broker) -> None:
    """The markers of somebody's aborted transaction stand last in the log, and are never handed out."""
    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker, 1)
    park(servers, topic, some(50))
    producer = Producer({"bootstrap.servers": servers, "transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"void")
    producer.flush(20)
    producer.abort_transaction(20)
    deadline = time.monotonic() + 20
    while ends(servers, [(topic, 0)]) != {(topic, 0): 52}:  # the marker comes a little after the answer
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = listing(settings(servers, topic), 10**6)
    assert (found.read, found.complete) == (50, True)
    assert found.waiting == 52, "by offsets, and both are ones"
    seen = listing(settings(servers, topic), 0)
    park(servers, topic, some(10, seed=2))
    read_up_to(settings(servers, topic), seen)
    assert seen.read == 50, "what follows the markers came later"


def test_a_broker_that_cannot_delete_says_so() -> None:
    from tidegate.broker.embedded import EmbeddedBroker

    with EmbeddedBroker({"parked": 2}) as broker:
        chosen = settings(broker.bootstrap_servers, "parked")
        park(broker.bootstrap_servers, "parked", some(50))
        with pytest.raises(BrokerError, match="0 of 50 records were dropped from parked") as caught:
            drop(chosen, listing(chosen, 0).ranges)
        assert caught.value.code == "not-dropped"
        assert listing(chosen, 100).read == 50


def test_what_may_not_be_read_is_said(guarded: str) -> None:
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType
    from confluent_kafka.admin import ConfigResource as Resource

    create_topic(guarded, "parked", 1)
    park(guarded, "parked", some(5))
    admin = AdminClient({"bootstrap.servers": guarded})
    allowed = (AclOperation.DESCRIBE, AclOperation.WRITE)
    bindings = [
        AclBinding(
            Resource.Type.TOPIC, "parked", ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", one,
            AclPermissionType.ALLOW,
        )
        for one in allowed
    ]  # fmt: skip
    for answer in admin.create_acls(bindings).values():
        answer.result(20)
    chosen = settings(guarded, "parked")
    time.sleep(0.5)  # until the authorizer has it
    with pytest.raises(BrokerError, match=r"cannot be read: .*uthorization failed") as caught:
        listing(chosen, 10)
    assert caught.value.code == "not-readable"
    assert "READ parked" in str(caught.value)
    assert "DESCRIBE the group" in str(caught.value)
    with pytest.raises(BrokerError, match="0 of 5 records were dropped") as caught:
        drop(chosen, (Range(0, 0, 5),))
    assert "DELETE" in str(caught.value)


def test_a_hostile_name_does_not_reach_the_terminal() -> None:
    found = Listing("parked", "group", ())
    found.add(None, encode(some(1)[0][1]._replace(topic="\x1b[2Jorders\n")))
    assert list(found.topics) == ["?[2Jorders?"]
