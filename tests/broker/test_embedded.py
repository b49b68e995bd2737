"""The embedded broker, through an ordinary confluent-kafka client."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, PARTITION_CAPACITY_RECORDS, EmbeddedBroker
from tidegate.errors import BrokerError

OFFSET_COMMIT = 8  # ApiKey


def produce(servers: str, topic: str, partition: int, values: list[bytes]) -> None:
    failed: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "message.timeout.ms": 10_000})
    for value in values:
        while True:
            try:
                producer.produce(
                    topic, value, partition=partition, on_delivery=lambda e, _: failed.append(e) if e else None
                )
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(20) == 0
    assert not failed


def consume(consumer: Consumer, count: int, seconds: float = 15) -> list[bytes]:
    values: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(values) < count and time.monotonic() < deadline:
        values += [message.value() for message in consumer.consume(1000, 0.1) if message.error() is None]
    return values


def subscriber(servers: str, topic: str, group: str = "g", **more: object) -> Consumer:
    conf = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
    consumer = Consumer(conf | {name.replace("_", "."): value for name, value in more.items()})
    consumer.subscribe([topic])
    return consumer


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"orders": 3}) as embedded:
        yield embedded


def test_topics_have_the_partitions_that_were_asked_for(broker: EmbeddedBroker) -> None:
    broker.create_topic("views", 7)
    topics = AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=10).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == {"orders": 3, "views": 7}


def test_a_group_reads_at_once_and_its_commits_last(broker: EmbeddedBroker) -> None:
    produce(broker.bootstrap_servers, "orders", 1, [b"a", b"b", b"c"])
    # A group whose last member has left takes nobody in before that member's session timeout less one second.
    consumer = subscriber(broker.bootstrap_servers, "orders", session_timeout_ms=1500)
    begun = time.monotonic()
    assert consume(consumer, 3) == [b"a", b"b", b"c"]
    # The mock's own default holds a new group back for 3 s; the demo and every test would pay it.
    assert time.monotonic() - begun < 2.5
    consumer.close()  # commits
    produce(broker.bootstrap_servers, "orders", 1, [b"d"])
    again = subscriber(broker.bootstrap_servers, "orders")
    assert consume(again, 1) == [b"d"]
    again.close()


def test_bootstrap_names_every_broker_and_leaders_can_move() -> None:
    with EmbeddedBroker({"orders": 1}, brokers=3) as broker:
        assert len(broker.bootstrap_servers.split(",")) == 3
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        for leader in (3, 1):
            broker.set_leader("orders", 0, leader)
            assert admin.list_topics(timeout=10).topics["orders"].partitions[0].leader == leader


def test_a_broker_that_was_down_still_has_its_records(broker: EmbeddedBroker) -> None:
    produce(broker.bootstrap_servers, "orders", 0, [b"a"])
    broker.set_broker_down(1)
    consumer = subscriber(broker.bootstrap_servers, "orders", reconnect_backoff_max_ms=200)
    assert consume(consumer, 1, seconds=1) == []
    broker.set_broker_up(1)
    assert consume(consumer, 1) == [b"a"]
    consumer.close()


def test_pushed_errors_come_back_to_the_client(broker: EmbeddedBroker) -> None:
    produce(broker.bootstrap_servers, "orders", 0, [b"a"])
    consumer = subscriber(broker.bootstrap_servers, "orders", enable_auto_commit=False)
    assert consume(consumer, 1) == [b"a"]
    broker.push_errors(OFFSET_COMMIT, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    offsets = [TopicPartition("orders", 0, 1)]
    with pytest.raises(Exception, match="authorization"):
        consumer.commit(offsets=offsets, asynchronous=False)
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()


@pytest.mark.parametrize("size", [100, 40])
def test_the_oldest_records_vanish_beyond_the_capacity(broker: EmbeddedBroker, size: int) -> None:
    """The documented limit is the real one, so whoever sizes a demo by the constants is safe."""
    fits = min(PARTITION_CAPACITY_RECORDS, PARTITION_CAPACITY_BYTES // (size + 10))
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "w"})
    produce(broker.bootstrap_servers, "orders", 0, [bytes(size)] * (fits // 2))
    assert consumer.get_watermark_offsets(TopicPartition("orders", 0), timeout=10) == (0, fits // 2)
    produce(broker.bootstrap_servers, "orders", 0, [bytes(size)] * fits)
    low, high = consumer.get_watermark_offsets(TopicPartition("orders", 0), timeout=10)
    assert high == fits // 2 + fits
    assert low > 0
    consumer.close()


def test_what_the_library_refuses_is_a_broker_error(broker: EmbeddedBroker) -> None:
    with pytest.raises(BrokerError, match="orders"):
        broker.create_topic("orders", 3)
    with pytest.raises(BrokerError, match="broker 9"):
        broker.set_broker_down(9)


def test_a_closed_broker_refuses_instead_of_crashing() -> None:
    broker = EmbeddedBroker()
    broker.close()
    broker.close()
    for call in (
        lambda: broker.create_topic("t", 1),
        lambda: broker.set_broker_down(1),
        lambda: broker.set_broker_up(1),
        lambda: broker.set_leader("t", 0, 1),
        lambda: broker.push_errors(OFFSET_COMMIT, 1),
    ):
        with pytest.raises(BrokerError, match="closed"):
            call()


def test_no_thread_or_descriptor_is_left_behind() -> None:
    def threads() -> int:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("Threads"))

    EmbeddedBroker({"t": 1}).close()
    before = threads()
    for _ in range(5):
        with EmbeddedBroker({"t": 1}, brokers=2):
            assert threads() > before
    assert threads() == before


def test_a_forked_child_can_end_without_the_broker_s_threads(broker: EmbeddedBroker) -> None:
    child = multiprocessing.get_context("fork").Process(target=broker.close)
    child.start()
    child.join(10)
    assert child.exitcode == 0
    assert AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=10).topics
