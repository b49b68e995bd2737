"""Where partitions begin, on a real Kafka: retention, partitions added, offsets deleted, topics made anew."""

from __future__ import annotations

import threading
import time
from collections import Counter
from itertools import count

import pytest
from confluent_kafka import Consumer, TopicPartition
from member import Member, numbers, produce, properties

from harness.topics import add_partitions, committed, create_topic, delete_group, delete_records, recreate_topic

_names = count()


def fresh(kafka: str, partitions: int = 1) -> tuple[str, str]:
    """A topic and a group of their own."""
    name = f"start-{time.time_ns()}-{next(_names)}"
    create_topic(kafka, name, partitions)
    return name, f"group-{name}"


def quick(kafka: str, group: str, protocol: str = "classic", **more: str | int) -> dict[str, str]:
    more = {"topic_metadata_refresh_interval_ms": 300, "auto_commit_interval_ms": 200} | more
    if protocol == "consumer":  # the broker's own
        more |= {"partition_assignment_strategy": "", "session_timeout_ms": "", "heartbeat_interval_ms": ""}
    return properties(kafka, group, group_protocol=protocol, **more)


def commit(kafka: str, group: str, topic: str, offsets: dict[int, int]) -> None:
    """As another consumer of the group would."""
    other = Consumer({"bootstrap.servers": kafka, "group.id": group})
    other.commit(offsets=[TopicPartition(topic, p, offset) for p, offset in offsets.items()], asynchronous=False)
    other.close()


def starts(member: Member) -> list[str]:
    return [note[3] for note in member.notes() if note[0] == "start"]


def offsets_of(kafka: str, group: str, topic: str, partitions: int) -> dict[int, int]:
    found = committed(kafka, group, [(topic, p) for p in range(partitions)])
    return {p: offset for (_, p), offset in found.items()}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_what_retention_took_is_counted_before_anything_is_read(kafka: str, protocol: str) -> None:
    topic, group = fresh(kafka, 2)
    for p in range(2):
        produce(kafka, topic, numbers(100), p)
    commit(kafka, group, topic, {0: 10, 1: 20})
    delete_records(kafka, {(topic, 0): 60})
    with Member([(quick(kafka, group, protocol), [topic])]) as member:
        member.deliver_count(40 + 80, 40)
        assert min(member.delivered) == (topic, 0, 60)
        assert member.ledger.lost() == {topic: 50}
        assert member.ledger.irregular()["lost"] == 50
        resets = [note for note in member.notes() if note[0] == "reset"]
        assert [note[1:3] for note in resets] == [(0, 50)]
        assert f"{topic}/0: offsets 10 to 59" in resets[0][3]
        member.wait_until(lambda: offsets_of(kafka, group, topic, 2) == {0: 100, 1: 100})


def test_what_retention_took_is_lost_once(kafka: str) -> None:
    """The new start is committed at once: a restart before the first record is settled does not count it again."""
    topic, group = fresh(kafka)
    produce(kafka, topic, numbers(100), 0)
    commit(kafka, group, topic, {0: 10})
    delete_records(kafka, {(topic, 0): 60})
    with Member([(quick(kafka, group, auto_commit_interval_ms=60_000), [topic])]) as member:
        member.wait_until(lambda: member.buffered() == 40)
        member.wait_until(lambda: offsets_of(kafka, group, topic, 1) == {0: 60})
    with Member([(quick(kafka, group), [topic])]) as member:
        member.deliver_count(40)
        assert member.ledger.lost() == {topic: 0}


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_a_committed_offset_beyond_the_log(kafka: str, start: str) -> None:
    topic, group = fresh(kafka)
    produce(kafka, topic, numbers(30), 0)
    commit(kafka, group, topic, {0: 5000})
    with Member([(quick(kafka, group), [topic])], start=start) as member:
        member.deliver_count(30)
        assert any("beyond the end 30" in note[3] for note in member.notes() if note[0] == "reset")
        member.wait_until(lambda: offsets_of(kafka, group, topic, 1) == {0: 30})


def test_a_log_cut_while_its_lane_is_held(kafka: str) -> None:
    """What lies behind a full ring when retention takes it: the gap is counted, the rest flows."""
    topic, group = fresh(kafka)
    with Member([(quick(kafka, group, queued_min_messages=10, queued_max_messages_kbytes=64), [topic])]) as member:
        member.wait_assigned(1)
        produce(kafka, topic, [b'{"type":"view","pad":"%s"}' % (b"x" * 60_000)] * 400, 0)
        member.wait_until(lambda: member.holds() == {topic: "ring"})
        read = member.ledger.partitions()[0][2]
        assert read < 390
        delete_records(kafka, {(topic, 0): 395})
        produce(kafka, topic, numbers(10, 400), 0)
        member.deliver_until(lambda: member.delivered[-1:] == [(topic, 0, 409)], 40)
        got = {offset for _, _, offset in member.delivered}
        assert set(range(395, 410)) <= got
        assert member.ledger.lost() == {topic: 410 - len(got)}
        assert len(got) == len(member.delivered) < 400
        member.wait_until(lambda: offsets_of(kafka, group, topic, 1) == {0: 410}, idle=member.deliver)


