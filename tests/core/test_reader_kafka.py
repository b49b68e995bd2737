"""Reader on a real Kafka: what the embedded broker cannot show."""

from __future__ import annotations

import time
from collections import Counter
from itertools import count

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from harness.kafka import KafkaServer
from harness.produce import COMPACTED, Event, send, shop_events, transactions, wait_compacted
from harness.topics import committed, ends
from member import Member, properties

_names = count()


def fresh(kafka: KafkaServer, partitions: int = 1, config: dict[str, str] | None = None) -> tuple[str, str]:
    """A topic and a group of their own."""
    name = f"reader-{time.time_ns()}-{next(_names)}"
    kafka.create_topic(name, partitions, config)
    return name, f"group-{name}"


def with_protocol(kafka: KafkaServer, group: str, protocol: str, **more: str | int) -> dict[str, str]:
    if protocol == "consumer":  # the broker's own
        more |= {"partition_assignment_strategy": "", "session_timeout_ms": "", "heartbeat_interval_ms": ""}
    return properties(kafka.bootstrap_servers, group, group_protocol=protocol, **more)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_two_members_share_and_hand_over(kafka: KafkaServer, protocol: str) -> None:
    topic, group = fresh(kafka, 4)
    servers = kafka.bootstrap_servers
    send(servers, topic, shop_events(2000, 4))
    with Member([(with_protocol(kafka, group, protocol), [topic])]) as first:
        first.deliver_count(2000)
        with Member([(with_protocol(kafka, group, protocol), [topic])]) as second:
            deadline = time.monotonic() + 40
            while not (first.owned() and second.owned() and len(first.owned() | second.owned()) == 4):
                first.deliver()
                second.deliver()
                assert time.monotonic() < deadline, (first.state(), second.state())
                time.sleep(0.01)
            send(servers, topic, shop_events(1000, 4))
            while len(set(first.delivered) | set(second.delivered)) < 3000:
                first.deliver()
                second.deliver()
                assert time.monotonic() < deadline, (first.state(), second.state())
                time.sleep(0.002)
            assert second.delivered
        first.wait_until(lambda: len(first.owned()) == 4, 40, idle=first.deliver)
        send(servers, topic, shop_events(500, 4))
        first.deliver_until(lambda: len(set(first.delivered) | set(second.delivered)) == 3500, 40)
        assert set(Counter(first.delivered + second.delivered).values()) == {1}
        assert not {"lost", "fatal"} & set(first.kinds() + second.kinds())
        assert first.conserved()
    partitions = [(topic, p) for p in range(4)]
    assert committed(servers, group, partitions) == ends(servers, partitions)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_every_handle_commits_when_it_closes(kafka: KafkaServer, protocol: str) -> None:
    (one, group), (two, _) = fresh(kafka, 2), fresh(kafka, 2)
    servers = kafka.bootstrap_servers
    send(servers, one, shop_events(300, 2))
    send(servers, two, shop_events(300, 2))
    late = with_protocol(kafka, group, protocol, auto_commit_interval_ms=60_000)
    with Member([(late, [one]), (late, [two])]) as member:
        member.deliver_count(600, 40)
    partitions = [(topic, p) for topic in (one, two) for p in range(2)]
    assert committed(servers, group, partitions) == ends(servers, partitions)


def test_control_records_leave_no_lag(kafka: KafkaServer) -> None:
    """Behind the last record stands the mark of its transaction, and aborted records in between: all settled."""
    topic, group = fresh(kafka)
    servers = kafka.bootstrap_servers
    events = [list(shop_events(20)) for _ in range(5)]
    transactions(servers, topic, [(part, commits) for part, commits in zip(events, (1, 0, 1, 1, 0), strict=True)])
    with Member([(properties(servers, group), [topic])], find_ends=True) as member:
        member.deliver_count(60)
        end = ends(servers, [(topic, 0)])[topic, 0]
        assert end == 105
        member.wait_until(lambda: member.ledger.partitions()[0][2:] == (end, end, end, end))
        assert member.ledger.irregular()["lost"] == 0  # a jump is no loss
        member.wait_until(lambda: committed(servers, group, [(topic, 0)]) == {(topic, 0): end})


