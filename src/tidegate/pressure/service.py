"""How fast the target works: records per second that it would complete with every slot in use.

    μ̂ = completions ÷ mean(inflight/limit)

A target that is not asked for much says little about what it could do: there may be more slots than it has workers.
A value seen at low utilisation therefore lowers the estimate slowly. It raises it at once, in proportion to the
utilisation, and the estimate never falls below a tenth of the capacity: after an outage nothing else would tell that
the target is back, for what is let in goes by the estimate. Too high a one corrects itself: the target is busy then.

*Capacity* is for what must not follow every gust (replaying, how long it would take): the mean of what was seen while
busy, outages left out, or what is being completed, if that is more.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.pressure.rates import Growth, weight

BUSY = 0.9  # utilisation from which a value is believed at once
FAST_TAU_SECONDS = 0.45
SLOW_TAU_SECONDS = 15.0
CAPACITY_TAU_SECONDS = 60.0
PROBE = 0.1  # of capacity
OUTAGE = 0.1  # completing less than this share of capacity
OUTAGE_TAU_SECONDS = 600.0  # of capacity, in one
ANSWERS = 4  # the estimate spans at least so many answers: they come in batches
LONGEST_TAU_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class ServiceCounts:
    """The target, since the start.

    Attributes:
        records, answers: records acknowledged, and the batches that they came in.
        busy_seconds: integral of what it has in hand ÷ limit, of records or of requests, whichever is nearer to its
            limit; 1 while anything waits that may not be sent (no slot is free for it, the target refuses all). By
            records alone, slots full of small batches would pass for an idle target.
    """

    records: int
    answers: int
    busy_seconds: float


@dataclass(frozen=True, slots=True)
class ServiceView:
    """Rates in records/s; `now` and `capacity` are None until something was completed (while busy)."""

    now: float | None
    capacity: float | None
    completed: float
    utilisation: float


class Service:
    """The estimate over time."""

    def __init__(self) -> None:
        self._records, self._answers, self._busy = Growth(), Growth(), Growth()
        self._now: float | None = None
        self._capacity: float | None = None
        self._busy_weight = 0.0  # of the mean that is the capacity
        self._completed = 0.0
        self._batch = 1.0

    def update(self, seconds: float, counts: ServiceCounts) -> ServiceView:
        """The estimate, `seconds` after the last one."""
        records, answers = self._records.update(counts.records), self._answers.update(counts.answers)
        busy = self._busy.update(counts.busy_seconds)
        if seconds <= 0:
            return ServiceView(self._now, self._capacity, self._completed, 0.0)
        utilisation = min(1.0, busy / seconds)
        if answers > 0:
            self._batch += 0.2 * (records / answers - self._batch)
        tau = FAST_TAU_SECONDS
        if self._capacity:
            tau = min(LONGEST_TAU_SECONDS, max(tau, ANSWERS * self._batch / self._capacity))
        self._completed += weight(seconds, tau) * (records / seconds - self._completed)
        if utilisation > 0:
            self._learn(seconds, utilisation, records / (utilisation * seconds), tau)
        return ServiceView(self._now, self._capacity, self._completed, utilisation)

    def _learn(self, seconds: float, utilisation: float, seen: float, tau: float) -> None:
        if self._now is None:
            self._now = seen if seen > 0 else None
            return
        if utilisation > BUSY:
            self._learn_capacity(seconds, seen)
        if self._capacity is not None:
            self._capacity = max(self._capacity, self._completed)
        if utilisation <= BUSY:
            tau = (tau if seen > self._now else SLOW_TAU_SECONDS) / utilisation
        self._now += weight(seconds, tau) * (seen - self._now)
        if self._capacity is not None:
            self._now = max(self._now, PROBE * self._capacity)

    def _learn_capacity(self, seconds: float, seen: float) -> None:
        before = self._capacity or 0.0
        if self._completed < OUTAGE * before:
            self._capacity = before + weight(seconds, OUTAGE_TAU_SECONDS) * (seen - before)
            return
        part = weight(seconds, CAPACITY_TAU_SECONDS)
        self._busy_weight += part * (1.0 - self._busy_weight)
        if self._busy_weight > 0:
            self._capacity = before + part / self._busy_weight * (seen - before)
