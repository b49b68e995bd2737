"""How fast the target works: records per second that it would complete with every slot in use.

    μ̂ = completions ÷ mean(inflight/limit)

A target that is not asked for much says little about what it could do: a value measured at low utilisation moves the
estimate slowly when it is lower. When it is higher it counts, in proportion to the utilisation: after an outage, in which
μ̂ falls to nothing, hardly anything is let in, and the estimate has to find its way up from there. For the same reason
it never falls below a tenth of the capacity that was last seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.pressure.rates import Growth, weight

BUSY = 0.9  # utilisation from which a value is believed at once
FAST_TAU_SECONDS = 0.45
SLOW_TAU_SECONDS = 15.0
CAPACITY_TAU_SECONDS = 60.0
ANSWERS = 4  # the estimate spans at least so many answers: they come in batches
LONGEST_TAU_SECONDS = 3.0
PROBE = 0.1  # of capacity


@dataclass(frozen=True, slots=True)
class ServiceCounts:
    """The target, since the start.

    Attributes:
        records, answers: records acknowledged, and the batches that they came in.
        busy_seconds: integral of in flight ÷ limit (at most 1), in records, of batches that wait to be retried as well;
            while the target refuses everything (Retry-After, down) and something waits for it, 1.
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
        if utilisation <= BUSY:
            tau = (tau if seen > self._now else SLOW_TAU_SECONDS) / utilisation
        else:
            before = self._capacity if self._capacity is not None else self._now
            self._capacity = before + weight(seconds, CAPACITY_TAU_SECONDS) * (seen - before)
        self._now += weight(seconds, tau) * (seen - self._now)
        if self._capacity is not None:
            self._now = max(self._now, PROBE * self._capacity)
