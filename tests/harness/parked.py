"""What waits in a parking topic, and what is wrong with it: the checker's half for records that came a detour.

Envelopes are read with ``tidegate.core.parked``, which has a model of its own to be held against
(tests/core/parked_model.py); everything else here is without tidegate's word.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.topics import Partition
from tidegate.core.parked import decode
from tidegate.types import CLASSES

if TYPE_CHECKING:
    from harness.checker import Record

Place = tuple[Partition, int]


@dataclass(frozen=True, slots=True)
class Copy:
    """One record of the parking topic: where it stands, and what its envelope says; ``origin`` None: it is none."""

    place: Place
    origin: Place | None
    klass: str = ""
    key: bytes | None = None
    value: bytes | None = field(default=None, repr=False)
    headers: tuple[tuple[bytes, bytes | None], ...] = ()
    timestamp_ms: int = -1
    why: str = ""  # it is no envelope


@dataclass(slots=True)
class Parking:
    """A parking topic: its records, the group's committed offsets in it, and its ends."""

    topic: str
    copies: list[Copy] = field(default_factory=list)
    committed: Mapping[Partition, int] = field(default_factory=dict)
    ends: Mapping[Partition, int] = field(default_factory=dict)

    def waits(self, copy: Copy) -> bool:
        """Whether the group has still to read it, or to settle it."""
        partition, offset = copy.place
        return offset >= self.committed.get(partition, 0)

    def waiting(self) -> Counter[Place]:
        """How many copies of each record wait, by its origin."""
        return Counter(copy.origin for copy in self.copies if copy.origin is not None and self.waits(copy))

    def replayed(self) -> dict[Place, Copy]:
        """A copy of each record that has been replayed and settled, by its origin."""
        return {copy.origin: copy for copy in self.copies if copy.origin is not None and not self.waits(copy)}

    @property
    def lag(self) -> int:
        """Offsets that the group has not settled."""
        return sum(max(0, end - self.committed.get(partition, 0)) for partition, end in self.ends.items())


def copy_of(record: Record) -> Copy:
    """What a record of the parking topic holds."""
    place = (record.partition, record.offset)
    status, parked = decode(record.value or b"")
    if parked is None:
        return Copy(place, None, why=status)
    return Copy(
        place,
        ((parked.topic, parked.partition), parked.offset),
        CLASSES[parked.klass].label,
        record.key,
        parked.payload,
        parked.headers,
        parked.timestamp_ms,
    )


def complaints(
    parking: Parking,
    records: Mapping[Place, Record],
    parkable: Callable[[Record], bool],
    classes: Callable[[Record], str] | None,
) -> Iterable[str]:
    """What is wrong with the copies, one text each: no envelope, of nobody, of the parking topic itself, of a class
    that may not be parked, or another key, value, header or time than the record has."""
    for copy in parking.copies:
        where = name(copy.place)
        if copy.origin is None:
            yield f"{where} is no envelope: {copy.why}"
            continue
        if copy.origin[0][0] == parking.topic:
            yield f"{where} was parked out of the parking topic itself, {name(copy.origin)}"
            continue
        record = records.get(copy.origin)
        if record is None:
            yield f"{where} says that it was {name(copy.origin)}, where there is nothing"
            continue
        if not parkable(record):
            yield f"{where}: {name(copy.origin)} may never be parked: {record.value!r:.80}"
        if classes is not None and copy.klass != classes(record):
            yield f"{where}: {name(copy.origin)} was parked as {copy.klass}, not {classes(record)}"
        for what in ("key", "value", "headers", "timestamp_ms"):
            ours, theirs = getattr(copy, what), getattr(record, what)
            if ours != theirs and (what != "timestamp_ms" or theirs is not None):
                yield f"{where}: the {what} of {name(copy.origin)} was {theirs!r:.80}, and is {ours!r:.80}"


def parked_twice(parking: Parking) -> int:
    """Copies beyond the first of each record: what a kill between produce and commit costs."""
    counts: dict[Place, int] = defaultdict(int)
    for copy in parking.copies:
        if copy.origin is not None:
            counts[copy.origin] += 1
    return sum(count - 1 for count in counts.values())


def name(place: Place) -> str:
    """A record's place, for people."""
    (topic, partition), offset = place
    return f"{topic}[{partition}]@{offset}"
