"""The independent checker: topic, app log and committed offsets against each other, without a word from tidegate.

A record that waits in the parking topic is not lost, and one of a class that may be dropped need not come. ``judge``
is pure; ``read_topic`` and ``applog.read`` bring its input. What it holds against a run:

* lost: a record below its partition's committed offset that the app never acknowledged, and that waits nowhere else;
* unknown: an event at the app that no record of the topic is;
* duplicates beyond the bound that the caller allows;
* order: per key and class, where it was promised, the first deliveries follow the offsets;
* class: one record in two classes, or in another than the caller expects;
* replay: a parked record that was committed in the parking topic, but never delivered;
* parking: what may not stand there at all, or not like this (parked.py);
* dropped: other records were left out by sampling or expiry than the caller was told of;
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

from harness import identity, parked
from harness.applog import Request
from harness.parked import Parking, Place
from harness.topics import Partition, partitions_of

_SHOWN = 5  # examples per kind of violation
KINDS = ("lost", "replay", "parking", "ahead", "unknown", "duplicates", "dropped", "order", "class", "protocol", "lag")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the topic; ``line`` and ``exact`` are its two possible identities at the app (identity.py)."""

    partition: Partition
    offset: int
    key: bytes | None
    line: str
    exact: str
    value: bytes | None = field(default=None, repr=False, compare=False)
    headers: tuple[tuple[bytes, bytes | None], ...] = field(default=(), repr=False, compare=False)
    timestamp_ms: int | None = field(default=None, compare=False)  # None: not known


@dataclass(slots=True)
class Report:
    """What a run came to.

    ``delivered``: distinct records that the app acknowledged; ``pending``: those it did not, and no commit covers;
    ``parked``: those that wait in the parking topic instead; ``dropped``: those that were let go by sampling or expiry;
    ``duplicates``: surplus deliveries; ``lag``: by partition, where not 0; ``violations``: (kind, what), worst first.
    """

    records: int = 0
    delivered: int = 0
    pending: int = 0
    parked: int = 0
    dropped: int = 0
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
        beside = f"{self.parked} parked, {self.dropped} dropped" if self.parked or self.dropped else "none parked"
        return f"{counts}, {beside}, {self.duplicates} duplicates, lag {sum(self.lag.values())}"


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
    parking: Parking | None = None,
    parkable: Callable[[Record], bool] = lambda _: True,
    droppable: Callable[[Record], bool] = lambda _: False,
    dropped: int | None = None,
) -> Report:
    """Compares what was there with what arrived and what was settled.

    ``duplicates`` is the most that may come twice. ``drained``: every partition's lag must be 0. ``ordered``: order
    per key within a class was promised. ``classes`` gives the class label that a record must travel in. ``invalid``
    says which records may reach the app as lines that are not JSON. ``parking`` is what the parking topic holds: with
    ``drained`` it must be empty, too. ``parkable`` says what may be found there, ``droppable`` what may be left out by
    sampling or expiry, and ``dropped`` how many records were: None where nobody can know.

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
    _count(matched, committed, duplicates, report, found, parking or Parking(""), droppable)
    _offsets(committed, ends, drained, report, found)
    if parking is not None:
        _offsets(parking.committed, parking.ends, drained, report, found)
        places = {(record.partition, record.offset): record for group in matched.groups.values() for record in group}
        found["parking"] += parked.complaints(parking, places, parkable, classes)
    if dropped is not None and report.dropped != dropped:
        found["dropped"].append(f"{report.dropped}, by the counts {dropped}")
    if classes is not None:
        _classes(matched, classes, found)
    if ordered:
        _order(matched, found)
    for kind in KINDS:
        texts = found.pop(kind, [])
        report.violations += [(kind, text) for text in texts[:_SHOWN]]
        if len(texts) > _SHOWN:
            report.violations.append((kind, f"and {len(texts) - _SHOWN} more"))
    assert not found, f"a kind without a place: {sorted(found)}"
    return report


def exposed(
    records: Iterable[Record],
    requests: Iterable[Request],
    committed: Mapping[Partition, int],
    parking: Parking | None = None,
) -> int:
    """Surplus deliveries that a crash at this moment brings about.

    A record will come again for each place where it is still unsettled: in its source, and for each of its copies in
    the parking topic. One of all these is no surplus where the app has not processed it yet.
    """
    seen = {name for request in requests if request.processed for name in request.ids}
    waiting = parking.waiting() if parking is not None else {}
    found = 0
    for record in records:
        again = waiting.get((record.partition, record.offset), 0)
        again += record.offset >= committed.get(record.partition, 0)
        found += again if record.line in seen or record.exact in seen else max(0, again - 1)
    return found


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
    matched: _Matched,
    committed: Mapping[Partition, int],
    allowed: int,
    report: Report,
    found: dict[str, list[str]],
    parking: Parking,
    droppable: Callable[[Record], bool],
) -> None:
    worst: tuple[int, Record | None] = (0, None)
    waiting, replayed = parking.waiting(), parking.replayed()
    for line, group in matched.groups.items():
        got = matched.acknowledged[line]
        # Who has to have been delivered by now: settled at its source, or as a copy, and not waiting as another.
        due = [record for record in group if _due(record, committed, waiting, replayed)]
        short = max(0, len(due) - got)
        let_go = min(short, sum(map(droppable, due)))
        report.dropped += let_go
        for record in [record for record in due if not let_go or not droppable(record)][: short - let_go]:
            copy = replayed.get((record.partition, record.offset))
            settled = record.offset < committed.get(record.partition, 0)
            beside = f", committed as {parked.name(copy.place)}" if copy is not None else ""
            found["lost" if settled else "replay"].append(_name(record) + beside)
        report.parked += min(
            max(0, len(group) - got - short),
            sum((record.partition, record.offset) in waiting for record in group),
        )
        report.delivered += min(got, len(group))
        surplus = max(0, matched.processed[line] - len(group))
        report.duplicates += surplus
        worst = max(worst, (surplus, group[0]), key=lambda pair: pair[0])
    report.pending = report.records - report.delivered - report.dropped - report.parked
    report.pending -= len(found["lost"]) + len(found["replay"])
    if report.duplicates > allowed:
        example = f"; most often {_name(worst[1])}, {worst[0]} times too many" if worst[1] else ""
        found["duplicates"].append(f"{report.duplicates}, allowed {allowed}{example}")


def _due(
    record: Record, committed: Mapping[Partition, int], waiting: Mapping[Place, int], replayed: Mapping[Place, object]
) -> bool:
    place = (record.partition, record.offset)
    settled = record.offset < committed.get(record.partition, 0)
    return place in replayed or (settled and place not in waiting)


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
                    headers = tuple((name.encode(), content) for name, content in message.headers() or ())
                    kind, stamp = message.timestamp()
                    who = identity.line(value), identity.exact(value)
                    records.append(Record(place, offset, key, *who, value, headers, stamp if kind else -1))
                elif error.code() == KafkaError._PARTITION_EOF:
                    ends[place] = offset
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
    return records, ends
