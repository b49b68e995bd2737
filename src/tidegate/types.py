"""Leaf: classes and dispositions, the vocabulary that every other module shares."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple


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


class LaneState(NamedTuple):
    """One lane, a topic of one consumer handle, as the reader's thread last left it.

    Attributes:
        reason: ``"flowing"``, or why it is held: ring, span, parking, halted, budget, app-down or operator.
        klass: index of the class whose ring is full, or of the lane; -1: any.
        seconds: of this hold.
        holds: since the start.
        ring_seconds, span_seconds, budget_seconds, app_down_seconds, operator_seconds: of ended holds, by reason.
        own: the reader's thread holds it for its own safety, whatever it was told.
        lane_klass: the class that a rule gave the whole topic; -1: each record's own.
        paused: librdkafka was told to pause its partitions.
        pauses: since the start.
        paused_seconds: since the start, this pause included.
        purged: records that pausing threw away, to be fetched again.
        queued: records fetched for it and not yet in a ring.
        queued_bytes: what they take, estimated.
        span: unsettled offsets of its fullest partition.
        head_age: age in seconds of the record that a hold keeps waiting, where the lane may carry critical records;
            0: not held, or not known.
        polled: records read, by class, since the start.
        position, end: sums of next offsets and of the log's ends, over the partitions of which both are known; end
            None: of none.
        ends_at: monotonic seconds at which ends were last known; 0: never.
        assignment: another number where those partitions are others.
        head_seconds: Unix time of the oldest record read last, or of the one that waits; by the record's own
            timestamp. None: nothing was read since a partition joined.
        unreadable: partitions of which nothing more can be read, because the data at their position is damaged.
        parking_seconds: as the other seconds: a record was to be parked, and the producer took none.
        parking: it is the parking topic.
        throttled: it can wait in Kafka, and is not read faster than was ordered.
    """

    topic: str
    reason: str
    klass: int
    seconds: float
    holds: int
    ring_seconds: float
    span_seconds: float
    budget_seconds: float = 0.0
    app_down_seconds: float = 0.0
    operator_seconds: float = 0.0
    own: bool = False
    lane_klass: int = -1
    paused: bool = False
    pauses: int = 0
    paused_seconds: float = 0.0
    purged: int = 0
    queued: int = 0
    queued_bytes: int = 0
    span: int = 0
    head_age: float = 0.0
    polled: tuple[int, ...] = (0,) * len(CLASSES)
    position: int = 0
    end: int | None = None
    ends_at: float = 0.0
    assignment: int = 0
    head_seconds: float | None = None
    unreadable: int = 0
    parking_seconds: float = 0.0
    parking: bool = False
    throttled: bool = False