def test_latest_is_committed_before_anything_arrives(kafka: str) -> None:
    """A crash before the first record does not skip what arrived meanwhile: the end is committed at assignment."""
    topic, group = fresh(kafka, 2)
    produce(kafka, topic, numbers(30), 0)
    with Member([(quick(kafka, group, auto_commit_interval_ms=60_000), [topic])], start="latest") as member:
        member.wait_until(lambda: offsets_of(kafka, group, topic, 2) == {0: 30, 1: 0})
        assert starts(member) == []
    produce(kafka, topic, numbers(5, 30), 0)
    with Member([(quick(kafka, group), [topic])], start="latest") as member:
        member.deliver_count(5)


def test_a_thread_that_cannot_be_started_is_tried_again(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod may have so many threads and no more; without the group's offsets nothing begins."""
    topic, group = fresh(kafka)
    produce(kafka, topic, numbers(30), 0)
    refused, start = [], threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "tidegate-offsets" and len(refused) < 3:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Member([(quick(kafka, group), [topic])]) as member:
        member.deliver_count(30)
        assert len(refused) == 3
        assert any("no thread can be started" in note[3] for note in member.notes())


def test_commits_have_no_metadata(kafka: str) -> None:
    """Other tools read the group's offsets, confluent_kafka among them, which reads metadata beyond its end."""
    topic, group = fresh(kafka, 3)
    with Member([(quick(kafka, group), [topic])]) as member:
        for p in range(3):
            produce(kafka, topic, numbers(20), p)
        member.deliver_count(60)
        member.wait_until(lambda: offsets_of(kafka, group, topic, 3) == {0: 20, 1: 20, 2: 20})
    other = Consumer({"bootstrap.servers": kafka, "group.id": group})
    try:
        for _ in range(200):
            found = other.committed([TopicPartition(topic, p) for p in range(3)], timeout=10)
            assert [(one.offset, one.metadata or "") for one in found] == [(20, "")] * 3
    finally:
        other.close()


@pytest.mark.parametrize("start", ["earliest", "latest"])
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_partitions_added_while_running_start_at_earliest(kafka: str, protocol: str, start: str) -> None:
    topic, group = fresh(kafka, 2)
    produce(kafka, topic, numbers(30), 0)
    with Member([(quick(kafka, group, protocol), [topic])], start=start) as member:
        member.wait_until(lambda: len(offsets_of(kafka, group, topic, 2)) == 2, 40, idle=member.deliver)
        add_partitions(kafka, topic, 4)
        produce(kafka, topic, numbers(50), 2)
        produce(kafka, topic, numbers(50), 3)
        member.deliver_count(100 + (30 if start == "earliest" else 0), 40)
        new = {(p, offset) for _, p, offset in member.delivered if p >= 2}
        assert new == {(p, n) for p in (2, 3) for n in range(50)}


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_partitions_added_while_nobody_ran_start_at_earliest(kafka: str, start: str) -> None:
    """The group's offsets in the other partitions tell; whoever made them."""
    topic, group = fresh(kafka, 2)
    with Member([(quick(kafka, group), [topic])], start=start) as member:
        member.wait_until(lambda: len(offsets_of(kafka, group, topic, 2)) == 2)
    other = f"{group}-other"
    commit(kafka, other, topic, {1: 0})
    add_partitions(kafka, topic, 3)
    time.sleep(0.3)
    produce(kafka, topic, numbers(20), 2)
    for name in (group, other):
        with Member([(quick(kafka, name), [topic])], start=start) as member:
            member.deliver_count(20)
            assert f"{topic}/2: no committed offset" in starts(member)[-1]
            assert [note[1] for note in member.notes() if note[0] == "start"][-1] == 4  # a warning


def test_members_that_begin_together_begin_at_the_end(kafka: str) -> None:
    """One has committed already when the other asks: its partitions were there, nothing old is read."""
    topic, group = fresh(kafka, 4)
    for p in range(4):
        produce(kafka, topic, numbers(25), p)
    first, second = (Member([(quick(kafka, group), [topic])], start="latest") for _ in range(2))
    with first, second:

        def deliver() -> None:
            first.deliver()
            second.deliver()

        first.wait_until(lambda: len(first.owned()) == len(second.owned()) == 2, idle=deliver)
        first.wait_until(lambda: offsets_of(kafka, group, topic, 4) == dict.fromkeys(range(4), 25))
        for p in range(4):
            produce(kafka, topic, numbers(5, 25), p)
        first.wait_until(lambda: len(first.delivered) + len(second.delivered) >= 20, idle=deliver)
        time.sleep(0.3)
        deliver()
        wanted = {(topic, p, n) for p in range(4) for n in range(25, 30)}
        assert Counter(first.delivered + second.delivered) == dict.fromkeys(wanted, 1)


def test_what_the_group_had_when_a_member_began_counts(kafka: str) -> None:
    """As above, but sure to be late: the first commits are made while the member waits to be let in. Partitions
    without one are not taken for added ones."""
    topic, group = fresh(kafka, 2)
    for p in range(2):
        produce(kafka, topic, numbers(25), p)
    host = Consumer(quick(kafka, group, log_queue="", enable_auto_commit="false", auto_offset_reset="latest"))
    host.subscribe([topic])
    deadline = time.monotonic() + 20
    while len(host.assignment()) < 2:
        host.poll(0.05)
        assert time.monotonic() < deadline
    with Member([(quick(kafka, group), [topic])], start="latest") as member:
        time.sleep(1)  # the host does not poll: nobody is let in
        assert member.owned() == set()
        host.commit(offsets=[TopicPartition(topic, 0, 20)], asynchronous=False)
        host.close()
        member.wait_until(lambda: offsets_of(kafka, group, topic, 2) == {0: 25, 1: 25}, idle=member.deliver)
        assert sorted(member.delivered) == [(topic, 0, offset) for offset in range(20, 25)]


def test_deleted_offsets(kafka: str) -> None:
    """Of one partition: earliest, with a warning. Of all: the group begins anew."""
    topic, group = fresh(kafka, 3)
    for p in range(3):
        produce(kafka, topic, numbers(30), p)
    commit(kafka, group, topic, {0: 30, 2: 30})
    with Member([(quick(kafka, group), [topic])], start="latest") as member:
        member.deliver_count(30)
        assert min(member.delivered) == (topic, 1, 0)
        (text,) = starts(member)
        assert f"{topic}/1: no committed offset" in text
    delete_group(kafka, group)
    for start, more in (("latest", 0), ("earliest", 90)):
        with Member([(quick(kafka, group), [topic])], start=start) as member:
            member.wait_until(lambda: len(offsets_of(kafka, group, topic, 3)) == 3)
            member.deliver_count(more)
            assert starts(member) == []
        delete_group(kafka, group)


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_a_topic_made_anew_while_nobody_ran(kafka: str, start: str) -> None:
    """Kafka has deleted the group's offsets with the topic: a topic that nobody has read. TIDEGATE_START decides."""
    topic, group = fresh(kafka)
    produce(kafka, topic, numbers(50), 0)
    with Member([(quick(kafka, group), [topic])]) as member:
        member.deliver_count(50)
        member.wait_until(lambda: offsets_of(kafka, group, topic, 1) == {0: 50})
    recreate_topic(kafka, topic, 1)
    produce(kafka, topic, numbers(80), 0)
    with Member([(quick(kafka, group), [topic])], start=start) as member:
        member.wait_until(lambda: len(offsets_of(kafka, group, topic, 1)) == 1)
        produce(kafka, topic, numbers(5), 0)
        member.deliver_count(85 if start == "earliest" else 5)


@pytest.mark.parametrize(
    ("protocol", "pause", "records"),
    [("classic", 0.0, 20), ("classic", 2.0, 400), ("consumer", 0.0, 400), ("consumer", 2.0, 400)],
)
def test_a_topic_made_anew_is_read_from_its_start(kafka: str, protocol: str, pause: float, records: int) -> None:
    """Shorter than the old log or longer, noticed as deleted or not: nothing of it is left out, and the offset that
    the group has is one of the new log."""
    topic, group = fresh(kafka, 2)
    for p in range(2):
        produce(kafka, topic, numbers(100), p)
    with Member([(quick(kafka, group, protocol), [topic])], start="latest") as member:
        member.wait_assigned(2, 40)
        for p in range(2):
            produce(kafka, topic, numbers(100, 100), p)
        member.wait_until(lambda: member.buffered() == 200)
        old = member.take()  # delivered, but not yet acknowledged when the topic goes
        assert old is not None
        recreate_topic(kafka, topic, 2, pause)
        for p in range(2):
            produce(kafka, topic, [b'{"new":%d}' % n for n in range(records)], p)
        lines: list[bytes] = []

        def new() -> bool:
            member.deliver()
            lines[:] = [line for body in member.bodies for line in body.splitlines() if b"new" in line]
            return len(set(lines)) == records and len(lines) >= 2 * records

        member.wait_until(new, 40)
        wanted = {0: records, 1: records}
        member.wait_until(lambda: offsets_of(kafka, group, topic, 2) == wanted, idle=member.deliver)
        member.settle(old)
        time.sleep(0.7)
        assert offsets_of(kafka, group, topic, 2) == wanted
        assert member.conserved()
        assert "fatal" not in member.kinds()
        produce(kafka, topic, numbers(10), 0)
        member.deliver_until(lambda: member.delivered[-1] == (topic, 0, records + 9))
    assert offsets_of(kafka, group, topic, 2) == {0: records + 10, 1: records}
