"""Reader on the embedded broker: reading, settling, holding. Rebalances are next door."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from member import RULES, Member, committed, numbers, produce, properties

from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, EmbeddedBroker
from tidegate.core.ledger import Ledger
from tidegate.core.reader import Reader
from tidegate.core.ring import Rings
from tidegate.errors import ConfigError

OFFSET_COMMIT, OFFSET_FETCH = 8, 9  # ApiKeys


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"orders": 3}) as broker:
        for topic in ("critical.orders", "bulk.clicks"):
            time.sleep(0.003)  # two orders at once make the mock sleep for a second over the later one
            broker.create_topic(topic, 1)
        yield broker


def test_what_is_settled_is_committed_and_not_read_again(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(3000))
    with Member([(properties(servers), ["orders"])]) as member:
        member.deliver_count(3000)
        assert sorted(member.delivered) == [("orders", p, n) for p in range(3) for n in range(1000)]
        assert member.conserved()
        lines = b"".join(member.bodies).splitlines()
        assert sorted(lines) == sorted(numbers(3000))
        for partition in range(3):  # in order
            offsets = [offset for _, p, offset in member.delivered if p == partition]
            assert offsets == sorted(offsets)
    assert committed(servers, "g", "orders", 3) == {0: 1000, 1: 1000, 2: 1000}
    produce(servers, "orders", numbers(30, 3000))
    with Member([(properties(servers), ["orders"])]) as member:
        member.deliver_count(30)


def test_what_is_not_settled_comes_again(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(50), partition=1)
    with Member([(properties(servers), ["orders"])], max_records=10) as member:
        member.wait_until(lambda: member.buffered() == 50)
        batches = [member.take() for _ in range(5)]
        for batch in (batches[0], batches[1], batches[3]):  # 0–9, 10–19 and 30–39
            assert batch is not None
            member.settle(batch)
        assert [batch.records for batch in batches if batch] == [10] * 5
        for batch in (batches[2], batches[4]):
            assert batch is not None
            member.dispatcher.discard(batch)
    assert committed(servers, "g", "orders", 3)[1] == 20
    with Member([(properties(servers), ["orders"])]) as member:
        member.deliver_count(30)
        assert min(member.delivered) == ("orders", 1, 20)


def test_the_last_settlement_before_closing_is_committed(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(9))
    with Member([(properties(servers, auto_commit_interval_ms=60_000), ["orders"])]) as member:
        member.deliver_count(9)
    assert committed(servers, "g", "orders", 3) == {0: 3, 1: 3, 2: 3}


def test_stored_offsets_never_go_back(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(2000), partition=0)
    with Member([(properties(servers), ["orders"])], max_records=20) as member:
        member.wait_until(lambda: member.buffered() == 2000)
        batches = [batch for _ in range(100) if (batch := member.take())]
        highest = -1
        for batch in batches[1::2] + batches[0::2]:
            member.settle(batch)
            stored = next(row[5] for row in member.ledger.partitions() if row[1] == 0)
            frontier = next(row[3] for row in member.ledger.partitions() if row[1] == 0)
            assert highest <= stored <= frontier
            highest = stored
            time.sleep(0.005)
        member.wait_until(member.committed_all)
    assert committed(servers, "g", "orders", 3)[0] == 2000


def test_ends_are_noted_and_reached(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(30))
    with Member([(properties(servers), ["orders"])], find_ends=True) as member:
        assert member.reader.assignment_age is None
        member.deliver_count(30)
        assert member.reader.assignment_age is not None
        assert sorted(row[:5] for row in member.ledger.partitions()) == [("orders", p, 10, 10, 10) for p in range(3)]


def test_latest_begins_behind_what_is_there(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(300))
    with Member([(properties(servers), ["orders"])], start="latest") as member:
        # The end of each partition is settled, so that a restart begins there too.
        member.wait_until(lambda: [row[3] for row in member.ledger.partitions()] == [100] * 3)
        produce(servers, "orders", numbers(30, 300))
        member.deliver_count(30)
        assert sorted(b"".join(member.bodies).splitlines()) == sorted(numbers(30, 300))


def test_start_matters_only_without_a_committed_offset(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(30))
    with Member([(properties(servers), ["orders"])], max_records=1) as member:
        member.wait_until(lambda: member.buffered() == 30)
        batch = member.take()
        assert batch is not None
        member.settle(batch)
    with Member([(properties(servers), ["orders"])], start="latest") as member:
        member.deliver_count(29)  # where reading began is committed for the partitions without a settlement, too


def test_classes_and_irregular_records_are_counted(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(
        servers, "orders", [b'{"type":"purchase"}', b'{"type":"scroll"}', b'{"type":"odd"}', b"{", b'{"type":"view"}']
    )
    produce(servers, "critical.orders", [b"1"], 0)
    with Member([(properties(servers), ["orders", "critical.orders"])]) as member:
        member.deliver_count(6)
        counts = member.ledger.counts()
        assert {label: row["delivered"] for label, row in counts["orders"].items()} == {
            "critical": 1,
            "high": 2,
            "normal": 1,
            "bulk": 1,
        }
        assert counts["critical.orders"]["critical"]["polled"] == 1
        assert member.ledger.irregular() == {"unclassified": 2, "invalid": 1, "stale": 0, "lost": 0}


def test_every_part_of_a_record_arrives(broker: EmbeddedBroker) -> None:
    """Through the real intake: key, headers, time, tombstone, line feeds, byte order mark, what is not JSON."""
    servers = broker.bootstrap_servers
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]] = [
        (b'{"a": 1}', b"key", [("x", b"1"), ("y", None), ("x", b"\xff\x00")], 1_700_000_000_123),
        (None, None, [], 1_700_000_000_124),
        (b"", b"", [], 1_700_000_000_125),
        (b'{\r\n"a":\n[1, 2]}\n', b"\xff\xfe", [], 1_700_000_000_126),
        (b'\xef\xbb\xbf{"b": "\xc3\xa9"}', b'"\\\n', [("", b"")], 1_700_000_000_127),
        (b"\x00\x01{", b"k", [("n", b"v")], 1_700_000_000_128),
        (b'"' + b"x" * 500_000 + b'"', b"large", [("h", b"y" * 1000)] * 130, 1_700_000_000_129),
    ]
    producer = Producer({"bootstrap.servers": servers})
    for value, key, headers, stamp in records:
        producer.produce("orders", value, key, partition=0, headers=headers, timestamp=stamp)
    assert producer.flush(10) == 0

    def text(raw: bytes | None) -> object:
        try:
            return None if raw is None else raw.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(raw or b"").decode()}

    with Member([(properties(servers), ["orders"])], format="envelope") as member:
        member.deliver_count(len(records))
        lines = {}
        for body in member.bodies:
            if body == b"\x00\x01{":  # not JSON: alone, as it is
                continue
            for line in map(json.loads, body.splitlines()):
                lines[line["id"]] = line
    assert member.bodies.count(b"\x00\x01{") == 1
    assert len(lines) == len(records) - 1
    for offset, (value, key, headers, stamp) in enumerate(records):
        if value == b"\x00\x01{":
            continue
        line = lines[f"orders/0/{offset}"]
        assert (line["key"], line["ts"]) == (text(key), stamp)
        assert line["headers"] == {name: text(raw) for name, raw in headers}
        assert line["value"] == (json.loads(value.decode("utf-8-sig")) if value else None)


# ── holding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def cpu_while(seconds: float) -> float:
    """CPU seconds of this process for each second of waiting."""
    before = time.process_time()
    time.sleep(seconds)
    return (time.process_time() - before) / seconds


def test_a_full_ring_holds_its_lane_and_no_other(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    bulk = [b'{"n":%d,"pad":"%s"}' % (n, b"x" * 400) for n in range(6000)]
    produce(servers, "bulk.clicks", bulk, 0)
    small = 1 << 20
    with Member([(properties(servers), ["bulk.clicks", "critical.orders"])], rings=small) as member:
        member.wait_until(lambda: member.holds().get("bulk.clicks") == "ring")
        held = member.rings.buffered(3)
        assert held[0] < 6000
        assert cpu_while(0.5) < 0.25  # asleep, not asking over and over
        produce(servers, "critical.orders", numbers(100), 0)
        member.wait_until(lambda: member.rings.buffered(0)[0] == 100, 5)
        assert member.rings.buffered(3) == held
        assert member.holds()["critical.orders"] == "flowing"
        assert member.reader.lanes()[[row[0] for row in member.reader.lanes()].index("bulk.clicks")][2] == 3
        member.deliver_count(6100)
        assert [offset for topic, _, offset in member.delivered if topic == "bulk.clicks"] == list(range(6000))
        assert set(member.holds().values()) == {"flowing"}


def test_room_wakes_the_reader_at_once(broker: EmbeddedBroker) -> None:
    """Without the wake-up each ring would take a poll's 100 ms to fill again."""
    servers = broker.bootstrap_servers
    produce(servers, "bulk.clicks", [b'"%s"' % (b"x" * 1000)] * 4000, 0)
    with Member([(properties(servers), ["bulk.clicks"])], rings=8 * 16384) as member:
        member.wait_until(lambda: member.holds().get("bulk.clicks") == "ring")
        started = time.monotonic()
        member.deliver_count(4000)
        holds = member.reader.lanes()[0][4]
        assert holds > 30
        assert time.monotonic() - started < 0.05 * holds


