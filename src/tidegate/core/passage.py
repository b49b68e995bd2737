"""What the gate says, in Python's words."""

from __future__ import annotations

from typing import NamedTuple


class Passage(NamedTuple):
    """What became of one record, and what is to be said of it from then on.

    Attributes:
        action: ``DELIVER``, ``PARK`` or ``DROP``.
        randomness: R, 56 bits; None where nobody needed it.
        threshold: T, the greatest that was applied; 0: none.
        weight: how many records it stands for.
        rate: the same as an integer whose expectation is the weight.
        tracestate: ``"ot=th:c;rv:d29d6a7215ced0"``; empty where neither is known.
    """

    action: int
    randomness: int | None
    threshold: int
    weight: float
    rate: int
    tracestate: str


class TypeCount(NamedTuple):
    """One event type of a class.

    Attributes:
        slot: its place in the gate's table, with the version that makes it this type's.
        name: its first 24 bytes as text, empty where records have no type; None: all types that found no place.
        records: since it has its place.
        retired: the place may be given to another type.
    """

    slot: tuple[int, int]
    name: str | None
    records: int
    retired: bool
