"""Samples of topics: the latest or the oldest records, committed ones, taken from nobody."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import time

import pytest
from confluent_kafka import Producer, cimpl
from confluent_kafka.admin import AdminClient

from harness import commits
from harness.ports import free_ports
from harness.produce import COMPACTED, Event, Writer, compact, send, shop_events, transactions
from harness.scene import Broker
from harness.topics import create_topic, delete_records
from tidegate.broker import sample_records
from tidegate.broker.admin import NoAnswerError
from tidegate.broker.sample_records import Record, Taken, sample
from tidegate.config import Settings, load
from tidegate.errors import BrokerError, ConfigError
from tidegate.samples import Sample

_numbers = itertools.count()


def settings(servers: str, **more: str) -> Settings:
    environ = {"kafka_bootstrap_servers": servers, "group_id": f"sampler-{os.getpid()}"} | more
    return load({f"TIDEGATE_{name.upper()}": value for name, value in environ.items()})


def made(broker: Broker, partitions: int = 3, config: dict[str, str] | None = None) -> str:
    name = f"sampled-{os.getpid()}-{next(_numbers)}"
    broker.create(name, partitions, config or {})
    return name


def take(servers: str, topic: str, count: int, *, oldest: bool = False, wait: float = 0) -> list[Record]:
    found: list[Record] = []
    (told,) = sample(settings(servers), [topic], count, found.extend, oldest=oldest, wait_seconds=wait)
    assert told.records == len(found)
    assert len({(record.partition, record.offset) for record in found}) == len(found)
    return found


def places(records: list[Record]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for record in sorted(records, key=lambda one: one.offset):
        found.setdefault(record.partition, []).append(record.offset)
    return found


def numbered(sizes: list[int]) -> list[Event]:
    return [Event(p, b"k%d" % p, b'{"n":%d}' % n) for p, size in enumerate(sizes) for n in range(size)]


@pytest.mark.parametrize("oldest", [False, True])
def test_samples_are_spread_and_who_has_more_gives_more(broker: Broker, oldest: bool) -> None:
    topic = made(broker)
    send(broker.bootstrap_servers, topic, numbered([4, 0, 700]))
    found = take(broker.bootstrap_servers, topic, 100, oldest=oldest)
    last = list(range(96)) if oldest else list(range(604, 700))
    assert places(found) == {0: [0, 1, 2, 3], 2: last}
    for record in found:
        assert record.sample == Sample(topic, b"k%d" % record.partition, [], b'{"n":%d}' % record.offset)
    times = [record.timestamp_ms or 0 for record in found]
    assert times == sorted(times)
    assert min(times) > 0


def test_all_there_is_where_there_is_less(broker: Broker) -> None:
    topic = made(broker)
    assert take(broker.bootstrap_servers, topic, 5) == []
    send(broker.bootstrap_servers, topic, numbered([2, 1, 0]))
    assert places(take(broker.bootstrap_servers, topic, 5)) == {0: [0, 1], 1: [0]}
    assert len(take(broker.bootstrap_servers, topic, 3)) == 3
    assert len(take(broker.bootstrap_servers, topic, 1)) == 1


def test_bytes_arrive_as_they_are(broker: Broker) -> None:
    topic = made(broker, 1)
    headers: list[tuple[str, str | bytes | None]] = [("a", b"1"), ("a", b"\xff"), ("b", None), ("é", b"")]
    events = [Event(0, b"\xfe\x00", b"\xff", headers=headers), Event(0, None, None), Event(0, b"", b"")]
    send(broker.bootstrap_servers, topic, events)
    assert [record.sample for record in take(broker.bootstrap_servers, topic, 9)] == [
        Sample(topic, b"\xfe\x00", [("a", b"1"), ("a", b"\xff"), ("b", None), ("é", b"")], b"\xff"),
        Sample(topic, None, [], None),
        Sample(topic, b"", [], b""),
    ]


def send_raw(servers: str, topic: str, name: bytes, value: bytes) -> None:
    """One record with a header of this name, which confluent-kafka's producer takes as text only."""
    library = ctypes.CDLL(cimpl.__file__)  # and what it was linked to: the client itself
    new, conf, errstr = library.rd_kafka_new, library.rd_kafka_conf_new, ctypes.create_string_buffer(512)
    new.restype = conf.restype = ctypes.c_void_p
    made = ctypes.c_void_p(conf())
    assert library.rd_kafka_conf_set(made, b"bootstrap.servers", servers.encode(), errstr, 512) == 0
    producer = ctypes.c_void_p(new(0, made, errstr, ctypes.c_size_t(512)))
    size = ctypes.c_size_t
    parts = (1, topic.encode(), 4, value, size(len(value)), 7, 2, 9, name, b"1", size(1), 0)
    assert library.rd_kafka_producev(producer, *parts) == 0  # topic, value, copied; a header
    assert library.rd_kafka_flush(producer, 20_000) == 0
    library.rd_kafka_destroy(producer)


