"""Which share of each event type is kept while a class is sampled, so that rare types survive.

Rates follow Honeycomb's EMASampleRate: counts of windows of 15 s go into a moving average (half and half), the class's
budget is split between types in proportion to log10 of their counts, and a type that was never seen is kept whole. It
differs where the budget is concerned: what a type does not need goes to the others exactly (water-filling), shares are
brought down to the ladder and then raised again as far as the budget reaches, and a share of the offered traffic, not a
fixed rate, is what has to come out. Pure: counts and the time in, rungs out.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tidegate.types import EventClass

Key = TypeVar("Key")

LADDER: tuple[float, ...] = tuple((1.0, 0.75)[n % 2] / 2 ** (n // 2) for n in range(13))
"""Shares: 1, 3/4, 1/2, 3/8, 1/4 … 1/64; the gate's rungs."""
_DESCENDING = tuple(-share for share in LADDER)  # in the order that bisect wants
FLOORS: Mapping[EventClass, float] = {EventClass.NORMAL: 1 / 8, EventClass.BULK: 1 / 64}
"""The least that is kept of any type, by the classes that may be sampled."""

WINDOW_SECONDS = 15.0
ALPHA = 0.5
BURST = 2.0  # times the traffic: the window ends early
OVERRUN = 1.25  # times what was to be kept: the same
EARLY_SECONDS = 0.2  # no window is shorter, nor has fewer events: less says too little of a rate
EARLY_EVENTS = 100
TOLERANCE = 0.05  # a change of the budget that is none
RELAX_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Plan(Generic[Key]):
    """What the gate is to be told.

    Attributes:
        rungs: for each type that is known, its place on `LADDER`.
        kept: share of the class's events that will come through, as far as it is known.
        gone: types that were not seen for long; their places may be given away.
    """

    rungs: Mapping[Key, int]
    kept: float
    gone: tuple[Key, ...] = ()


class TypeRates(Generic[Key]):
    """The moving average of one class, and the plan in force.

    Args:
        floor: least share that is kept of a type.
        now: seconds, monotonic.

    Raises:
        ValueError: a floor that is not on the ladder.
    """

    def __init__(self, floor: float, now: float) -> None:
        if floor not in LADDER:
            raise ValueError(f"a floor of {floor} is not on the ladder")
        self._floor = floor
        self._rates: dict[Key, float] = {}  # events per second
        self._counts: dict[Key, int] = {}  # as they stood when the window began
        self._began = now
        self._plan: Plan[Key] | None = None
        self._keep = 1.0
        self._planned = -math.inf

    def update(self, now: float, counts: Mapping[Key, int], keep: float) -> Plan[Key] | None:
        """Looks at the counters, ten times a second or less often.

        Args:
            counts: events of each type since it has its place: they only grow.
            keep: share of the class's events that its budget allows, 0 to 1.

        Returns:
            A new plan; None: the last one stands.
        """
        fresh = {key: count - self._counts.get(key, 0) for key, count in counts.items()}
        gone: tuple[Key, ...] = ()
        closed = self._ends(now, fresh, keep)
        if closed:
            gone = self._close(now, fresh, counts)
        if not (closed or self._must_move(now, keep)) or not self._rates:
            return None
        rungs = plan_rungs(self._rates, keep, self._floor)
        offered = sum(self._rates.values())
        kept = sum(rate * LADDER[rungs[key]] for key, rate in self._rates.items()) / offered
        self._plan, self._keep, self._planned = Plan(rungs, kept, gone), keep, now
        return self._plan

    def predicted_error(self, seconds: float) -> float:
        """`relative_error` of what the class has in so many seconds, at the rates and with the plan in force.

        Where keys of several events are sampled, `relative_error_by_key` says more.
        """
        rungs: Mapping[Key, int] = self._plan.rungs if self._plan else {}
        return relative_error((rate * seconds, LADDER[rungs.get(key, 0)]) for key, rate in self._rates.items())

    def _ends(self, now: float, fresh: Mapping[Key, int], keep: float) -> bool:
        elapsed, events = now - self._began, sum(fresh.values())
        if elapsed >= WINDOW_SECONDS:
            return True
        if elapsed < EARLY_SECONDS or events < EARLY_EVENTS:
            return False
        if events / elapsed >= BURST * sum(self._rates.values()):
            return True
        if self._plan is None:
            return keep < 1
        passing = sum(n * LADDER[self._plan.rungs.get(key, 0)] for key, n in fresh.items()) / events
        return passing > OVERRUN * max(self._keep, self._plan.kept)

    def _close(self, now: float, fresh: Mapping[Key, int], counts: Mapping[Key, int]) -> tuple[Key, ...]:
        elapsed, self._began, self._counts = now - self._began, now, dict(counts)
        if not any(fresh.values()):
            return ()  # nothing came at all: that says nothing of the types
        alpha = ALPHA if self._rates else 1.0
        gone = []
        # What is neither known nor came is a type that was forgotten before, and still stands in its place.
        for key in [*self._rates, *(key for key, n in fresh.items() if n and key not in self._rates)]:
            n = fresh.get(key, 0)
            rate = alpha * n / elapsed + (1 - alpha) * self._rates.get(key, 0.0)
            if n == 0 and rate * WINDOW_SECONDS < ALPHA:
                del self._rates[key]
                gone.append(key)
            else:
                self._rates[key] = rate
        return tuple(gone)

    def _must_move(self, now: float, keep: float) -> bool:
        """Tightened at once, relaxed not more often than each three seconds, and neither for a trifle."""
        if keep < self._keep * (1 - TOLERANCE):
            return True
        return keep > self._keep * (1 + TOLERANCE) and now - self._planned >= RELAX_SECONDS


