"""How many records the target may have in hand at once, and how many one batch may have. Pure; time is passed in.

The limit is a number of full batches. It starts at one, doubles per window until the first congestion, then grows by
one per window and shrinks by a tenth (Chiu and Jain 1989); a window is the mean round trip, 100 ms at least, 20 ms
while it doubles for a fast target.

    congestion   round trips are longer than they should be by more than a tolerance; where by far more, the target has
                 become another one, and is begun with anew
    growth       the limit was reached, and they exceed by less than half of the tolerance
    should be    a + b·records: b is fitted (`ServiceTime`), a is the least of the last minute (`Baseline`). With a
                 single batch in hand nothing queues behind another: what is then measured is what should be
    tolerance    2.5 standard errors, a quarter of what should be, or an eighth of the tightest age budget: a queue
                 that nobody could notice is no congestion, however fast the target

429, 503 and timeouts are about requests, and lower how many may be sent at once (`Refusals`). A batch's records take an
eighth of the age budget, or `a` where that is longer, at `b` each. What is not critical stays within the limits;
critical may go a quarter beyond. What of this was measured: docs/adr/0010-adaptive-limiter.md.
"""

from __future__ import annotations

from math import ceil
from random import Random

from tidegate.pressure.limiter import Answer, Figures
from tidegate.pressure.refusals import CUT, Refusals
from tidegate.pressure.service_time import Baseline, ServiceTime

