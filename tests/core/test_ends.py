"""Where the logs end, and how old what was read is: what a hold keeps from the reader must be seen all the same."""

from __future__ import annotations

import time

from confluent_kafka import Producer
from member import Member, numbers, produce, properties

from harness.scene import Broker
from tidegate.types import LaneState

PARTITIONS = 3


def lane(member: Member, topic: str) -> tuple[int, LaneState]:
    return next((i, one) for i, one in enumerate(member.reader.lanes()) if one.topic == topic)


def fresh(broker: Broker) -> str:
    topic = f"ends-{time.time_ns()}"
    broker.create(topic, PARTITIONS, {})
    return topic


def test_what_comes_into_a_held_lane_is_counted_each_second(broker: Broker) -> None:
    topic = fresh(broker)
    produce(broker.bootstrap_servers, topic, numbers(300))
    with Member([(properties(broker.bootstrap_servers, f"g-{topic}"), [topic])]) as member:
        member.wait_assigned(PARTITIONS, 40)
        assert lane(member, topic)[1].end == 300  # the assignment asked already
        member.deliver_count(300)
        number, before = lane(member, topic)
        assert (before.position, sum(before.polled)) == (300, 300)
        member.reader.order(number, "operator")
        member.wait_until(lambda: lane(member, topic)[1].reason == "operator")
        for more in (500, 1500):
            produce(broker.bootstrap_servers, topic, numbers(more))
            end = (lane(member, topic)[1].end or 0) + more
            begun = time.monotonic()
            member.wait_until(lambda end=end: lane(member, topic)[1].end == end)  # type: ignore[misc]
            assert time.monotonic() - begun < 3
        held = lane(member, topic)[1]
        assert (held.position, sum(held.polled), held.assignment) == (300, 300, before.assignment)
        assert 0 <= time.monotonic() - held.ends_at < 2.5
        member.reader.order(number, None)
        member.deliver_count(2300)
        member.wait_until(lambda: lane(member, topic)[1].position == lane(member, topic)[1].end == 2300)
        assert lane(member, topic)[1].operator_seconds > 0.5


def test_a_lane_that_is_paused_is_asked_about_as_well(broker: Broker) -> None:
    topic = fresh(broker)
    with Member([(properties(broker.bootstrap_servers, f"g-{topic}"), [topic])]) as member:
        member.wait_assigned(PARTITIONS, 40)
        produce(broker.bootstrap_servers, topic, numbers(PARTITIONS))
        member.deliver_count(PARTITIONS)  # so each position is known, however late a busy broker tells of its logs
        member.reader.order(lane(member, topic)[0], "budget", True)
        member.wait_until(lambda: lane(member, topic)[1].paused)
        produce(broker.bootstrap_servers, topic, numbers(900))
        member.wait_until(lambda: lane(member, topic)[1].end == 900 + PARTITIONS)
        assert lane(member, topic)[1].position == PARTITIONS


def test_a_lane_that_brings_nothing_stays_where_it_is_without_questions(broker: Broker) -> None:
    """Its ends are known anew each second all the same: a burst after a long calm is not spread over the calm."""
    topic = fresh(broker)
    with Member([(properties(broker.bootstrap_servers, f"g-{topic}"), [topic])]) as member:
        member.wait_assigned(PARTITIONS, 40)
        produce(broker.bootstrap_servers, topic, numbers(30))
        member.deliver_count(30)
        time.sleep(2.5)
        for _ in range(3):
            one = lane(member, topic)[1]
            assert (one.position, one.end) == (30, 30)
            assert time.monotonic() - one.ends_at < 1.3
            time.sleep(0.7)


def test_the_head_is_the_oldest_that_was_read(broker: Broker) -> None:
    topic = fresh(broker)
    with Member([(properties(broker.bootstrap_servers, f"g-{topic}"), [topic])]) as member:
        member.wait_assigned(PARTITIONS, 40)
        assert lane(member, topic)[1].head_seconds is None
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        now_ms = int(time.time() * 1000)
        for timestamp_ms in (now_ms - 7_200_000, now_ms - 3_600_000):  # of last year, retention would take them at once
            producer.produce(topic, b'{"type":"view"}', partition=0, timestamp=timestamp_ms)
            producer.flush(10)
            count = len(member.delivered) + 1
            member.deliver_count(count)
            member.wait_until(lambda at=timestamp_ms: lane(member, topic)[1].head_seconds == at / 1000)  # type: ignore[misc]


def test_the_head_is_known_though_an_end_comes_before_it(broker: Broker) -> None:
    """A calm lane's batch often begins with the end of another partition."""
    topic = fresh(broker)
    with Member([(properties(broker.bootstrap_servers, f"g-{topic}"), [topic])]) as member:
        member.wait_assigned(PARTITIONS, 40)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        number = lane(member, topic)[0]
        member.reader.order(number, "operator")
        member.wait_until(lambda: lane(member, topic)[1].reason == "operator")
        oldest_ms = int(time.time() * 1000) - 7_200_000
        for partition, timestamp_ms in ((0, oldest_ms + 3_600_000), (1, oldest_ms)):
            producer.produce(topic, b'{"type":"view"}', partition=partition, timestamp=timestamp_ms)
            producer.flush(10)
            time.sleep(0.5)  # fetched, and its partition's end behind it; the hold takes the first in hand
        member.reader.order(number, None)
        member.deliver_count(2)
        member.wait_until(lambda: lane(member, topic)[1].head_seconds == oldest_ms / 1000)
