"""Kafka's logs: offsets with holes by compaction, control records, retention; and what may be known of each record."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

BEGINNING, END = -2, -1  # librdkafka's logical offsets
PARKING = "parked"  # the parking topic
NOTHING = -1001  # no committed offset: RD_KAFKA_OFFSET_INVALID


class Partition(NamedTuple):
    topic: str
    number: int

    def __repr__(self) -> str:
        return f"{self.topic}/{self.number}"


class ViolationError(AssertionError):
    """A promise was broken. The first word of the text names it."""


@dataclass(slots=True)
class Record:
    offset: int
    klass: int
    value: bytes
    born: float = 0.0  # its timestamp
    origin: tuple[Partition, int] | None = None  # where it stood before it was parked


@dataclass
class Log:
    """One partition. `known` keeps every record ever appended, `gone` the offsets that were deleted since."""

    partition: Partition
    start: int = 0
    end: int = 0
    offsets: list[int] = field(default_factory=list)
    known: dict[int, Record] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    def append(self, klass: int, size: int, born: float = 0.0) -> None:
        value = b'"%s:%d:%d:' % (self.partition.topic.encode(), self.partition.number, self.end)
        self.keep(klass, value.ljust(size, b".") + b'"', born)

    def keep(self, klass: int, value: bytes, born: float, origin: tuple[Partition, int] | None = None) -> None:
        self.known[self.end] = Record(self.end, klass, value, born, origin)
        self.offsets.append(self.end)
        self.end += 1

    def mark(self) -> None:
        """A control record: an offset that no consumer is shown."""
        self.end += 1

    def compact(self, rng: Random) -> int:
        """Removes some records, never the last one. Returns how many."""
        removed = [offset for offset in self.offsets[:-1] if rng.random() < 0.4]
        self._remove(removed)
        return len(removed)

    def retain(self, start: int) -> None:
        """Deletes everything before `start`."""
        self.start = max(self.start, start)
        self._remove(self.offsets[: bisect_left(self.offsets, self.start)])

    def _remove(self, removed: list[int]) -> None:
        self.gone.update(removed)
        self.offsets = [offset for offset in self.offsets if offset not in self.gone]

    def read(self, position: int, most: int) -> tuple[list[Record], int]:
        """Up to `most` records from `position` on, and the position behind them."""
        at = bisect_left(self.offsets, position)
        found = self.offsets[at : at + most]
        whole = at + most >= len(self.offsets)
        return [self.known[offset] for offset in found], self.end if whole else found[-1] + 1
