"""The history of commits is what a group committed, in order; a commit that goes back is found."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer, TopicPartition

from harness.commits import Commit, history, place_of, require_monotonic
from harness.scene import Broker


def test_the_history_has_every_commit_of_the_group_and_no_other(kafka_broker: Broker) -> None:
    name = f"history-{time.time_ns()}"
    kafka_broker.create(name, 2, {})
    begun = time.time_ns()
    for group, offsets in ((name, [(0, 5), (1, 7), (0, 9)]), (f"{name}-other", [(0, 1)])):
        consumer = Consumer({"bootstrap.servers": kafka_broker.bootstrap_servers, "group.id": group})
        for partition, offset in offsets:
            consumer.commit(offsets=[TopicPartition(name, partition, offset)], asynchronous=False)
        consumer.close()
    found = history(kafka_broker.bootstrap_servers, name)
    assert [(c.partition, c.offset) for c in found] == [((name, 0), 5), ((name, 1), 7), ((name, 0), 9)]
    assert all(begun - 1_000_000 <= c.time_ns <= time.time_ns() for c in found)


def test_groups_have_their_place_by_javas_hash() -> None:
    # "polygenelubricants".hashCode() is Integer.MIN_VALUE, for which Kafka takes 0; "test".hashCode() is 3556498.
    assert place_of("polygenelubricants", 50) == 0
    assert place_of("test", 50) == 3556498 % 50


def test_a_commit_that_goes_back_is_found() -> None:
    steps = [Commit(1, ("t", 0), 5), Commit(2, ("t", 1), 3), Commit(3, ("t", 0), 5)]
    require_monotonic(steps)
    with pytest.raises(AssertionError, match=r"offset=5\), and later .*offset=4"):
        require_monotonic([*steps, Commit(4, ("t", 0), 4)])
    retried = [*steps, Commit(4, ("t", 0), 4), Commit(9, ("t", 0), 6)]
    require_monotonic(retried, [(4, 8)])
    with pytest.raises(AssertionError, match="later"):
        require_monotonic(retried, [(5, 8)])
    with pytest.raises(AssertionError, match="5 was committed before"):
        require_monotonic(retried[:-1], [(4, 8)])
