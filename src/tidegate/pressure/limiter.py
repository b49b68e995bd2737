"""How many records the target may have in hand at once, and how many one batch may have. Pure; time is passed in.

The limit is a number of full batches. It starts at one, doubles per window until the first congestion, then grows by
one per window and shrinks by a tenth (Chiu and Jain 1989); a window is the mean round trip, 100 ms at least:

    congestion   429, 503 or a timeout, or round trips that are longer than they should be by more than a tolerance
    growth       the limit was reached, and round trips exceed by less than half of the tolerance
    should be    a + b·records: b is fitted (`ServiceTime`), a is the least of the last minute. With a single batch in
                 hand nothing can queue behind it: what is then measured is what should be
    tolerance    2.5 standard errors, a quarter of what should be, or an eighth of the tightest age budget: a queue
                 that nobody could notice is no congestion, however fast the target

One batch's records take an eighth of that budget, too, at `b` each. What is not critical stays within the limit;
critical may go a quarter beyond it. Source of the constants: Netflix's and Vector's limiters, and what
docs/adr/0020-adaptive-limiter.md changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Protocol

from tidegate.pressure.service_time import Baseline, ServiceTime, Window

FIRST_BATCH_RECORDS = 8  # 500 after three windows at a fast target, and soon back from a slow one
WINDOW_SECONDS = 0.1
SAMPLES = 10  # of a window, unless it is older than
PATIENCE_SECONDS = 1.0
CUT = 0.9
RESERVE = 1.25  # of the limit, for all classes together: the others may have 80 % of it
CRITICAL_BUDGET_SECONDS = 0.25
OTHERS_BUDGET_SECONDS = 5.0  # high's age budget, where no critical batch was sent for a minute
SHARE = 8
MEMORY_SECONDS = 60.0
PROBE_AFTER_SECONDS = 50.0  # before the least of the last minute is forgotten
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 8.0
_SMOOTHING = 0.2
_TRIAL = 0.25  # share of batches that have another size while the price of a record is not known


class Answer(Enum):
    """What a send's end says about the target's load."""

    DONE = "done"
    OVERLOAD = "overload"  # 429, 503, a timeout
    NOTHING = "nothing"  # any other failure, or cancelled


@dataclass(frozen=True, slots=True)
class Figures:
    """A limiter's state.

    Attributes:
        congestions: since the start, by reason: ``overload`` (the target said so) and ``slow`` (its round trips).
        fixed_seconds, per_record_seconds: a and b; 0 before the first window.
    """

    limit_records: int
    batch_records: int
    sending_records: int
    congestions: Mapping[str, int]
    fixed_seconds: float
    per_record_seconds: float


class Limiter(Protocol):
    """What delivery asks. `batch_records`: the most that the next batch may have."""

    batch_records: int

    def admits(self, critical: bool, records: int) -> bool:
        """Whether a batch may be sent now. One of its kind always may, when none of it is being sent."""
        ...

    def begin(self, critical: bool, records: int, now: float) -> int:
        """A send begins. Returns the generation to hand to `end`."""
        ...

    def end(self, critical: bool, records: int, generation: int, seconds: float, now: float, answer: Answer) -> bool:
        """It ended after `seconds`. True: something was decided, which is worth a look at `figures`."""
        ...

    def restart(self, now: float) -> None:
        """The target was away and is back: nothing is known of it."""
        ...

    def figures(self) -> Figures | None:
        """For metrics and log; None: there is no limit."""
        ...


class Fixed:
    """No limit but the slots: batches are as large as configured."""

    def __init__(self, batch_max_records: int) -> None:
        self.batch_records = batch_max_records

    def admits(self, critical: bool, records: int) -> bool:
        """Always."""
        return True

    def begin(self, critical: bool, records: int, now: float) -> int:
        """Nothing to count."""
        return 0

    def end(self, critical: bool, records: int, generation: int, seconds: float, now: float, answer: Answer) -> bool:
        """Nothing to learn."""
        return False

    def restart(self, now: float) -> None:
        """Nothing to forget."""

    def figures(self) -> None:
        """None."""
        return


class Adaptive:
    """See the module.

    Args:
        concurrency: ceiling of the limit, in batches.
        batch_max_records: ceiling of a batch.
    """

    def __init__(self, concurrency: int, batch_max_records: int, rng: Random, now: float) -> None:
        self._most_batches = float(concurrency)
        self._most_records = batch_max_records
        self._rng = rng
        self._size = min(FIRST_BATCH_RECORDS, batch_max_records)  # of a batch, by the measured price of a record
        self.batch_records = self._size
        self._batches = 1.0
        self._limit = float(self._size)
        self._others = self._critical = 0  # records being sent
        self._service = ServiceTime()
        self._baseline = Baseline(MEMORY_SECONDS)
        self._error = 0.0  # of a window's mean, seconds, smoothed
        self._fixed_seconds = 0.0
        self._starting = True
        self._reached = False
        self._before_probe: float | None = None
        self._probed_at = now
        self._window_at = now
        self._generation = 0  # what began in an earlier one tells of another limit
        self._restarted = 0
        self._calm_from = now  # no second cut before
        self._grow_from = now
        self._pause = FIRST_PAUSE_SECONDS
        self._grown = False  # since the target last said that it was too much
        self._critical_at = now
        self._congestions = {"overload": 0, "slow": 0}

    # ── sends ───────────────────────────────────────────────────────────────────────────────────────────────────

    def admits(self, critical: bool, records: int) -> bool:
        """Critical while anything of the reserve is left; the others if they fit."""
        if critical:
            return not self._critical or self._others + self._critical < self._limit * RESERVE
        if not self._others:
            return True
        # A full batch, though it be smaller: else the small ones would meet more of a queue, and look dear for their size.
        wanted = self._others + max(records, self._size)
        return wanted <= self._limit and wanted + self._critical <= self._limit * RESERVE

    def begin(self, critical: bool, records: int, now: float) -> int:
        """Also draws the next batch's size."""
        if critical:
            self._critical += records
            self._critical_at = now
        else:
            self._others += records
        if not self._reached:
            self._reached = self._is_reached()
        self.batch_records = size = self._size
        if not self._service.certain and size < self._most_records and self._rng.random() < _TRIAL:
            self.batch_records = size // 2 if size >= FIRST_BATCH_RECORDS else min(size * 2, self._most_records)
        return self._generation

    def _is_reached(self) -> bool:
        wanted = self._others + self._size
        return wanted > self._limit or wanted + self._critical > self._limit * RESERVE

    def end(self, critical: bool, records: int, generation: int, seconds: float, now: float, answer: Answer) -> bool:
        """Decides where a window is over."""
        if generation < self._restarted:
            return False
        if critical:
            self._critical -= records
        else:
            self._others -= records
        if generation < self._generation:
            return False
        if answer is Answer.DONE:
            service = self._service
            service.add(critical, records, seconds)
            age = now - self._window_at
            if age >= WINDOW_SECONDS and age * service.count >= service.seconds:
                needed = min(SAMPLES, self._batches) if self._starting or self._before_probe is not None else SAMPLES
                if service.count >= needed or age >= PATIENCE_SECONDS:
                    self._close(now)
                    return True
        elif answer is Answer.OVERLOAD and now >= self._calm_from:
            self._overloaded(now)
            return True
        return False

    def restart(self, now: float) -> None:
        """One batch, and doubling again. Sends from before, which may hang, no longer count; the price of a record is
        kept until the next windows tell another."""
        self._baseline.clear()
        self._before_probe = None
        self._starting = True
        self._others = self._critical = 0
        self._set(1.0)
        self._begin_anew(now)
        self._restarted = self._generation

    def figures(self) -> Figures:
        """As of the last window."""
        return Figures(
            limit_records=int(self._limit),
            batch_records=self._size,
            sending_records=self._others + self._critical,
            congestions=dict(self._congestions),
            fixed_seconds=self._fixed_seconds,
            per_record_seconds=self._service.per_record,
        )

    # ── windows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _overloaded(self, now: float) -> None:
        """The target said so. Where the growth asked for it, growing waits, each time longer: an answer that turns a
        batch away costs a pause for everyone."""
        if self._grown:
            self._pause = min(LAST_PAUSE_SECONDS, self._pause * 2.0)
        self._grown = False
        self._grow_from = now + self._pause
        self._cut("overload", now)

    def _cut(self, reason: str, now: float) -> None:
        self._congestions[reason] += 1
        self._calm_from = now + WINDOW_SECONDS
        self._before_probe = None
        self._starting = False
        self._set(self._batches * CUT)
        self._begin_anew(now)

    def _close(self, now: float) -> None:
        window = self._service.close()
        per_record = self._service.per_record
        self._error += _SMOOTHING * (window.error - self._error)
        share = self._budget(now) / SHARE
        least = self._baseline.least(per_record)
        expected = window.seconds if least is None else least[0] + per_record * window.records
        tolerance = max(2.5 * self._error, 0.25 * expected, share)
        excess = window.seconds - expected
        if self._before_probe is not None:
            self._baseline.add(window, per_record, now)
            self._end_probe(now)
        elif excess > tolerance and self._batches > 1.0:
            self._cut("slow", now)
        else:
            if excess > tolerance:  # with one batch in hand: it is no queue of ours
                self._baseline.clear()
            self._baseline.add(window, per_record, now)
            self._grow(excess, tolerance, now)
            self._probe(window, share, now)
        least = self._baseline.least(per_record)
        self._fixed_seconds = 0.0 if least is None else least[0]
        self._resize(max(share, self._fixed_seconds), now)
        self._window_at = now
        self._reached = self._is_reached()

    def _grow(self, excess: float, tolerance: float, now: float) -> None:
        if excess > tolerance:
            self._starting = True  # what is expected begins anew
        elif excess > tolerance / 2.0:
            self._starting = False
        elif self._reached and now >= self._grow_from and self._batches < self._most_batches:
            self._grown = True
            self._set(self._batches * 2.0 if self._starting else self._batches + 1.0)

    def _probe(self, window: Window, share: float, now: float) -> None:
        """Half the limit for one window, where a standing queue may have hidden for a minute what should be.

        Not where the whole round trip is within the tolerance: no baseline could make that a congestion.
        """
        least = self._baseline.least(self._service.per_record)
        if least is None or self._batches <= 1.0 or window.seconds <= share:
            return
        if now - max(least[1], self._probed_at) < PROBE_AFTER_SECONDS:
            return
        self._before_probe, self._probed_at = self._batches, now
        self._set(self._batches / 2.0)
        self._generation += 1

    def _end_probe(self, now: float) -> None:
        if self._before_probe is not None:
            self._set(self._before_probe)
            self._before_probe = None
            self._generation += 1

    def _budget(self, now: float) -> float:
        shared = now - self._critical_at < MEMORY_SECONDS
        return CRITICAL_BUDGET_SECONDS if shared else OTHERS_BUDGET_SECONDS

    def _resize(self, share: float, now: float) -> None:
        """As many records as take that share, by steps of four at most; small corrections are not worth one."""
        price, size = self._service.per_record_most, self._size
        wanted = self._most_records if price * self._most_records <= share else int(share / price)
        wanted = max(1, size // 4, min(wanted, size * 4, self._most_records))
        if wanted == size or (abs(wanted - size) <= 0.1 * size and wanted not in (1, self._most_records)):
            return
        self._size = self.batch_records = wanted
        self._set(self._batches)
        self._generation += 1

    def _set(self, batches: float) -> None:
        self._batches = min(max(batches, 1.0), self._most_batches)
        self._limit = self._batches * self._size

    def _begin_anew(self, now: float) -> None:
        self._service.drop()
        self._window_at = now
        self._generation += 1
        self._reached = self._is_reached()