FIRST_BATCH_RECORDS = 8  # 500 after three windows at a fast target, and soon back from a slow one
WINDOW_SECONDS = 0.1
FIRST_WINDOW_SECONDS = 0.02  # while doubling, for a target that answers within
FAST_SECONDS = 0.005  # and would wait for the limit; a slow one is better measured by more batches
SAMPLES = 10  # of a window, unless it is older than
PATIENCE_SECONDS = 1.0
RESERVE = 1.25  # of the limit, for all classes together: the others may have 80 % of it
CRITICAL_BUDGET_SECONDS = 0.25
OTHERS_BUDGET_SECONDS = 5.0  # high's age budget, where no critical batch was sent for a minute
SHARE = 8
MEMORY_SECONDS = 60.0
PROBE_AFTER_SECONDS = 50.0  # before the least of the last minute is forgotten
_SMOOTHING = 0.2
_TRIAL = 0.25  # share of batches that have another size while the price of a record is not known


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
        self._limit_sends = ceil(RESERVE)
        self._others = self._critical = 0  # records being sent
        self._other_sends = self._critical_sends = 0
        self._refusals = Refusals(now)
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
        self._critical_at = now
        self._congestions = {"overload": 0, "slow": 0}

    # ── sends ───────────────────────────────────────────────────────────────────────────────────────────────────

    def admits(self, critical: bool, records: int) -> bool:
        """Critical while anything of the reserve is left; the others if they fit."""
        sends = self._other_sends + self._critical_sends
        if sends >= self._limit_sends or sends >= self._refusals.most:
            return not sends
        if critical:
            return not self._critical_sends or self._others + self._critical < self._limit * RESERVE
        if not self._other_sends:
            return True
        if (self._other_sends + 1) * RESERVE > self._refusals.most:
            return False
        # As if it were full: else small ones would meet more of a queue than large ones, and look dear for their size.
        wanted = self._others + max(records, self._size)
        return wanted <= self._limit and wanted + self._critical <= self._limit * RESERVE

    def begin(self, critical: bool, records: int, now: float) -> int:
        """Also draws the next batch's size."""
        if critical:
            self._critical += records
            self._critical_sends += 1
            self._critical_at = now
        else:
            self._others += records
            self._other_sends += 1
        if not self._reached:
            self._reached = self._is_reached()
        self.batch_records = size = self._size
        if not self._service.certain and size < self._most_records and self._rng.random() < _TRIAL:
            self.batch_records = size // 2 if size >= FIRST_BATCH_RECORDS else min(size * 2, self._most_records)
        return self._generation

    def busy(self) -> float:
        """As the limits are: what is not critical within them, all together a quarter more."""
        sends = (self._other_sends + self._critical_sends) / min(self._limit_sends, self._refusals.most)
        return max(sends, self._others / self._limit, (self._others + self._critical) / (self._limit * RESERVE))

    def _is_reached(self) -> bool:
        wanted = self._others + self._size
        if self._other_sends + self._critical_sends >= self._limit_sends:
            return True
        return wanted > self._limit or wanted + self._critical > self._limit * RESERVE

    def end(self, critical: bool, records: int, generation: int, seconds: float, now: float, answer: Answer) -> bool:
        """Decides where a window is over."""
        if generation < self._restarted:
            return False
        sends = self._other_sends + self._critical_sends
        if critical:
            self._critical -= records
            self._critical_sends -= 1
        else:
            self._others -= records
            self._other_sends -= 1
        if generation < self._generation:
            return False
        if answer is Answer.DONE:
            service = self._service
            service.add(critical, records, seconds)
            age = now - self._window_at
            fast = self._starting and service.seconds < FAST_SECONDS * service.count
            least = FIRST_WINDOW_SECONDS if fast else WINDOW_SECONDS
            if age >= least and age * service.count >= service.seconds:
                needed = min(SAMPLES, self._batches) if self._starting or self._before_probe is not None else SAMPLES
                if service.count >= needed or age >= PATIENCE_SECONDS:
                    self._close(now)
                    return True
        elif answer is Answer.OVERLOAD and self._refusals.refused(sends, now):
            self._overloaded(sends, now)
            return True
        return False

    def restart(self, now: float) -> None:
        """One batch, and doubling again. Sends from before, which may hang, no longer count; the price of a record is
        kept until the next windows tell another."""
        self._baseline.clear()
        self._before_probe = None
        self._starting = True
        self._others = self._critical = self._other_sends = self._critical_sends = 0
        self._refusals.clear()
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

    def _overloaded(self, sends: int, now: float) -> None:
        self._congestions["overload"] += 1
        self._starting = sends <= 1
        if self._starting:
            self._set(1.0)
        self._before_probe = None
        self._begin_anew(now)

    def _cut(self, now: float, another: bool) -> None:
        """Round trips say so. `another`: by more than a queue of ours grows in one window, so that the target is
        another one than it was, and is begun with anew."""
        self._congestions["slow"] += 1
        if another:
            self._service.forget()
        self._starting = another
        self._set(1.0 if another else self._batches * CUT)
        self._begin_anew(now)

    def _close(self, now: float) -> None:
        service, baseline = self._service, self._baseline
        window = service.close(baseline.least_share())
        self._error += _SMOOTHING * (window.error - self._error)
        share = self._budget(now) / SHARE
        seen = baseline.expected(window.records, service.low, service.high)
        expected, seen_at = (window.seconds, now) if seen is None else seen
        tolerance = max(2.5 * self._error, 0.25 * expected, share)
        excess = window.seconds - expected
        if self._before_probe is not None:
            baseline.add(window, service.per_record, now)
            self._end_probe()
        elif excess > tolerance and self._batches > 1.0:
            self._cut(now, another=excess > 2.0 * (expected + share))
        else:
            if excess > tolerance:  # with one batch in hand: it is no queue of ours
                baseline.clear()
            baseline.add(window, service.per_record, now)
            self._grow(excess, tolerance, now)
            # Where all of it is within the tolerance, no baseline could make it a congestion.
            if window.seconds > share and now - max(seen_at, self._probed_at) >= PROBE_AFTER_SECONDS:
                self._probe(now)
        self._fixed_seconds = max(0.0, min(window.seconds, expected) - service.per_record * window.records)
        self._resize(max(share, self._fixed_seconds))
        self._window_at = now
        self._reached = self._is_reached()

    def _grow(self, excess: float, tolerance: float, now: float) -> None:
        self._refusals.window(self._most_batches * RESERVE, now)
        if excess > tolerance:
            self._starting = True  # what is expected begins anew
        elif excess > tolerance / 2.0:
            self._starting = False
        elif self._reached and self._batches < self._most_batches:
            self._set(self._batches * 2.0 if self._starting else self._batches + 1.0)

    def _probe(self, now: float) -> None:
        """Half the limit for one window: a standing queue may have hidden for a minute what should be."""
        self._probed_at = now
        if self._batches > 1.0:
            self._before_probe = self._batches
            self._set(self._batches / 2.0)
            self._generation += 1

    def _end_probe(self) -> None:
        if self._before_probe is not None:
            self._set(self._before_probe)
            self._before_probe = None
            self._generation += 1

    def _budget(self, now: float) -> float:
        shared = now - self._critical_at < MEMORY_SECONDS
        return CRITICAL_BUDGET_SECONDS if shared else OTHERS_BUDGET_SECONDS

    def _resize(self, share: float) -> None:
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
        self._limit_sends = ceil(self._batches * RESERVE)

    def _begin_anew(self, now: float) -> None:
        self._service.drop()
        self._window_at = now
        self._generation += 1
        self._reached = self._is_reached()
