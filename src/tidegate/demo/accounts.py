"""The books put together: what was offered, what the app says of it, and what the audit found, by class."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tidegate.demo.audit import Verdict, waiting
from tidegate.demo.report import PlainRow, Row
from tidegate.types import CLASSES, EventClass

if TYPE_CHECKING:
    from tidegate.demo.generator import Generator
    from tidegate.demo.witness import Witness


def tidegate_rows(generator: Generator, stats: dict[str, Any], verdict: Verdict, counted: dict[str, Any]) -> list[Row]:
    """What went through tidegate.

    Args:
        stats: the witness's, for ages.
        counted: whose ``classes`` say what was delivered: the shop's stats, or tidegate's own summary.
    """
    now = time.time()
    return [
        Row(
            klass=klass,
            offered=generator.offered[klass],
            delivered=counted["classes"][klass.label]["delivered"],
            held=verdict.held[klass],
            lost=verdict.lost[klass],
            p50_ms=stats["classes"][klass.label]["p50_ms"],
            p99_ms=stats["classes"][klass.label]["p99_ms"],
            oldest_ms=_oldest(stats, verdict, klass, now),
            deferred=verdict.deferred[klass],
            parked=verdict.parked[klass],
        )
        for klass in CLASSES
    ]


def plain_rows(generator: Generator, witness: Witness) -> list[PlainRow]:
    """What went through the plain loop, as its shop has it now."""
    seen, stats, now = witness.seen() or b"", witness.stats(), time.time()
    left = waiting(generator, seen)
    return [
        PlainRow(
            delivered=generator.offered[klass] - left.held[klass],
            waiting=left.held[klass],
            p50_ms=stats["classes"][klass.label]["p50_ms"],
            p99_ms=stats["classes"][klass.label]["p99_ms"],
            oldest_ms=_oldest(stats, left, klass, now),
        )
        for klass in CLASSES
    ]


def _oldest(stats: dict[str, Any], verdict: Verdict, klass: EventClass, now: float) -> float | None:
    """The greatest age that any of them reached, in milliseconds; those that still wait count with theirs."""
    worked_off, oldest = stats["classes"][klass.label]["max_ms"], verdict.oldest[klass]
    ages = [worked_off, None if oldest is None else (now - oldest) * 1e3]
    return max((age for age in ages if age is not None), default=None)