def test_the_end_waits_for_what_is_outstanding(kafka: KafkaServer) -> None:
    topic, group = fresh(kafka)
    servers = kafka.bootstrap_servers
    transactions(servers, topic, [(list(shop_events(10)), True)])
    with Member([(properties(servers, group), [topic])], max_records=5) as member:
        member.wait_until(lambda: member.buffered() == 10)
        first, second = member.take(), member.take()
        assert first is not None
        assert second is not None
        member.settle(second)
        time.sleep(0.5)
        assert member.ledger.partitions()[0][3] == 0
        member.settle(first)
        member.wait_until(lambda: member.ledger.partitions()[0][3] == 11)


def test_gaps_of_compaction_are_passed(kafka: KafkaServer) -> None:
    topic, group = fresh(kafka, 1, dict(COMPACTED))
    servers = kafka.bootstrap_servers
    for turn in range(4):
        send(servers, topic, [Event(0, b"k%d" % n, b'{"type":"view","turn":%d}' % turn) for n in range(50)])
        time.sleep(0.3)  # so that the segment is rolled
    send(servers, topic, [Event(0, b"last", b"{}")])
    wait_compacted(servers, topic, 0, 60)
    end = ends(servers, [(topic, 0)])[topic, 0]
    with Member([(properties(servers, group), [topic])], span=64, max_records=7) as member:
        member.deliver_until(lambda: [row[3] for row in member.ledger.partitions()] == [end])
        assert 50 <= len(member.delivered) < 201
        assert member.delivered[-1][2] == end - 1
        assert member.ledger.irregular()["lost"] == 0
        member.wait_until(lambda: committed(servers, group, [(topic, 0)]) == {(topic, 0): end})


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_truncated_position_goes_on_at_the_start_of_the_log(kafka: KafkaServer, protocol: str) -> None:
    """Records were deleted beyond what was committed: counted as lost, the partition flows, the others never stop."""
    topic, group = fresh(kafka, 2)
    servers = kafka.bootstrap_servers
    for partition in range(2):
        send(servers, topic, [Event(partition, None, b"%d" % n) for n in range(100)])
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
        member.wait_until(lambda: committed(servers, group, [(topic, 0), (topic, 1)]).get((topic, 1)) == 100)
    assert committed(servers, group, [(topic, 0)]) == {(topic, 0): 10}
    AdminClient({"bootstrap.servers": servers}).delete_records([TopicPartition(topic, 0, 60)])[
        TopicPartition(topic, 0)
    ].result(20)
    with Member([(made, [topic])]) as member:
        member.deliver_count(40, 40)
        assert member.delivered == [(topic, 0, n) for n in range(60, 100)]
        assert member.ledger.irregular()["lost"] == 50
        assert [note[:3] for note in member.notes() if note[0] == "reset"] == [("reset", 0, 50)]
        for partition in range(2):
            send(servers, topic, [Event(partition, None, b"1")])
        member.deliver_count(42)
    assert committed(servers, group, [(topic, 0), (topic, 1)]) == {(topic, 0): 101, (topic, 1): 101}


def test_records_of_a_mebibyte_and_one_that_is_larger_than_a_fetch(kafka: KafkaServer) -> None:
    topic, group = fresh(kafka, 1, {"max.message.bytes": "9000000"})
    servers = kafka.bootstrap_servers
    values = [b'"%s"' % (b"%d" % n * size) for n, size in enumerate([1_000_000, 10, 4_000_000, 1_000_000])]
    send(servers, topic, [Event(0, None, value) for value in values])
    made = properties(servers, group, fetch_message_max_bytes=262144, message_max_bytes=9_000_000)
    with Member([(made, [topic])], rings=48 << 20) as member:
        member.deliver_count(4, 40)
        assert b"".join(member.bodies).splitlines() == values
