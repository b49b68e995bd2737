"""The commit log is read as Kafka writes it, and what is planted in it is found."""

from __future__ import annotations

import struct

import pytest
from confluent_kafka import Consumer, TopicPartition

from harness import commits
from harness.commits import Commit, Entry, Generation, Member, generations, judge, overtaken, parse, place_of
from harness.fixtures import Scenes
from harness.scene import Broker
from harness.topics import Partition

P0: Partition = ("t", 0)
P1: Partition = ("t", 1)
GOOD: list[Entry] = [
    Generation("g", 0, 0),
    Generation("g", 1, 1),
    Commit("g", P0, 5),
    Commit("g", P1, 7),
    Generation("g", 2, 2),
    Commit("g", P0, 5),  # again: a hand-over
    Commit("g", P1, 9),
    Generation("g", 3, 0),
]


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def test_a_good_log_passes() -> None:
    assert judge(GOOD) == []
    assert generations([*GOOD, Generation("g", 3, 0)]) == [0, 1, 2, 3]


def test_a_commit_that_goes_back_is_found() -> None:
    ended = [*GOOD[:-1], Commit("g", P1, 8), GOOD[-1]]
    assert judge(ended) == [("rewound", "t[1] from 9 to 8")]
    assert overtaken(ended) == 1
    took_over = [*GOOD[:-1], Commit("g", P1, 8), Generation("g", 3, 2), Commit("g", P1, 9), Generation("g", 4, 0)]
    assert judge(took_over) == [("rewound", "t[1] from 9 to 8")]
    went_on = [*GOOD[:-1], Commit("g", P1, 7), Commit("g", P1, 8), Commit("g", P1, 9), GOOD[-1]]
    assert judge(went_on) == [("rewound", "t[1] from 9 to 7")]
    forgotten = [*GOOD[:-1], Commit("g", P1, None), Commit("g", P1, 0), GOOD[-1]]  # the topic was made anew
    assert judge(forgotten) == []
    assert overtaken(forgotten) == 0


def test_a_commit_that_was_sent_again_too_late_is_counted_apart() -> None:
    late = [*GOOD[:-1], Commit("g", P1, 8), Commit("g", P0, 6), Commit("g", P1, 9), GOOD[-1]]
    assert judge(late) == []
    assert overtaken(late) == 1


def test_while_the_coordinator_fails_it_may_be_made_good_later_but_must_be() -> None:
    back = [*GOOD[:-1], Commit("g", P1, 8, 50), Generation("g", 3, 2)]
    assert judge([*back, Commit("g", P1, 9, 90)]) == [("rewound", "t[1] from 9 to 8")]
    assert judge([*back, Commit("g", P1, 9, 90)], [(60, 99)]) == [("rewound", "t[1] from 9 to 8")]
    assert judge([*back, Commit("g", P1, 9, 90)], [(40, 60)]) == []
    assert judge(back, [(40, 60)]) == [("rewound", "t[1] from 9 to 8")]


def test_a_commit_by_nobody_of_the_group_is_found() -> None:
    assert judge([*GOOD, Commit("g", P0, 6)]) == [("unowned", "t[0] to 6: the group had no member")]
    new: list[Entry] = [Member("g", "a", True), Generation("g", 2), Commit("g", P0, 1), Member("g", "a", False)]
    assert judge(new) == []
    assert [kind for kind, _ in judge([*new, Commit("g", P0, 2)])] == ["unowned"]


def test_every_version_of_a_record_is_read() -> None:
    key = struct.pack(">h", 1) + text("g") + text("t") + struct.pack(">i", 1)
    for version in range(5):
        value = struct.pack(">hq", version, 42) + b"rest"
        assert parse(key, value) == Commit("g", P1, 42)
    assert parse(key, None) == Commit("g", P1, None)
    old = text("consumer") + struct.pack(">i", 7) + struct.pack(">h", -1) + text("leader")
    key = struct.pack(">h", 2) + text("g")
    assert parse(key, struct.pack(">h", 1) + old + struct.pack(">i", 3)) == Generation("g", 7, 3)
    assert parse(key, struct.pack(">h", 3) + old + struct.pack(">qi", 1, 3)) == Generation("g", 7, 3)
    compact = b"\x09consumer" + struct.pack(">i", 7) + b"\x00" + b"\x07leader" + struct.pack(">q", 1) + b"\x04"
    assert parse(key, struct.pack(">h", 4) + compact) == Generation("g", 7, 3)
    assert parse(struct.pack(">h", 3) + text("g"), struct.pack(">hi", 0, 9)) == Generation("g", 9)
    assert parse(struct.pack(">h", 5) + text("g") + text("m"), None) == Member("g", "m", False)
    assert parse(struct.pack(">h", 6) + text("g"), b"\x00\x00") is None


def test_groups_have_their_place_by_javas_hash() -> None:
    # "polygenelubricants".hashCode() is Integer.MIN_VALUE, for which Kafka takes 0; "test".hashCode() is 3556498.
    assert place_of("polygenelubricants", 50) == 0
    assert place_of("test", 50) == 3556498 % 50


def test_a_version_that_is_not_known_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="version 5"):
        parse(struct.pack(">h", 1) + text("g") + text("t") + struct.pack(">i", 1), struct.pack(">hq", 5, 42))


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_what_a_group_did_on_a_real_kafka(kafka_broker: Broker, scenes: Scenes, protocol: str) -> None:
    """A group of one, then a commit from outside it, which Kafka takes."""
    scene = scenes(kafka_broker, protocol=protocol)
    sidecar = scene.sidecar()
    scene.produce(200)
    scene.wait_settled(sidecar)
    sidecar.stop()
    found = commits.read(scene.servers, scene.group)
    assert judge(found) == []
    last = {entry.partition: entry.offset for entry in found if isinstance(entry, Commit)}
    assert last == scene.committed()
    assert len(generations(found)) >= 2
    outsider = Consumer({"bootstrap.servers": scene.servers, "group.id": scene.group})
    outsider.commit(offsets=[TopicPartition(scene.topic, 0, 3)], asynchronous=False)
    outsider.close()
    assert {kind for kind, _ in judge(commits.read(scene.servers, scene.group))} == {"rewound", "unowned"}