def test_a_lane_held_by_a_large_record_sleeps_until_there_is_room(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    large = [b'"%s"' % (b"%d" % n * 200_000) for n in range(6)]
    produce(servers, "bulk.clicks", large, 0)
    more = {"message_max_bytes": 2_000_000}
    with Member([(properties(servers, **more), ["bulk.clicks"])], rings=1 << 20, max_records=1) as member:
        member.wait_until(lambda: member.holds().get("bulk.clicks") == "ring")
        assert 1 <= member.buffered() < 6
        assert cpu_while(0.5) < 0.25
        assert member.reader.lanes()[0][4] < 20
        member.deliver_count(6)
        assert [body.rstrip(b"\n") for body in member.bodies] == large


def test_a_record_that_fits_no_ring_halts_its_lane_and_says_so(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "bulk.clicks", [b"1", b'"%s"' % (b"x" * 900_000), b"3"], 0)
    produce(servers, "critical.orders", [b"4"], 0)
    with Member([(properties(servers), ["bulk.clicks", "critical.orders"])], rings=1 << 20) as member:
        member.deliver_until(lambda: "halted" in member.kinds())
        member.deliver_until(lambda: len(member.delivered) == 2)
        assert member.holds() == {"bulk.clicks": "halted", "critical.orders": "flowing"}
        note = next(note for note in member.notes() if note[0] == "halted")
        assert note[2] == 1
        assert "bulk.clicks/0 offset 1" in note[3]
        assert "TIDEGATE_MEMORY_BYTES" in note[3]
        time.sleep(0.3)
        member.deliver()
        assert sorted(member.delivered) == [("bulk.clicks", 0, 0), ("critical.orders", 0, 0)]
        assert member.kinds().count("halted") == 1
    assert committed(servers, "g", "bulk.clicks", 1) == {0: 1}


def test_too_many_unsettled_offsets_hold_the_lane(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(1000), 0)
    with Member([(properties(servers), ["orders"])], span=64, max_records=16) as member:
        member.wait_until(lambda: member.holds().get("orders") == "span")
        assert member.buffered() == 64
        assert cpu_while(0.3) < 0.3
        member.deliver_count(1000)
        assert [offset for _, _, offset in member.delivered] == list(range(1000))


def test_the_group_is_served_while_every_lane_is_held(broker: EmbeddedBroker) -> None:
    """librdkafka takes a member out that does not poll for max.poll.interval.ms. Holding is not such a silence."""
    servers = broker.bootstrap_servers
    produce(servers, "bulk.clicks", [b'"%s"' % (b"x" * 1000)] * 2000, 0)
    quick = properties(servers, max_poll_interval_ms=2000)
    with Member([(quick, ["bulk.clicks"])], rings=8 * 16384) as member:
        member.wait_until(lambda: member.holds().get("bulk.clicks") == "ring")
        time.sleep(3.5)
        assert member.owned() == {("bulk.clicks", 0)}
        assert not {"lost", "error", "fatal"} & set(member.kinds())
        assert member.reader.heartbeat_age < 1
        member.deliver_count(2000)
        assert len(set(member.delivered)) == 2000


# ── more than one of something ──────────────────────────────────────────────────────────────────────────────────────


def test_two_handles_share_a_group(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(300))
    produce(servers, "critical.orders", numbers(100), 0)
    both = [(properties(servers), ["critical.orders"]), (properties(servers), ["orders"])]
    with Member(both) as member:
        member.deliver_count(400)
        assert member.owned() == {("critical.orders", 0), *(("orders", p) for p in range(3))}
        assert member.reader.assignment_age is not None
        # Not after closing: the mock, unlike Kafka, takes no offsets of the one while the other leaves.
        member.wait_until(lambda: committed(servers, "g", "critical.orders", 1) == {0: 100})
        member.wait_until(lambda: committed(servers, "g", "orders", 3) == {0: 100, 1: 100, 2: 100})


def test_a_pattern_finds_topics_that_come_later(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(3))
    with Member([(properties(servers, topic_metadata_refresh_interval_ms=200), ["^(orders|late[0-9])$"])]) as member:
        member.deliver_count(3)
        # While a member joins, commits are refused: what the group has not by then would come again.
        member.wait_until(lambda: sum(n for n in committed(servers, "g", "orders", 3).values() if n > 0) == 3)
        broker.create_topic("late1", 1)
        produce(servers, "late1", numbers(5), 0)
        member.deliver_count(8)
        assert Counter(topic for topic, _, _ in member.delivered) == {"orders": 3, "late1": 5}


@pytest.mark.parametrize("count", [0, 3])
def test_one_or_two_subscriptions(count: int) -> None:
    with pytest.raises(ValueError, match="one or two subscriptions"):
        Reader([({}, ["t"])] * count, RULES, Rings(1 << 20), Ledger())


@pytest.mark.parametrize(("name", "value"), [("no.such.property", "1"), ("session.timeout.ms", "soon")])
def test_a_property_that_librdkafka_refuses_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Reader([({name: value}, ["t"])], RULES, Rings(1 << 20), Ledger())


# ── trouble ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_commits_that_fail_are_repeated(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(30))
    with Member([(properties(servers), ["orders"])]) as member:
        member.wait_until(lambda: member.buffered() == 30)
        broker.push_errors(OFFSET_COMMIT, 14, 15, 16)  # loading, not available, not coordinator
        member.deliver_count(30)
        # The session may end before the coordinator is found again: what was not committed then comes once more.
        member.deliver_until(lambda: committed(servers, "g", "orders", 3) == {0: 10, 1: 10, 2: 10})


def test_an_assignment_waits_for_its_committed_offsets(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(30))
    with Member([(properties(servers), ["orders"])]) as member:
        member.deliver_count(30)
    produce(servers, "orders", numbers(3))
    broker.push_errors(OFFSET_FETCH, 29, 29)  # not authorised: an error that librdkafka does not retry by itself
    with Member([(properties(servers), ["orders"])]) as member:
        member.deliver_count(3)  # from the committed offsets, not from the start
        assert any("trying again" in note[3] for note in member.notes())


@pytest.mark.parametrize("assignor", ["cooperative-sticky", "range"])
def test_the_end_does_not_wait_for_an_assignment_without_its_offsets(broker: EmbeddedBroker, assignor: str) -> None:
    """librdkafka closes only when the assignment was answered."""
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(30))
    broker.push_errors(OFFSET_FETCH, *[29] * 1000)
    with Member([(properties(servers, partition_assignment_strategy=assignor), ["orders"])]) as member:
        member.wait_until(lambda: any("trying again" in note[3] for note in member.notes()))
        begun = time.monotonic()
    assert time.monotonic() - begun < 3
    assert "assigned" not in member.kinds()


