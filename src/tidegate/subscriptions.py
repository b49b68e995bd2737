"""Which topics share a consumer handle (decision 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.types import EventClass

if TYPE_CHECKING:
    from tidegate.core.rules import RuleTable


def split(topics: Sequence[str], rules: RuleTable) -> list[tuple[str, ...]]:
    """Topics by handle, one or two, none empty: those that a rule decides as critical or high come first, apart.

    Bulk fetches and a revoke of bulk partitions then cannot delay them. A regular expression stays with the others:
    what it will match is not known, and the subscriptions of one group's handles must not overlap. So with a regular
    expression all topics share one handle.
    """
    if any(topic.startswith("^") for topic in topics):
        return [tuple(topics)]
    urgent = []
    for topic in topics:
        decided = rules.topic(topic)
        if decided is not None and decided[0] <= EventClass.HIGH:
            urgent.append(topic)
    others = [topic for topic in topics if topic not in urgent]
    return [tuple(part) for part in (urgent, others) if part]
