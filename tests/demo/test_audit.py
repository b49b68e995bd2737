"""What became of every event, found out without asking tidegate."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import cast

from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.demo.audit import ParkingLot, audit, parking_lot, still_there, waiting
from tidegate.demo.generator import Generator
from tidegate.types import CLASSES, EventClass


def books(*events: tuple[EventClass, int, int, float]) -> Generator:
    classes, partitions, offsets, sent = zip(*events, strict=True)
    return cast(
        Generator,
        SimpleNamespace(
            topics=dict.fromkeys(CLASSES, "t"),
            classes=array("b", classes),
            partitions=array("i", partitions),
            offsets=array("q", offsets),
            sent=array("d", sent),
        ),
    )


def test_the_audit_tells_held_from_lost() -> None:
    generator = books(
        (EventClass.BULK, 0, 5, 1.0),  # seen, and committed
        (EventClass.BULK, 0, 9, 2.0),  # held
        (EventClass.BULK, 0, 10, 3.0),  # held
        (EventClass.HIGH, 0, 8, 4.0),  # below what is committed, and never seen: lost
        (EventClass.HIGH, 1, 3, 5.0),  # forgotten by the broker: lost
        (EventClass.CRITICAL, 2, 0, 6.0),  # in a partition that nobody knows: lost
        (EventClass.NORMAL, -1, -1, 7.0),  # never acknowledged: not offered
        (EventClass.NORMAL, 1, 4, 8.0),  # seen, not committed: delivered, perhaps again
    )
    verdict = audit(generator, bytes([1, 0, 0, 0, 0, 0, 0, 1]), {("t", 0): range(9, 11), ("t", 1): range(4, 6)})
    assert verdict.held == [0, 0, 0, 2]
    assert verdict.lost == [1, 2, 0, 0]
    assert verdict.oldest == [6.0, 4.0, None, 2.0]


def test_the_audit_knows_what_is_parked() -> None:
    generator = books(
        (EventClass.BULK, 0, 5, 1.0),  # parked, came back, seen
        (EventClass.BULK, 0, 6, 2.0),  # parked, and waits there: held, though its own topic is committed beyond it
        (EventClass.BULK, 0, 7, 3.0),  # parked, committed there, never seen: lost
        (EventClass.BULK, 0, 8, 4.0),  # never parked, committed, never seen: lost
        (EventClass.BULK, 0, 9, 5.0),  # parked and not yet committed in its own topic either: held once
        (EventClass.BULK, 0, 10, 6.0),  # waits there, but was delivered: a duplicate to come, nothing held
        (EventClass.NORMAL, 1, 6, 7.0),  # the same offset of another partition is another event
    )
    lot = ParkingLot(ever={("t", 0, n) for n in (5, 6, 7, 9, 10)}, waiting={("t", 0, n) for n in (6, 9, 10)})
    verdict = audit(generator, bytes([1, 0, 0, 0, 0, 1, 0]), {("t", 0): range(9, 11), ("t", 1): range(6, 7)}, lot)
    assert verdict.held == [0, 0, 1, 2]
    assert verdict.lost == [0, 0, 0, 2]
    assert verdict.parked == [0, 0, 0, 2]
    assert verdict.deferred == [0, 0, 0, 5]


def test_what_the_shop_does_not_answer_for_was_not_seen() -> None:
    verdict = audit(books((EventClass.BULK, 0, 0, 1.0), (EventClass.BULK, 0, 1, 2.0)), b"\1", {("t", 0): range(2)})
    assert (sum(verdict.held), sum(verdict.lost)) == (1, 0)


def test_still_there_is_what_the_group_has_not_committed() -> None:
    from confluent_kafka import Consumer, Producer, TopicPartition

    from tidegate.broker.embedded import EmbeddedBroker

    with EmbeddedBroker({"t": 2}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
        for number in range(10):
            producer.produce("t", b"x", partition=number % 2)
        assert producer.flush(10) == 0
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "log_level": 0})
        consumer.commit(offsets=[TopicPartition("t", 1, 3)], asynchronous=False)
        consumer.close()
        assert still_there(broker.bootstrap_servers, "g", {"t": 2}) == {("t", 0): range(5), ("t", 1): range(3, 5)}


def test_the_parking_lot_is_read_whole_and_split_at_what_is_committed() -> None:
    from confluent_kafka import Consumer, Producer, TopicPartition

    from tidegate.broker.embedded import EmbeddedBroker

    def parked(topic: str, offset: int) -> bytes:
        return encode(Parked(topic, 3, offset, 1, 1, EventClass.BULK, None, None, (), b"{}"))

    with EmbeddedBroker({"p": 3}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
        for offset in range(10):
            producer.produce("p", parked("t", offset), partition=offset % 2)
        producer.produce("p", parked("other", 77), partition=0)
        producer.produce("p", b"no envelope", partition=1)
        assert producer.flush(10) == 0
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "log_level": 0})
        consumer.commit(offsets=[TopicPartition("p", 1, 3)], asynchronous=False)
        consumer.close()
        lot = parking_lot(broker.bootstrap_servers, "g", "p", 3, {"t"})
        assert lot.ever == {("t", 3, offset) for offset in range(10)}
        assert lot.waiting == {("t", 3, offset) for offset in (0, 2, 4, 6, 8, 7, 9)}
        assert lot.forgotten == 0


def test_a_broker_that_forgets_is_found_out() -> None:
    from confluent_kafka import Producer

    from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, EmbeddedBroker

    with EmbeddedBroker({"p": 1}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0, "log_level": 0})
        size = 500_000
        count = 2 * PARTITION_CAPACITY_BYTES // size
        for _ in range(count):
            producer.produce("p", bytes(size))
            assert producer.flush(10) == 0
        lot = parking_lot(broker.bootstrap_servers, "g", "p", 1, {"t"})
        assert 0 < lot.forgotten < count


def test_of_an_app_that_nobody_can_ask_only_what_kafka_has_is_known() -> None:
    generator = books((EventClass.BULK, 0, 5, 1.0), (EventClass.BULK, 0, 9, 2.0), (EventClass.HIGH, 1, 3, 5.0))
    verdict = audit(generator, None, {("t", 0): range(9, 11)})
    assert verdict.held == [0, 0, 0, 1]
    assert verdict.lost == [0, 0, 0, 0]
    assert verdict.oldest == [None, None, None, 2.0]


def test_the_same_offset_of_another_topic_is_another_event() -> None:
    generator = books((EventClass.BULK, 0, 5, 1.0), (EventClass.HIGH, 0, 5, 2.0))
    topics = {klass: "orders" if klass <= EventClass.HIGH else "clicks" for klass in CLASSES}
    split = cast("Generator", SimpleNamespace(**{**vars(generator), "topics": topics}))
    verdict = audit(split, b"", {("orders", 0): range(5, 6)})
    assert (verdict.held, verdict.lost) == ([0, 1, 0, 0], [0, 0, 0, 1])


def test_what_waits_is_all_that_the_shop_has_not_seen() -> None:
    generator = books(
        (EventClass.BULK, 0, 5, 1.0),
        (EventClass.BULK, 0, 9, 2.0),
        (EventClass.HIGH, 1, 3, 5.0),
        (EventClass.HIGH, -1, -1, 6.0),
    )
    left = waiting(generator, bytes([1, 0]))
    assert left.held == [0, 1, 0, 1]
    assert left.oldest == [None, 5.0, None, 2.0]