def plan_rungs(rates: Mapping[Key, float], keep: float, floor: float) -> dict[Key, int]:
    """The rung of each type, so that together they keep no more than `keep` of all events, unless the floor does.

    First each type's share is brought down to the ladder. Then, the one first that is furthest below its share, types
    go up a rung as long as it fits: afterwards none does.
    """
    lowest = LADDER.index(floor)
    shares = list(split(rates, keep, floor).values())
    rungs = [min(lowest, _rung_below(share)) for share in shares]
    offered = list(rates.values())
    left = keep * sum(offered) - sum(rate * LADDER[rung] for rate, rung in zip(offered, rungs, strict=True))
    # By how far above its share it stands, then the rarer, then the first.
    waiting = [(LADDER[rung] / shares[n], offered[n], n) for n, rung in enumerate(rungs) if rung > 0]
    heapq.heapify(waiting)
    while waiting:
        _, rate, n = heapq.heappop(waiting)
        rung = rungs[n] - 1
        price = rate * (LADDER[rung] - LADDER[rung + 1])
        if price > left:
            continue
        left -= price
        rungs[n] = rung
        if rung > 0:
            heapq.heappush(waiting, (LADDER[rung] / shares[n], rate, n))
    return dict(zip(rates, rungs, strict=True))


def split(rates: Mapping[Key, float], keep: float, floor: float) -> dict[Key, float]:
    """The share of each type before it is brought to the ladder.

    A type of rate λ gets min(λ, c·log10(1 + 15 λ)) of its events, at least floor·λ, with the c for which all together
    are `keep` of all events. (Honeycomb takes log10 of the count itself, which has nothing for a count of one.)
    """
    rates = {key: max(rate, 1e-9) for key, rate in rates.items()}
    weights = {key: math.log10(1 + WINDOW_SECONDS * rate) for key, rate in rates.items()}
    budget = keep * sum(rates.values())
    # Where a type leaves its floor its slope is its weight, where it is whole the slope is none again.
    turns = [(floor * rate / weights[key], weights[key]) for key, rate in rates.items()]
    turns += [(rate / weights[key], -weights[key]) for key, rate in rates.items()]
    total, slope, c = floor * sum(rates.values()), 0.0, 0.0
    for at, change in sorted(turns):
        if total + slope * (at - c) >= budget:
            break
        total += slope * (at - c)
        slope, c = slope + change, at
    if slope > 0 and budget > total:
        c += (budget - total) / slope
    return {key: min(1.0, max(floor, c * weights[key] / rate)) for key, rate in rates.items()}


def _rung_below(share: float) -> int:
    return min(bisect_left(_DESCENDING, -share * (1 + 1e-12)), len(LADDER) - 1)


def relative_error(strata: Iterable[tuple[float, float]]) -> float:
    """Predicted standard error of the class's number of events as estimated from what was kept, as a share of it.

    Horvitz and Thompson 1952: each event kept with p counts 1/p, and Var = Σ (1-p)/p · y². Here y = 1: events are kept
    or not by themselves.

    Args:
        strata: events and share kept, for each type.
    """
    variance = events = 0.0
    for n, p in strata:
        events += n
        variance += n * (1 - p) / p
    return math.sqrt(variance) / events if events else 0.0


def relative_error_by_key(events: float, moments: Sequence[float]) -> float:
    """The same where whole keys (sessions) are kept or not: y is what a key has, so the sum is over keys.

    Types of one key have one R but different p. Two events of a key at shares p and q are both kept with min(p, q), so
    their covariance over p·q is 1/max(p, q) - 1, which is the sum of the ladder's steps in 1/p down to the greater of
    the two: Var = Σ_n (1/p_n - 1/p_{n-1}) · M_n, M_n being the sum over keys of the squared number of events at rung n
    or below.

    Args:
        events: of the class that were sampled, before sampling.
        moments: M_n for each rung, as `Gate.moments` estimates them.
    """
    steps = ((1 / LADDER[n] - 1 / LADDER[n - 1]) * moments[n] for n in range(1, len(LADDER)))
    return math.sqrt(sum(steps)) / events if events else 0.0
