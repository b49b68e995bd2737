"""Which offsets to read so that about so many records come, spread over the partitions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets of one partition, from `start` to `end`, without it. How many records they hold is not said: some
    offsets have none, after compaction and where transactions end."""

    start: int
    end: int

    def __len__(self) -> int:
        return max(0, self.end - self.start)


def spread(wanted: int, sizes: Mapping[int, int]) -> dict[int, int]:
    """How many to take of each: no more than it has, as evenly as that allows, `wanted` in all if there are as many."""
    taken = {}
    for left, (name, size) in zip(range(len(sizes), 0, -1), sorted(sizes.items(), key=lambda one: one[1]), strict=True):
        taken[name] = min(size, wanted // left)
        wanted -= taken[name]
    return taken


def cut(rest: Mapping[int, Range], wanted: int, *, oldest: bool) -> tuple[dict[int, Range], dict[int, Range]]:
    """Parts ranges by partition into those to read now, `wanted` offsets in all, and what is left of them.

    Args:
        oldest: read at the beginnings first, not at the ends. Ranges without offsets are left out of both results.
    """
    now: dict[int, Range] = {}
    later: dict[int, Range] = {}
    for partition, size in spread(wanted, {number: len(one) for number, one in rest.items()}).items():
        one = rest[partition]
        middle = one.start + size if oldest else one.end - size
        first, second = Range(one.start, middle), Range(middle, one.end)
        now[partition], later[partition] = (first, second) if oldest else (second, first)
    return ({n: one for n, one in now.items() if len(one)}, {n: one for n, one in later.items() if len(one)})
