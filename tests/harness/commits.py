"""Every commit of a group, as Kafka wrote it to ``__consumer_offsets``: asking for offsets shows only the last ones.

The keys and values are those of Kafka's group coordinator (group-coordinator/src/main/resources/common/message):

    key    int16 type, then strings (int16 length, bytes) and int32
           0, 1 offset commit: group, topic, partition     2 classic group: group
           3 consumer group: group                         5 its member: group, member id
    value  int16 version, then
           offset commit     0–2  int64 offset …           3, 4  int64 offset, int32 leader epoch …
           classic group     0–3  string protocol type, int32 generation, string|null protocol, string|null leader,
                                  (2+) int64 timestamp, int32 members …       4 the same with varint lengths
           consumer group    0    int32 epoch …

All records of a group are in one partition, so their order is the order in which the coordinator took them.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from harness.topics import Partition, partitions_of

TOPIC = "__consumer_offsets"
_OFFSET, _CLASSIC, _CONSUMER, _MEMBER = (0, 1), 2, 3, 5


@dataclass(frozen=True, slots=True)
class Commit:
    """The group's offset of a partition; ``offset`` None: forgotten (expired, or the topic deleted).

    ``time_ns`` is the coordinator's wall clock, in whole milliseconds.
    """

    group: str
    partition: Partition
    offset: int | None
    time_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Generation:
    """The group begins a generation (with the new protocol: an epoch); ``members`` None where it does not say."""

    group: str
    number: int
    members: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the new protocol was there from now on, or is not any more."""

    group: str
    name: str
    there: bool


Entry = Commit | Generation | Member


class _Fields:
    """Reads one key or value from its beginning. Raises struct.error or IndexError at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.version = self.number("h")

    def number(self, form: str) -> int:
        value: int = struct.unpack_from(f">{form}", self._data, self._at)[0]
        self._at += struct.calcsize(f">{form}")
        return value

    def text(self, *, compact: bool = False) -> str:
        """A string, of no bytes where it is null."""
        length = self.varint() - 1 if compact else self.number("h")
        begin, self._at = self._at, self._at + max(length, 0)
        return self._data[begin : self._at].decode()

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value


def parse(key: bytes, value: bytes | None, time_ns: int = 0) -> Entry | None:
    """One record of the offsets topic; None for a kind that is not looked at (share groups, target assignments, …).

    Raises ValueError for a version of a value that is not known here: better no verdict than a wrong one.
    """
    fields = _Fields(key)
    kind = fields.version
    if kind in _OFFSET:
        group, partition = fields.text(), (fields.text(), fields.number("i"))
        return Commit(group, partition, None if value is None else _versioned(value, 4).number("q"), time_ns)
    if kind == _MEMBER:
        return Member(fields.text(), fields.text(), value is not None)
    if kind not in (_CLASSIC, _CONSUMER) or value is None:
        return None
    group = fields.text()
    if kind == _CONSUMER:
        return Generation(group, _versioned(value, 0).number("i"))
    content = _versioned(value, 4)
    compact = content.version == 4
    content.text(compact=compact)
    number = content.number("i")
    content.text(compact=compact)
    content.text(compact=compact)
    if content.version >= 2:
        content.number("q")
    return Generation(group, number, content.varint() - 1 if compact else content.number("i"))


def _versioned(value: bytes, newest: int) -> _Fields:
    fields = _Fields(value)
    if not 0 <= fields.version <= newest:
        raise ValueError(f"version {fields.version} of a value in {TOPIC} is not known")
    return fields


def place_of(group: str, partitions: int) -> int:
    """The partition of the offsets topic that has the group: its leader is the coordinator.

    Java's ``String.hashCode`` as GroupMetadataManager.partitionFor uses it; groups here are ASCII.
    """
    hashed = 0
    for character in group:
        hashed = (31 * hashed + ord(character)) & 0xFFFFFFFF
    signed = hashed - (1 << 32) if hashed >> 31 else hashed
    return abs(signed) % partitions if signed != -(1 << 31) else 0


def read(servers: str, group: str, timeout: float = 30) -> list[Entry]:
    """What the coordinator wrote of ``group`` up to now, in its order. Only on a real broker. Raises TimeoutError."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "harness-commits",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 50,
        }
    )
    left = set(partitions_of(servers, [TOPIC]))
    wanted, found = group.encode(), []
    deadline = time.monotonic() + timeout
    try:
        consumer.assign([TopicPartition(*p, 0) for p in sorted(left)])
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no end of {sorted(left)} in {timeout} s")
            for message in consumer.consume(5000, 0.1):
                error = message.error()
                if error is None:
                    key, value = message.key(), message.value()
                    assert isinstance(key, bytes)
                    assert not isinstance(value, str)
                    if wanted in key:  # most are of other groups
                        found.append(parse(key, value, message.timestamp()[1] * 1_000_000))
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((TOPIC, message.partition() or 0))
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
    return [entry for entry in found if entry is not None and entry.group == group]


def judge(entries: Iterable[Entry], excused: Sequence[tuple[int, int]] = ()) -> list[tuple[str, str]]:
    """What is wrong with a group's commits: (kind, what). ``excused``: times (ns) in which the coordinator fails.

    * rewound: an offset below one committed before it. tidegate's groups have no operator who resets them. Not counted
      is what the partition's next commit makes good within the same generation: where a coordinator did not answer in
      time, librdkafka sends the commit again, and a newer one may have overtaken it (`overtaken`). In an excused time
      it may be made good later, but it must be;
    * unowned: a commit while the group had no member. Kafka takes those from anybody, and nothing fences them.
    """
    found: list[tuple[str, str]] = []
    highest: dict[Partition, int] = {}
    rewound: dict[Partition, Commit] = {}
    members: set[str] = set()
    classic = 0

    def give_up(*, end: bool = False) -> None:
        for p, commit in list(rewound.items()):
            if end or not any(since <= commit.time_ns <= until for since, until in excused):
                found.append(("rewound", f"{p[0]}[{p[1]}] from {highest[p]} to {commit.offset}"))
                del rewound[p]

    for entry in entries:
        match entry:
            case Member(_, name, there):
                members = members | {name} if there else members - {name}
            case Generation(_, _, count):
                classic = classic if count is None else count
                give_up()
            case Commit(_, partition, None):
                highest.pop(partition, None)
                rewound.pop(partition, None)
            case Commit(_, partition, int(offset)):
                if not members and not classic:
                    found.append(("unowned", f"{partition[0]}[{partition[1]}] to {offset}: the group had no member"))
                if offset >= highest.get(partition, 0):
                    highest[partition] = offset
                    rewound.pop(partition, None)
                elif partition in rewound:
                    give_up()
                else:
                    rewound[partition] = entry
    give_up(end=True)
    return found


def overtaken(entries: Iterable[Entry]) -> int:
    """Commits that went back, whether or not it was made good."""
    last: dict[Partition, int] = {}
    count = 0
    for entry in entries:
        if isinstance(entry, Commit):
            count += entry.offset is not None and entry.offset < last.get(entry.partition, 0)
            last[entry.partition] = entry.offset or 0
    return count


def generations(entries: Iterable[Entry]) -> list[int]:
    """The numbers of the group's generations, each once, in order: one more is a rebalance."""
    numbers = [entry.number for entry in entries if isinstance(entry, Generation)]
    return list(dict.fromkeys(numbers))
