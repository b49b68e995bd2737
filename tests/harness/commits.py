"""The history of a group's commits, from Kafka's own log of them (``__consumer_offsets``): what was settled when.

Asked after the run, so that no question disturbs the moment that it is about. The real Kafka only.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from harness.topics import Partition, patiently

OFFSETS_TOPIC = "__consumer_offsets"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of one partition; ``time_ns`` is the coordinator's wall clock, in whole milliseconds."""

    time_ns: int
    partition: Partition
    offset: int


def place_of(group: str, partitions: int) -> int:
    """The partition of ``__consumer_offsets`` that has the group: its leader is the coordinator.

    Java's ``String.hashCode`` as GroupMetadataManager.partitionFor uses it; groups here are ASCII.
    """
    hashed = 0
    for character in group:
        hashed = (31 * hashed + ord(character)) & 0xFFFFFFFF
    signed = hashed - (1 << 32) if hashed >> 31 else hashed
    return abs(signed) % partitions if signed != -(1 << 31) else 0


def history(servers: str, group: str, timeout: float = 30) -> list[Commit]:
    """Every commit of the group so far, in the order of the log. Raises TimeoutError."""
    admin = AdminClient({"bootstrap.servers": servers})
    known = patiently(lambda: admin.list_topics(OFFSETS_TOPIC, timeout=5)).topics[OFFSETS_TOPIC]
    place = TopicPartition(OFFSETS_TOPIC, place_of(group, len(known.partitions)), 0)
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "harness-history",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_uncommitted",
            "auto.offset.reset": "earliest",
        }
    )
    found: list[Commit] = []
    deadline = time.monotonic() + timeout
    try:
        consumer.assign([place])
        while time.monotonic() < deadline:
            for message in consumer.consume(5000, 0.1):
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return found
                    raise KafkaException(error)
                key, value = message.key(), message.value()
                assert not isinstance(key, str)
                assert not isinstance(value, str)
                entry = _decode(key or b"", value, group)
                if entry is not None:
                    found.append(Commit(message.timestamp()[1] * 1_000_000, *entry))
        raise TimeoutError(f"{OFFSETS_TOPIC}[{place.partition}] does not end within {timeout} s")
    finally:
        consumer.close()


def require_monotonic(commits: Iterable[Commit], excused: Sequence[tuple[int, int]] = ()) -> None:
    """Raises AssertionError where a commit goes back: whoever was not the owner any more was not to be heard.

    ``excused`` are times (ns) in which the coordinator fails: librdkafka then tries a commit again that was not
    answered, after a later one went through. It makes good for it with the next commit: at the end none is back.
    """
    last: dict[Partition, Commit] = {}
    most: dict[Partition, int] = {}
    for commit in commits:
        before = last.get(commit.partition)
        if before is not None and commit.offset < before.offset:
            late = any(since <= commit.time_ns <= until for since, until in excused)
            assert late, f"{before}, and later {commit}"
        last[commit.partition] = commit
        most[commit.partition] = max(commit.offset, most.get(commit.partition, 0))
    for partition, offset in most.items():
        assert last[partition].offset == offset, f"{last[partition]}, but {offset} was committed before"


def _decode(key: bytes, value: bytes | None, group: str) -> tuple[Partition, int] | None:
    """OffsetCommitKey (versions 0 and 1) and the offset of OffsetCommitValue, of ``group``; None for what else."""
    if value is None or len(key) < 2 or struct.unpack_from(">h", key)[0] > 1:
        return None
    names, at = [], 2
    for _ in range(2):
        (length,) = struct.unpack_from(">h", key, at)
        names.append(key[at + 2 : at + 2 + length].decode())
        at += 2 + length
    if names[0] != group:
        return None
    return (names[1], struct.unpack_from(">i", key, at)[0]), struct.unpack_from(">q", value, 2)[0]
