"""The independent checker: topic, app log and committed offsets against each other, without a word from tidegate.

``judge`` is pure; ``read_topic`` and ``applog.read`` bring its input. What it holds against a run:

* lost: a record below its partition's committed offset that the app never acknowledged;
* unknown: an event at the app that no record of the topic is;
* duplicates beyond the bound that the caller allows;
* order: per key and class, where it was promised, the first deliveries follow the offsets;
* class: one record in two classes, or in another than the caller expects;
* lag: an end that was not reached, where the run should have drained the topic;
* ahead: a committed offset behind the end;
* protocol: what the app complained of.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from harness import identity
from harness.applog import Request
from harness.topics import Partition, partitions_of

_SHOWN = 5  # examples per kind of violation


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the topic; ``line`` and ``exact`` are its two possible identities at the app (identity.py)."""

    partition: Partition
    offset: int
    key: bytes | None
    line: str
    exact: str
    value: bytes | None = field(default=None, repr=False, compare=False)


@dataclass(slots=True)
class Report:
    """What a run came to.

    ``delivered``: distinct records that the app acknowledged; ``pending``: those it did not, and no commit covers;
    ``duplicates``: surplus deliveries; ``lag``: by partition, where not 0; ``violations``: (kind, what), worst first.
    """

    records: int = 0
    delivered: int = 0
    pending: int = 0
    duplicates: int = 0
    lag: dict[Partition, int] = field(default_factory=dict)
    violations: list[tuple[str, str]] = field(default_factory=list)

    @property
    def kinds(self) -> set[str]:
        """The kinds of violation found."""
        return {kind for kind, _ in self.violations}

    def require(self) -> Report:
        """Raises AssertionError with everything that was found, or returns the report."""
        if self.violations:
            lines = [f"{kind}: {what}" for kind, what in self.violations]
            raise AssertionError("\n".join([f"{len(lines)} violations, {self.summary()}", *lines]))
        return self

    def summary(self) -> str:
        """One line of counts."""
        counts = f"{self.records} records, {self.delivered} delivered, {self.pending} pending"
        return f"{counts}, {self.duplicates} duplicates, lag {sum(self.lag.values())}"


def judge(
    records: Iterable[Record],
    requests: Iterable[Request],
    committed: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    *,
    duplicates: int = 0,
    drained: bool = True,
    ordered: bool = False,
    classes: Callable[[Record], str] | None = None,
    invalid: Callable[[Record], bool] = lambda _: False,
) -> Report:
    """Compares what was there with what arrived and what was settled.

    ``duplicates`` is the most that may come twice. ``drained``: every partition's lag must be 0. ``ordered``: order
    per key within a class was promised. ``classes`` gives the class label that a record must travel in. ``invalid``
    says which records may reach the app as lines that are not JSON.

    Records of equal bytes cannot be told apart: of those, only the number of deliveries is compared.
    """
    matched = _Matched(records)
    report = Report(records=matched.count)
    found: dict[str, list[str]] = defaultdict(list)
    for request in requests:
        for error in request.errors:
            found["protocol"].append(f"request {request.number} ({request.content_type}): {error}")
        if request.processed:
            matched.add(request, found, invalid)
    _count(matched, committed, duplicates, report, found)
    _offsets(committed, ends, drained, report, found)
    if classes is not None:
        _classes(matched, classes, found)
    if ordered:
        _order(matched, found)
    for kind in ("lost", "ahead", "unknown", "duplicates", "order", "class", "protocol", "lag"):
        texts = found.pop(kind, [])
        report.violations += [(kind, text) for text in texts[:_SHOWN]]
        if len(texts) > _SHOWN:
            report.violations.append((kind, f"and {len(texts) - _SHOWN} more"))
    assert not found, f"a kind without a place: {sorted(found)}"
    return report


def exposed(records: Iterable[Record], requests: Iterable[Request], committed: Mapping[Partition, int]) -> int:
    """Records that the app has processed and no commit covers: those that a crash at this moment sends again."""
    seen = {name for request in requests if request.processed for name in request.ids}
    return sum(
        record.offset >= committed.get(record.partition, 0) and (record.line in seen or record.exact in seen)
        for record in records
    )