def _watermarks(servers: str, topic: str, partition: int) -> tuple[int, int]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "ends"})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        return low, high
    finally:
        consumer.close()


def test_a_position_before_the_log_goes_on_at_its_start(broker: EmbeddedBroker) -> None:
    """Retention took what was not read yet: counted as lost, and the partition flows."""
    servers = broker.bootstrap_servers
    broker.create_topic("evicting", 2)
    produce(servers, "evicting", numbers(10), 1)
    with Member([(properties(servers), ["evicting"])], max_records=3) as member:
        member.wait_until(lambda: member.buffered() == 10)
        batch = member.take()
        assert batch is not None
        member.settle(batch)
    count = 3 * PARTITION_CAPACITY_BYTES // 1000
    produce(
        servers, "evicting", [b'"%s"' % (b"x" * 1000)] * count, 1
    )  # the embedded broker forgets its oldest message sets
    low, high = _watermarks(servers, "evicting", 1)
    assert 3 < low < high == count + 10
    with Member([(properties(servers), ["evicting"])], max_records=5000) as member:
        member.deliver_until(lambda: len(member.delivered) >= high - low)
        assert member.delivered[0] == ("evicting", 1, low)
        assert len(member.delivered) == high - low
        assert member.ledger.irregular()["lost"] == low - 3
        assert [note[2] for note in member.notes() if note[0] == "reset"] == [low - 3]
        produce(servers, "evicting", [b"1"], 0)
        member.deliver_until(lambda: member.delivered[-1] == ("evicting", 0, 0))
        member.wait_until(member.committed_all)
    assert committed(servers, "g", "evicting", 2) == {0: 1, 1: high}


