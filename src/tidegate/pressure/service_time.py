"""How long a batch takes: ``a + b·records``, so that a batch that is merely large is not taken for a slow target.

The slope `b` is fitted within windows only (a fixed-effects regression): in one window every batch meets about the same
queue, whatever its own size, while from window to window the queue changes with the limit, and would be mistaken for
the price of a record. Past windows fade. Where all batches have one size, nothing can be said about the slope but that
it is at most the whole time divided by the records. Pure; no clock.
"""

from __future__ import annotations

from collections import deque
from math import inf, sqrt
from typing import NamedTuple

FADE = 0.97  # of what earlier windows said, per window
CERTAIN = 0.2  # standard error of the slope, as a share of what is taken for it
# Before a window says otherwise: the standard deviation of a batch's time, as a share of it, and how many batches it
# takes to say so. A few that agree by chance must not pass for exact.
_NOISE, _NOISE_BATCHES = 0.2, 1
_OUTLIER = 4.0  # times the usual variance: the target changed within the window
_SMOOTHING = 0.1


class Window(NamedTuple):
    """What ended in one window: how many, their mean records, mean seconds, and that mean's standard error."""

    batches: int
    records: float
    seconds: float
    error: float


class _Sums:
    """Of the batches of one kind in the window."""

    __slots__ = ("count", "n", "nn", "nt", "t", "tt")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count = 0
        self.n = self.t = self.nn = self.nt = self.tt = 0.0

    def deviations(self) -> tuple[float, float, float]:
        """Sums of the squares and products of the deviations from the means: records, both, seconds."""
        if self.count < 2:
            return 0.0, 0.0, 0.0
        n, t = self.n / self.count, self.t / self.count
        return max(0.0, self.nn - self.n * n), self.nt - self.n * t, max(0.0, self.tt - self.t * t)


class ServiceTime:
    """See the module. Critical batches and the others have means of their own: they do not meet the same queue.

    Attributes:
        count: batches in the window.
        seconds: their time together.
        per_record: b, seconds; 0 before the first window.
        per_record_most: b with its standard error, and never more than everything divided by the records.
        certain: whether the standard error is small beside it.
        low, high: bounds of b, two standard errors away.
    """

    def __init__(self) -> None:
        self.per_record = 0.0
        self.per_record_most = 0.0
        self.certain = False
        self.low = self.high = 0.0
        self.count = 0
        self.seconds = 0.0
        self._sums = (_Sums(), _Sums())
        self._usual = 0.0  # variance of a batch's time in a window, smoothed
        self._nn = self._nt = 0.0  # faded sums of deviations, over the variance

    def add(self, critical: bool, records: int, seconds: float) -> None:
        """A batch was acknowledged."""
        self.count += 1
        self.seconds += seconds
        sums = self._sums[critical]
        sums.count += 1
        sums.n += records
        sums.t += seconds
        sums.nn += records * records
        sums.nt += records * seconds
        sums.tt += seconds * seconds

    def drop(self) -> None:
        """Forgets the window: what it saw was of another limit."""
        self.count = 0
        self.seconds = 0.0
        for sums in self._sums:
            sums.clear()

    def forget(self) -> None:
        """What was fitted no longer holds: the next window's price is everything divided by the records."""
        self._nn = self._nt = self._usual = 0.0

    def close(self, least: float = inf) -> Window:
        """Ends the window, of one batch at least, and fits anew.

        Args:
            least: seconds per record, everything included, that were enough in the last minute: what is taken for b
                while it is uncertain, or the queue of the moment would become its price.
        """
        count = self.count
        n, t = sum(sums.n for sums in self._sums) / count, self.seconds / count
        nn, nt, tt = map(sum, zip(*(sums.deviations() for sums in self._sums), strict=True))
        left = max(0.0, tt - nt * nt / nn) if nn > 0.0 else tt
        doubted = left + _NOISE_BATCHES * (_NOISE * t) ** 2
        variance = max(doubted / (max(0, count - 3) + _NOISE_BATCHES), 1e-12)
        if not self._usual:
            self._usual = variance
        weighed_by = variance if variance > _OUTLIER * self._usual else self._usual
        self._usual += _SMOOTHING * (min(variance, _OUTLIER * self._usual) - self._usual)
        self._nn = self._nn * FADE + nn / weighed_by
        self._nt = self._nt * FADE + nt / weighed_by
        self._fit(t / n, least)
        self.drop()
        return Window(count, n, t, sqrt(variance / count))

    def _fit(self, most: float, least: float) -> None:
        slope, error = most, inf
        if self._nn > 0.0:
            slope, error = min(max(0.0, self._nt / self._nn), most), 1.0 / sqrt(self._nn)
        self.per_record_most = min(most, slope + error)
        self.certain = error <= CERTAIN * self.per_record_most
        self.per_record = slope if self.certain else min(self.per_record_most, least)
        self.low = max(0.0, min(self.per_record, slope - 2.0 * error))
        self.high = max(self.per_record, min(most, least, slope + 2.0 * error))


class Baseline:
    """The least `a` of the last minute, so that neither overload nor a slow drift becomes what is expected.

    Windows are kept as means, one a second, because `a` is what a slope leaves of them, and the slope changes; with
    twice the standard error, because the least of many uncertain means is too low.
    """

    def __init__(self, memory_seconds: float) -> None:
        self._memory_seconds = memory_seconds
        self._windows: deque[tuple[float, float, float]] = deque()  # end, mean records, mean seconds

    def add(self, window: Window, per_record: float, now: float) -> None:
        """Keeps a window; of the windows that end in one second the one with the least a."""
        windows, entry = self._windows, (now, window.records, window.seconds + 2.0 * window.error)
        if windows and int(windows[-1][0]) == int(now):
            if _fixed(entry, per_record) < _fixed(windows[-1], per_record):
                windows[-1] = entry
        else:
            windows.append(entry)
        while windows[0][0] < now - self._memory_seconds:
            windows.popleft()

    def expected(self, records: float, low: float, high: float) -> tuple[float, float] | None:
        """What a batch of so many records should take, in seconds, and when that was seen; None: nothing is kept.

        From windows of other sizes by the price of a record that makes it longer, `low` or `high`: a price that is
        uncertain must not turn what small batches took into a reproach to large ones.
        """
        least = min(
            ((t + (high if records > n else low) * (records - n), -at) for at, n, t in self._windows), default=None
        )
        return None if least is None else (max(0.0, least[0]), -least[1])

    def least_share(self) -> float:
        """The least seconds per record, everything included; infinite where nothing is kept."""
        return min((seconds / records for _, records, seconds in self._windows), default=inf)

    def clear(self) -> None:
        """Forgets all."""
        self._windows.clear()


def _fixed(entry: tuple[float, float, float], per_record: float) -> float:
    return entry[2] - per_record * entry[1]