class _Matched:
    """Records grouped by identity, with their deliveries in order of arrival."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.groups: dict[str, list[Record]] = defaultdict(list)
        self.line_of: dict[str, str] = {}  # exact identity -> line identity
        self.count = 0
        for record in records:
            self.groups[record.line].append(record)
            self.line_of[record.exact] = record.line
            self.count += 1
        self.processed: Counter[str] = Counter()
        self.acknowledged: Counter[str] = Counter()
        self.classes: dict[str, set[str]] = defaultdict(set)
        self.first: list[tuple[str, str]] = []  # (identity, class), each identity once, in order

    def add(self, request: Request, found: dict[str, list[str]], invalid: Callable[[Record], bool]) -> None:
        bad = set(request.invalid)
        for index, name in enumerate(request.ids):
            line = self.line_of.get(name) if request.alone else name
            if line is None or line not in self.groups:
                found["unknown"].append(f"event {name} at index {index} of request {request.number}")
                continue
            if index in bad and not invalid(self.groups[line][0]):
                found["protocol"].append(f"request {request.number}: not JSON: {_name(self.groups[line][0])}")
            if line not in self.processed:
                self.first.append((line, request.klass))
            self.processed[line] += 1
            self.acknowledged[line] += request.acknowledged
            self.classes[line].add(request.klass)


def _count(
    matched: _Matched, committed: Mapping[Partition, int], allowed: int, report: Report, found: dict[str, list[str]]
) -> None:
    worst: tuple[int, Record | None] = (0, None)
    for line, group in matched.groups.items():
        got = matched.acknowledged[line]
        settled = sum(record.offset < committed.get(record.partition, 0) for record in group)
        if got < settled:
            found["lost"] += [_name(record) for record in group[: settled - got]]
        report.delivered += min(got, len(group))
        surplus = max(0, matched.processed[line] - len(group))
        report.duplicates += surplus
        worst = max(worst, (surplus, group[0]), key=lambda pair: pair[0])
    report.pending = report.records - report.delivered - len(found["lost"])
    if report.duplicates > allowed:
        example = f"; most often {_name(worst[1])}, {worst[0]} times too many" if worst[1] else ""
        found["duplicates"].append(f"{report.duplicates}, allowed {allowed}{example}")


def _offsets(
    committed: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    drained: bool,
    report: Report,
    found: dict[str, list[str]],
) -> None:
    for partition, end in sorted(ends.items()):
        lag = end - committed.get(partition, 0)
        if lag:
            report.lag[partition] = lag
        if lag < 0:
            found["ahead"].append(f"{_where(partition)} committed {committed[partition]} behind its end {end}")
        elif lag and drained:
            found["lag"].append(f"{_where(partition)} committed {committed.get(partition)} of {end}")


def _classes(matched: _Matched, expected: Callable[[Record], str], found: dict[str, list[str]]) -> None:
    for line, seen in matched.classes.items():
        wanted = {expected(record) for record in matched.groups[line]}
        if not seen <= wanted:
            found["class"].append(f"{_name(matched.groups[line][0])} as {sorted(seen)}, not {sorted(wanted)}")


def _order(matched: _Matched, found: dict[str, list[str]]) -> None:
    last: dict[tuple[Partition, bytes, str], Record] = {}
    for line, klass in matched.first:
        record = matched.groups[line][0]
        if record.key is None or len(matched.groups[line]) > 1:
            continue
        place = (record.partition, record.key, klass)
        before = last.get(place)
        if before is not None and before.offset > record.offset:
            found["order"].append(f"{_name(record)} came after offset {before.offset} of key {record.key!r}, {klass}")
        last[place] = record


def _where(partition: Partition) -> str:
    return f"{partition[0]}[{partition[1]}]"


def _name(record: Record) -> str:
    value = "null" if record.value is None else repr(record.value[:60])
    return f"{_where(record.partition)}@{record.offset} {value}"


def read_topic(
    servers: str, topics: Iterable[str], *, isolation: str = "read_committed", timeout: float = 60
) -> tuple[list[Record], dict[Partition, int]]:
    """Every record of the topics, and the ends: where each partition's reader met its end, control records included.

    Its own reader, from the beginning, without the group. Raises TimeoutError where an end is not met in time.
    """
    partitions = partitions_of(servers, topics)
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "harness-checker",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 50,
        }
    )
    records: list[Record] = []
    ends: dict[Partition, int] = {}
    deadline = time.monotonic() + timeout
    try:
        consumer.assign([TopicPartition(*p, 0) for p in partitions])
        while len(ends) < len(partitions):
            if time.monotonic() > deadline:
                raise TimeoutError(f"read {len(records)} records, but no end of {set(partitions) - set(ends)}")
            for message in consumer.consume(5000, 0.1):
                error = message.error()
                place = (message.topic() or "", message.partition() or 0)
                offset = message.offset() or 0
                if error is None:
                    value, key = message.value(), message.key()
                    assert not isinstance(value, str)
                    assert not isinstance(key, str)
                    records.append(Record(place, offset, key, identity.line(value), identity.exact(value), value))
                elif error.code() == KafkaError._PARTITION_EOF:
                    ends[place] = offset
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
    return records, ends