def test_a_position_beyond_the_log_starts_over(broker: EmbeddedBroker) -> None:
    """The topic was made anew: its old offsets mean nothing."""
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(10), 0)
    foreign = Consumer({"bootstrap.servers": servers, "group.id": "g"})
    foreign.commit(offsets=[TopicPartition("orders", 0, 5000)], asynchronous=False)
    foreign.close()
    with Member([(properties(servers), ["orders"])]) as member:
        member.deliver_count(10)
        assert any("the log was cut or replaced" in note[3] for note in member.notes() if note[0] == "reset")
        member.wait_until(member.committed_all)
    assert committed(servers, "g", "orders", 1) == {0: 10}


@pytest.mark.parametrize("assignor", ["cooperative-sticky", "range"])
def test_a_repair_leaves_the_other_partitions_where_they_are(broker: EmbeddedBroker, assignor: str) -> None:
    """Under an eager protocol librdkafka takes whole assignments only: what is well must be in it, and go on."""
    servers = broker.bootstrap_servers
    for partition in range(3):
        produce(servers, "orders", numbers(10), partition)
    foreign = Consumer({"bootstrap.servers": servers, "group.id": "g"})
    foreign.commit(offsets=[TopicPartition("orders", 1, 5000)], asynchronous=False)
    foreign.close()
    with Member([(properties(servers, partition_assignment_strategy=assignor), ["orders"])]) as member:
        member.deliver_count(30)
        for partition in range(3):
            produce(servers, "orders", numbers(10), partition)
        member.deliver_count(60)
        assert len(set(member.delivered)) == 60
        assert member.reader.stale == 0
        member.wait_until(member.committed_all)
    assert committed(servers, "g", "orders", 3) == {0: 20, 1: 20, 2: 20}


def test_closing_keeps_its_deadline_without_a_broker(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "orders", numbers(30))
    member = Member([(properties(servers), ["orders"])])
    member.reader.start()
    member.deliver_count(30)
    broker.set_broker_down(1)
    started = time.monotonic()
    member.reader.close()
    member.reader.join(15)
    assert member.reader.ended
    assert time.monotonic() - started < 12.5


def test_a_reader_that_is_let_go_leaves_the_dispatcher_usable(broker: EmbeddedBroker) -> None:
    member = Member([(properties(broker.bootstrap_servers), ["orders"])])
    member.reader.start()
    dispatcher = member.dispatcher
    member.close()
    del member
    assert dispatcher.take() is None