def test_a_header_whose_name_is_no_text_costs_the_headers_alone(broker: Broker) -> None:
    topic = made(broker, 1)
    send_raw(broker.bootstrap_servers, topic, b"p", b"one")
    for _ in range(3):
        send_raw(broker.bootstrap_servers, topic, b"\xff", b"two")
    found: list[Record] = []
    told = sample(settings(broker.bootstrap_servers), [topic], 9, found.extend)
    assert told == [Taken(topic, 4, 1, unreadable=3)]
    assert [record.sample for record in found] == [
        Sample(topic, None, [("p", b"1")], b"one"),
        *[Sample(topic, None, [], b"two")] * 3,
    ]
    assert [record.unreadable for record in found] == [False, True, True, True]


def test_several_topics_and_expressions(broker: Broker) -> None:
    one, two = made(broker, 1), made(broker, 2)
    send(broker.bootstrap_servers, one, numbered([5]))
    send(broker.bootstrap_servers, two, numbered([5, 5]))
    found: list[Record] = []
    told = sample(settings(broker.bootstrap_servers), [two, f"^{one}$|^{two}$"], 4, found.extend)
    assert told == [Taken(two, 4, 2), Taken(one, 4, 1)]
    assert [record.sample.topic for record in found] == [two] * 4 + [one] * 4


def test_what_is_written_meanwhile_is_waited_for(broker: Broker) -> None:
    topic = made(broker)
    send(broker.bootstrap_servers, topic, numbered([1, 1, 0]))
    late = threading.Timer(0.7, send, (broker.bootstrap_servers, topic, numbered([0, 0, 3])))
    late.start()
    begun = time.monotonic()
    found = take(broker.bootstrap_servers, topic, 4, wait=30)
    late.join()
    assert time.monotonic() - begun < 20, "it ends when it has enough"
    assert (len(found), [record.partition for record in found[2:]]) == (4, [2, 2])
    begun = time.monotonic()
    assert len(take(broker.bootstrap_servers, topic, 100, wait=0.6)) == 5
    assert time.monotonic() - begun >= 0.6


def test_a_topic_that_is_not_there_is_said_and_not_made(broker: Broker) -> None:
    topic = made(broker)
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"there is no topic {topic}x at ") as caught:
            take(broker.bootstrap_servers, f"{topic}x", 1)
        assert (caught.value.code, caught.value.exit_code) == ("no-topic", 2)
        assert str(caught.value).endswith("Did you mean " + topic + "?")
    with pytest.raises(ConfigError) as caught:
        take(broker.bootstrap_servers, "^nothing-like-it", 1)
    assert "There are: " in str(caught.value)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sample_records, "SECONDS", 0.5)
    with pytest.raises(NoAnswerError):
        take(f"127.0.0.1:{free_ports(1)[0]}", "orders", 1)
    assert capfd.readouterr().err == ""


def test_no_group_and_no_commit(kafka_broker: Broker) -> None:
    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker)
    send(servers, topic, numbered([50, 50, 50]))
    group = f"sampler-{os.getpid()}-{next(_numbers)}"
    found: list[Record] = []
    sample(settings(servers, group_id=group), [topic], 100, found.extend, wait_seconds=0.1)
    assert len(found) == 100
    admin = AdminClient({"bootstrap.servers": servers})
    groups = admin.list_consumer_groups().result(20)
    assert groups.errors == []
    assert group not in {one.group_id for one in groups.valid}
    if "__consumer_offsets" in admin.list_topics(timeout=20).topics:
        assert commits.read(servers, group) == [], "not even for a moment"


def test_a_member_of_the_group_goes_on(kafka_broker: Broker) -> None:
    """Not even one that has the same group's name is disturbed: its generation stays, and so do its offsets."""
    from confluent_kafka import Consumer

    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker)
    send(servers, topic, numbered([20, 20, 20]))
    group = f"sampler-{os.getpid()}-{next(_numbers)}"
    member = Consumer({"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"})
    try:
        member.subscribe([topic])
        read = 0
        while read < 60:
            read += sum(message.error() is None for message in member.consume(60, 1))
        member.commit(asynchronous=False)
        before = commits.read(servers, group)
        assert commits.generations(before), "the test can see it"
        sample(settings(servers, group_id=group), [topic], 30, lambda _: None, wait_seconds=0.2)
        member.poll(1)
        assert commits.read(servers, group) == before
    finally:
        member.close()


