"""Reader on a real Kafka: what the embedded broker cannot show."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from itertools import count, pairwise

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from member import Member, properties

from harness.produce import COMPACTED, Event, compact, offsets, send, shop_events, transactions
from harness.topics import committed, create_topic, ends

_names = count()


def fresh(kafka: str, partitions: int = 1, config: dict[str, str] | None = None) -> tuple[str, str]:
    """A topic and a group of their own."""
    name = f"reader-{time.time_ns()}-{next(_names)}"
    create_topic(kafka, name, partitions, config)
    return name, f"group-{name}"


def with_protocol(kafka: str, group: str, protocol: str, **more: str | int) -> dict[str, str]:
    if protocol == "consumer":  # the broker's own
        more |= {"partition_assignment_strategy": "", "session_timeout_ms": "", "heartbeat_interval_ms": ""}
    return properties(kafka, group, group_protocol=protocol, **more)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_two_members_share_and_hand_over(kafka: str, protocol: str) -> None:
    topic, group = fresh(kafka, 4)
    send(kafka, topic, shop_events(2000, 4))
    with Member([(with_protocol(kafka, group, protocol), [topic])]) as first:
        first.deliver_count(2000)
        with Member([(with_protocol(kafka, group, protocol), [topic])]) as second:
            deadline = time.monotonic() + 40
            while not (first.owned() and second.owned() and len(first.owned() | second.owned()) == 4):
                first.deliver()
                second.deliver()
                assert time.monotonic() < deadline, (first.state(), second.state())
                time.sleep(0.01)
            send(kafka, topic, shop_events(1000, 4))
            while len(set(first.delivered) | set(second.delivered)) < 3000:
                first.deliver()
                second.deliver()
                assert time.monotonic() < deadline, (first.state(), second.state())
                time.sleep(0.002)
            assert second.delivered
        first.wait_until(lambda: len(first.owned()) == 4, 40, idle=first.deliver)
        send(kafka, topic, shop_events(500, 4))
        first.deliver_until(lambda: len(set(first.delivered) | set(second.delivered)) == 3500, 40)
        assert set(Counter(first.delivered + second.delivered).values()) == {1}
        assert not {"lost", "fatal"} & set(first.kinds() + second.kinds())
        assert first.conserved()
    partitions = [(topic, p) for p in range(4)]
    assert committed(kafka, group, partitions) == ends(kafka, partitions)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_every_handle_commits_when_it_closes(kafka: str, protocol: str) -> None:
    (one, group), (two, _) = fresh(kafka, 2), fresh(kafka, 2)
    send(kafka, one, shop_events(300, 2))
    send(kafka, two, shop_events(300, 2))
    late = with_protocol(kafka, group, protocol, auto_commit_interval_ms=60_000)
    with Member([(late, [one]), (late, [two])]) as member:
        member.deliver_count(600, 40)
    partitions = [(topic, p) for topic in (one, two) for p in range(2)]
    assert committed(kafka, group, partitions) == ends(kafka, partitions)


def test_control_records_leave_no_lag(kafka: str) -> None:
    """Behind the last record stands the mark of its transaction, and aborted records in between: all settled."""
    topic, group = fresh(kafka)
    events = [list(shop_events(20)) for _ in range(5)]
    transactions(kafka, topic, [(part, commits) for part, commits in zip(events, (1, 0, 1, 1, 0), strict=True)])
    with Member([(properties(kafka, group), [topic])], find_ends=True) as member:
        member.deliver_count(60)
        end = ends(kafka, [(topic, 0)])[topic, 0]
        assert end == 105
        member.wait_until(lambda: member.ledger.partitions()[0][2:] == (end, end, end, end))
        assert member.ledger.irregular()["lost"] == 0  # a jump is no loss
        member.wait_until(lambda: committed(kafka, group, [(topic, 0)]) == {(topic, 0): end})


def test_the_end_waits_for_what_is_outstanding(kafka: str) -> None:
    topic, group = fresh(kafka)
    transactions(kafka, topic, [(list(shop_events(10)), True)])
    with Member([(properties(kafka, group), [topic])], max_records=5) as member:
        member.wait_until(lambda: member.buffered() == 10)
        first, second = member.take(), member.take()
        assert first is not None
        assert second is not None
        member.settle(second)
        time.sleep(0.5)
        assert member.ledger.partitions()[0][3] == 0
        member.settle(first)
        member.wait_until(lambda: member.ledger.partitions()[0][3] == 11)


def test_gaps_wider_than_the_span_are_passed(kafka: str) -> None:
    topic, group = fresh(kafka, 1, dict(COMPACTED))
    # The first key never comes again and stays; what follows it is compacted to the last few.
    compact(kafka, topic, [Event(0, b"first", b"0"), *(Event(0, b"%d" % (n % 20), b"%d" % n) for n in range(1000))])
    there = offsets(kafka, topic, 0)
    end = ends(kafka, [(topic, 0)])[topic, 0]
    with Member([(properties(kafka, group), [topic])], span=64, max_records=7) as member:
        member.deliver_until(lambda: [row[3] for row in member.ledger.partitions()] == [end])
        assert [offset for _, _, offset in member.delivered] == there
        assert max(b - a for a, b in pairwise(there)) > 64
        assert member.ledger.irregular()["lost"] == 0
        member.wait_until(lambda: committed(kafka, group, [(topic, 0)]) == {(topic, 0): end})


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_truncated_position_goes_on_at_the_start_of_the_log(kafka: str, protocol: str) -> None:
    """Records were deleted beyond what was committed: counted as lost, the partition flows, the others never stop."""
    topic, group = fresh(kafka, 2)
    for partition in range(2):
        send(kafka, topic, [Event(partition, None, b"%d" % n) for n in range(100)])
    made = with_protocol(kafka, group, protocol)
    with Member([(made, [topic])], max_records=10) as member:
        member.wait_until(lambda: member.buffered() == 200, 40)
        for _ in range(20):
            batch = member.take()
            assert batch is not None
            if batch.ids()[0][1] == 1 or batch.ids()[-1][2] < 10:
                member.settle(batch)
            else:
                member.dispatcher.discard(batch)
        member.wait_until(lambda: committed(kafka, group, [(topic, 0), (topic, 1)]).get((topic, 1)) == 100)
    assert committed(kafka, group, [(topic, 0)]) == {(topic, 0): 10}
    admin = AdminClient({"bootstrap.servers": kafka})  # named, so that it lives until the answer
    before = TopicPartition(topic, 0, 60)
    admin.delete_records([before])[before].result(20)
    with Member([(made, [topic])]) as member:
        member.deliver_count(40, 40)
        assert member.delivered == [(topic, 0, n) for n in range(60, 100)]
        assert member.ledger.irregular()["lost"] == 50
        assert [note[:3] for note in member.notes() if note[0] == "reset"] == [("reset", 0, 50)]
        for partition in range(2):
            send(kafka, topic, [Event(partition, None, b"1")])
        member.deliver_count(42)
    assert committed(kafka, group, [(topic, 0), (topic, 1)]) == {(topic, 0): 101, (topic, 1): 101}


def test_records_of_a_mebibyte_and_one_that_is_larger_than_a_fetch(kafka: str) -> None:
    topic, group = fresh(kafka, 1, {"max.message.bytes": "9000000"})
    values = [b'"%s"' % (b"%d" % n * size) for n, size in enumerate([1_000_000, 10, 4_000_000, 1_000_000])]
    send(kafka, topic, [Event(0, None, value) for value in values])
    made = properties(kafka, group, fetch_message_max_bytes=262144, message_max_bytes=9_000_000)
    with Member([(made, [topic])], rings=48 << 20) as member:
        member.deliver_count(4, 40)
        assert b"".join(member.bodies).splitlines() == values


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_records_with_headers_and_without_side_by_side(kafka: str, codec: str) -> None:
    """Whether a record has headers is seen without asking librdkafka (ADR 5): none is missed, and it is in use."""
    topic, group = fresh(kafka)
    dice = random.Random(codec)
    sent: list[dict[str, str]] = []
    producer = Producer({"bootstrap.servers": kafka, "compression.type": codec, "linger.ms": 5})
    for n in range(2000):
        headers = {f"h{i}": "x" * dice.randrange(9) for i in range(dice.choice((0, 0, 0, 1, 3, 40)))}
        value = dice.choice((b"", None, b"0", b'{"n":%d}' % n, b'"' + b"\xc3\xa9" * 100 + b'"'))
        sent.append(headers)
        producer.produce(topic, value, b"k", headers=list(headers.items()), partition=0)
    assert producer.flush(20) == 0
    with Member([(properties(kafka, group), [topic])], format="envelope") as member:
        member.deliver_count(2000)
        lines = {
            int(line["id"].rpartition("/")[2]): line for line in map(json.loads, b"".join(member.bodies).splitlines())
        }
        seen, in_use = member.reader.headerless
    assert [lines[offset]["headers"] for offset in range(2000)] == sent
    assert in_use
    assert 0.2 * 2000 < seen < 2000


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_pausing_loses_nothing_and_outlives_no_assignment(kafka: str, protocol: str) -> None:
    """Under load in every cycle; then paused while a second member comes and goes: what comes back flows."""
    topic, group = fresh(kafka, 4)
    made = with_protocol(kafka, group, protocol)
    with Member([(made, [topic])], rings=2 << 20) as first:
        first.wait_assigned(4, 40)
        sent = 0

        def place() -> int:
            return [state.topic for state in first.reader.lanes()].index(topic)

        for _ in range(20):
            sent += send(kafka, topic, shop_events(2000, 4))
            first.deliver()
            first.reader.order(place(), "ring", pause=True)
            first.wait_until(lambda: first.reader.lanes()[place()].paused, idle=first.deliver)
            first.reader.order(place(), None)
            first.wait_until(lambda: not first.reader.lanes()[place()].paused, idle=first.deliver)
        first.deliver_count(sent, 40)
        assert len(set(first.delivered)) == sent
        for partition in range(4):
            read = [offset for _, p, offset in first.delivered if p == partition]
            assert read == list(range(len(read)))
        first.reader.order(place(), "budget", pause=True)
        with Member([(made, [topic])]) as second:
            second.wait_until(lambda: len(first.owned()) == len(second.owned()) == 2, 40, idle=second.deliver)
            assert first.reader.lanes()[place()].paused
        first.wait_until(lambda: len(first.owned()) == 4, 40)
        sent += send(kafka, topic, shop_events(2000, 4))
        first.wait_until(lambda: first.reader.lanes()[place()].paused)
        first.reader.order(place(), None)
        first.deliver_until(lambda: len(first.delivered) + len(second.delivered) == sent, 40)
        assert set(Counter(first.delivered + second.delivered).values()) == {1}
        assert not {"lost", "fatal"} & set(first.kinds())
        assert first.conserved()
