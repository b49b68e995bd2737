"""What delivery tells others: counters and their snapshot, and its few lines of log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tidegate.delivery.busy import Busy
from tidegate.delivery.inflight import InFlight
from tidegate.pressure.limiter import Figures, Limiter
from tidegate.sinks.advice import HELD, advice
from tidegate.sinks.pacing import Change, Pacing, TargetState
from tidegate.types import CLASSES, EventClass

REMINDER_SECONDS = 30.0
_SETTLING_SECONDS = 5.0
_BURST_LINES = 5.0  # and one more each second


@dataclass(frozen=True, slots=True)
class ClassStats:
    """One class. `holding` says why none of it is being taken: target-down, target-slow, inflight-bytes, limit or
    concurrency; None where nothing hinders."""

    batches: int
    records: int
    bytes: int
    retries_waiting: int
    sends: int
    acks: int
    holding: str | None


@dataclass(frozen=True, slots=True)
class DeliveryStats:
    """A snapshot. In flight = being sent or waiting for a retry; `ahead_*` = taken, waiting for room.

    Attributes:
        retries: outcomes other than an acknowledgement since the start, by reason.
        limit: sends at once, for the target's health. `limiter`: records at once, for its load; None: without limit.
        since: when the target's state began, on Delivery's clock.
        busy_seconds: how long it was kept busy since the start (see `Busy`).
    """

    classes: tuple[ClassStats, ...]
    ahead_batches: int
    ahead_bytes: int
    sending: int
    limit: int
    limiter: Figures | None
    retries: dict[str, int]
    target: TargetState
    reason: str
    since: float
    busy_seconds: float


class Counters:
    """Counts since the start, by class; retries by reason."""

    def __init__(self) -> None:
        self.sends = [0] * len(CLASSES)
        self.acks = [0] * len(CLASSES)
        self.retries: Counter[str] = Counter()

    def snapshot(self, flight: InFlight, pacing: Pacing, limiter: Limiter, busy: Busy, now: float) -> DeliveryStats:
        """The counters, and what is held and why."""
        takable, free = flight.takable(), pacing.free(now)
        ahead = [held for held in flight.ahead if held is not None]

        def holding(klass: int) -> str | None:
            if pacing.state is TargetState.DOWN:
                return "target-down"
            if not free:
                return "target-slow" if pacing.state is TargetState.SLOW else "concurrency"
            if not takable >> klass & 1:
                return "inflight-bytes"
            return None if limiter.admits(klass == EventClass.CRITICAL, limiter.batch_records) else "limit"

        return DeliveryStats(
            classes=tuple(
                ClassStats(
                    batches=flight.batches[k],
                    records=flight.records[k],
                    bytes=flight.bytes[k],
                    retries_waiting=flight.waiting(k),
                    sends=self.sends[k],
                    acks=self.acks[k],
                    holding=holding(k),
                )
                for k in CLASSES
            ),
            ahead_batches=len(ahead),
            ahead_bytes=sum(held.size for held in ahead),
            sending=pacing.sending,
            limit=pacing.limit,
            limiter=limiter.figures(),
            retries=dict(self.retries),
            target=pacing.state,
            reason=pacing.reason,
            since=pacing.since,
            busy_seconds=busy.seconds(now),
        )


class Log(Protocol):
    """The part of a structlog logger that is used."""

    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...


class LimitLog:
    """A line where batches have become half or twice as large as was said last, at most every 30 s. The first seconds
    after the start, in which the size is still being found, pass in silence."""

    def __init__(self, log: Log, batch_records: int, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._said = batch_records
        self._from = clock() + _SETTLING_SECONDS

    def decided(self, limiter: Limiter) -> None:
        """The limiter looked at a window."""
        figures, now = limiter.figures(), self._clock()
        if figures is None or now < self._from or self._said < 2 * figures.batch_records < 4 * self._said:
            return
        self._said, self._from = figures.batch_records, now + REMINDER_SECONDS
        self._log.info(
            "batches follow the target's speed",
            records=figures.batch_records,
            limit_records=figures.limit_records,
            per_record_ms=round(figures.per_record_seconds * 1000, 3),
            fixed_ms=round(figures.fixed_seconds * 1000, 1),
        )


class TargetLog:
    """One line per change of the target's state and a reminder every 30 s while it is not open; never one per batch.

    A target that goes on changing faster than once a second gets one line a second, with the number of changes in it.
    Refused batches (a 4xx about the batch) leave the target open: they too get a line, at most every 30 s.

    Args:
        name: the target's, with its address.
    """

    def __init__(self, log: Log, pacing: Pacing, clock: Callable[[], float], name: str = "") -> None:
        self._log = log
        self._name = name
        self._pacing = pacing
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._lines = _BURST_LINES  # that may be said at once
        self._counted_at = clock()
        self._changes = 0
        self._detail = ""
        self._refused: Counter[str] = Counter()
        self._refused_at = float("-inf")

    def changed(self, change: Change) -> None:
        """The state changed."""
        self._changes += 1
        self._detail = change.detail
        lines = self._lines_now()
        if lines >= 1.0:
            self._say()
        elif self._changes == 1:
            self._after(1.0 - lines)

    def refused(self, reason: str) -> None:
        """The target refused a batch, and is well."""
        self._refused[reason] += 1
        now = self._clock()
        if now - self._refused_at >= REMINDER_SECONDS:
            self._refused_at = now
            self._log.warning(
                "batches refused", target=self._name, reasons=dict(self._refused), hint=_with_held(advice(reason))
            )
            self._refused.clear()

    def close(self) -> None:
        """No more timers."""
        self._closed = True
        self._stop_timer()

    def _say(self) -> None:
        pacing, now = self._pacing, self._clock()
        if self._changes:
            self._lines, self._counted_at = self._lines_now() - 1.0, now
        fields: dict[str, Any] = {"target": self._name, "reason": pacing.reason}
        if self._detail:
            fields["detail"] = self._detail
        if self._changes == 0:
            fields["seconds"] = round(now - pacing.since, 1)
        elif self._changes > 1:
            fields["changes"] = self._changes
        event = f"target {'still ' if self._changes == 0 else ''}{pacing.state}"
        self._changes = 0
        if pacing.state is TargetState.OPEN:
            self._log.info(event, **fields)
            self._stop_timer()
        else:
            hint = advice(pacing.reason)
            if pacing.state is TargetState.DOWN:
                hint = _with_held(hint)
            self._log.warning(event, **fields, **({} if hint is None else {"hint": hint}))
            self._after(REMINDER_SECONDS)

    def _lines_now(self) -> float:
        return min(_BURST_LINES, self._lines + self._clock() - self._counted_at)

    def _after(self, seconds: float) -> None:
        self._stop_timer()
        if not self._closed:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._say)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _with_held(hint: str | None) -> str:
    return HELD if hint is None else f"{hint} {HELD}"