def test_only_what_was_committed(kafka_broker: Broker) -> None:
    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker)
    events = list(shop_events(900, 3))
    transactions(servers, topic, [(events[:90], True), (events[90:], False)])
    for oldest in (False, True):
        found = take(servers, topic, 60, oldest=oldest)
        assert len(found) == 60, "the window grows over what was aborted"
        assert {record.sample.value for record in found} <= {event.value for event in events[:90]}
        assert min(map(len, places(found).values())) >= 15, "and what comes is spread"
    assert len(take(servers, topic, 500)) == 90


def test_an_open_transaction_ends_what_is_there(kafka_broker: Broker) -> None:
    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker, 1)
    events = list(shop_events(30))
    send(servers, topic, events[:10])
    writer = Writer(servers, topic, transactional_id=topic)
    writer.producer.init_transactions(30)
    writer.producer.begin_transaction()
    writer.send(events[10:20])
    writer.flush()
    begun = time.monotonic()
    for count in (5, 10, 100):  # windows that end where the transaction begins, and that would reach into it
        for oldest in (False, True):
            last = slice(None, count) if oldest else slice(-count, None)
            assert places(take(servers, topic, count, oldest=oldest)) == {0: list(range(10))[last]}
    assert time.monotonic() - begun < 8, "it is not waited for"
    late = threading.Timer(1, writer.producer.commit_transaction, (30,))
    late.start()
    assert places(take(servers, topic, 20, wait=30)) == {0: list(range(20))}
    late.join()


def test_compaction_and_retention_leave_gaps(kafka_broker: Broker) -> None:
    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker, 2, dict(COMPACTED))
    compact(servers, topic, list(shop_events(2000, 2, users=50)))
    there = take(servers, topic, 100_000)
    assert 50 <= len(there) < 1000
    assert len(take(servers, topic, 40)) == len(take(servers, topic, 40, oldest=True)) == 40
    other = made(kafka_broker, 1)
    send(servers, other, numbered([100]))
    delete_records(servers, {(other, 0): 90})
    assert places(take(servers, other, 5, oldest=True)) == {0: list(range(90, 95))}
    assert places(take(servers, other, 50)) == {0: list(range(90, 100))}


def test_rights_to_the_topic_are_needed_and_none_to_the_group(guarded: str) -> None:
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType
    from confluent_kafka.admin import ConfigResource as Resource

    kinds = {"topic": Resource.Type.TOPIC, "group": Resource.Type.GROUP}

    def rule(kind: str, name: str, operation: AclOperation, user: str = "ANONYMOUS") -> AclBinding:
        literal, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
        return AclBinding(kinds[kind], name, literal, f"User:{user}", "*", operation, allow)

    for name in ("seen", "read", "hidden"):
        create_topic(guarded, name, 1)
        send(guarded, name, numbered([5]))
    group = "of-somebody-else"
    bindings = [
        rule("topic", "seen", AclOperation.DESCRIBE),
        rule("topic", "read", AclOperation.READ),
        rule("topic", "hidden", AclOperation.READ, "other"),
        rule("group", group, AclOperation.READ, "other"),
    ]
    admin = AdminClient({"bootstrap.servers": guarded})
    for answer in admin.create_acls(bindings).values():
        answer.result(20)
    time.sleep(0.5)  # until the authorizer has them
    chosen, found = settings(guarded, group_id=group), list[Record]()
    sample(chosen, ["read"], 3, found.extend)
    assert len(found) == 3
    with pytest.raises(BrokerError, match=r"seen cannot be read: .*uthorization failed") as caught:
        sample(chosen, ["seen"], 3, found.extend)
    assert (caught.value.code, caught.value.exit_code) == ("not-readable", 1)
    with pytest.raises(ConfigError, match=r"there is no topic hidden at .*, or this client is not allowed to see it"):
        sample(chosen, ["hidden"], 3, found.extend)


def test_a_producer_in_a_hurry_does_not_keep_it(kafka_broker: Broker) -> None:
    """What is written while it reads is none of its business."""
    servers, topic = kafka_broker.bootstrap_servers, made(kafka_broker)
    send(servers, topic, numbered([300, 300, 300]))
    producer, stop = Producer({"bootstrap.servers": servers, "linger.ms": 1}), threading.Event()

    def write() -> None:
        while not stop.is_set():
            for partition in range(3):
                producer.produce(topic, b"{}", partition=partition)
            producer.poll(0)
            time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for oldest in (False, True):
            assert len(take(servers, topic, 300, oldest=oldest)) == 300
    finally:
        stop.set()
        thread.join()
        producer.flush(20)
