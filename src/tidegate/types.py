"""Leaf: classes and dispositions, the vocabulary that every other module shares."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class EventClass(IntEnum):
    """Priority of an event. The value is the index of its ring, its counters and its settings."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    BULK = 3

    @property
    def label(self) -> str:
        """The name in configuration, metrics and summaries: ``"critical"`` and so on."""
        return self.name.lower()


class Disposition(StrEnum):
    """How an event's way through tidegate ended. Each event that is read ends in exactly one."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    SAMPLED = "sampled"
    EXPIRED = "expired"
    DEAD_LETTERED = "dead_lettered"
    DISCARDED = "discarded"


CLASSES: tuple[EventClass, ...] = tuple(EventClass)
CLASS_LABELS: tuple[str, ...] = tuple(c.label for c in CLASSES)
