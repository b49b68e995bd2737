"""What others do, as published, behind the same interface. For comparison only.

Constants: pressure.md section 1. None of them knows of parking: what they do not let in is dropped.
"""

from __future__ import annotations

from collections import deque

from surge.brains import Look
from surge.lanes import CLASSES
from surge.scenario import Scenario
from tidegate.pressure.shed import Rest, Shed

KEEP_ALL = (Shed(),) * CLASSES


class PauseOnly:
    """Reads what the rings have room for, delivers in the order of arrival."""

    name = "pause-only"
    fifo = True

    def __init__(self, scenario: Scenario) -> None:
        self.sheds: tuple[Shed, ...] = KEEP_ALL
        self.held: set[int] = set()
        self.replay = 0.0

    def tick(self, now: float, look: Look) -> None:
        return

    def drops(self, now: float, waited: float) -> bool:
        return False


class PausePriority(PauseOnly):
    """The same, critical first."""

    name = "pause-only, by priority"
    fifo = False


class CoDel(PauseOnly):
    """folly's Codel.cpp: 100 ms intervals; where the least delay of one was over 5 ms, what waited over 10 ms goes."""

    name = "CoDel (folly)"
    TARGET, INTERVAL = 0.005, 0.1

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._least, self._until, self._reset, self._overloaded = 0.0, 0.0, True, False

    def drops(self, now: float, waited: float) -> bool:
        if now > self._until and not self._reset:
            self._reset = True
        if self._reset:
            self._until, self._reset = now + self.INTERVAL, False
            self._overloaded = self._least > self.TARGET
            self._least = waited
            return False
        self._least = min(self._least, waited)
        return self._overloaded and waited > 2 * self.TARGET


def by_level(level: float, shares: tuple[float, ...]) -> tuple[Shed, ...]:
    """The upper `level` (0 to 1) of what comes, by class and within a class by hash."""
    sheds, left = [], level
    for share in shares:
        keep = 1.0 if share <= 0 else max(0.0, min(1.0, left / share))
        sheds.append(Shed(keep, Rest.DROP))
        left -= share
    return tuple(sheds)


class Dagor(PauseOnly):
    """Mean queuing time over 20 ms in a window of 1 s or 2000 requests: admit × 0.95, else + 1 %; cut by priority.

    Wait times are those in the ring, of what was dispatched; priority delivery, as in the paper's setting none is said.
    """

    name = "DAGOR"
    fifo = False
    DELAY, ALPHA, BETA, REQUESTS = 0.020, 0.05, 0.01, 2000

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._since, self._delay, self._n = 0.0, 0.0, 0
        self._read = [0.0] * CLASSES
        self._level: float | None = None  # records a window; None: all

    def tick(self, now: float, look: Look) -> None:
        for waited, _, n in look.delays:
            self._delay, self._n = self._delay + waited * n, self._n + n
        for klass, n in enumerate(look.read):
            self._read[klass] += n
        if now - self._since < 1.0 and sum(self._read) < self.REQUESTS:
            return
        total, seconds = sum(self._read), max(0.1, now - self._since)
        if total:
            admitted = sum(shed.keep * n for shed, n in zip(self.sheds, self._read, strict=True)) / seconds
            over = bool(self._n) and self._delay / self._n > self.DELAY
            level = admitted * (1 - self.ALPHA) if over else admitted + self.BETA * total / seconds
            shares = tuple(n / total for n in self._read)
            self.sheds = by_level(min(1.0, level * seconds / total), shares)
        self._since, self._delay, self._n, self._read = now, 0.0, 0, [0.0] * CLASSES


class PiRejector(PauseOnly):
    """Cinnamon-like: reject ratio from in- and outflow and the queue, cut by the mix of the last thousand requests.

    K_P and K_I are not published where we could read them: 0.5 and 1.0 a second did best here, of seven pairs tried.
    """

    name = "PI (Cinnamon-like)"
    fifo = False
    K_P, K_I, RECENT = 0.5, 1.0, 1000

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._integral = 0.0
        self._done = 0
        self._at = 0.0
        self._recent: deque[tuple[int, ...]] = deque()
        self._free = scenario.slots * scenario.batch

    def tick(self, now: float, look: Look) -> None:
        seconds, self._at = max(0.1, now - self._at), now
        inflow = sum(look.read)
        outflow, self._done = look.counts.service.records - self._done, look.counts.service.records
        self._recent.append(look.read)
        while len(self._recent) > 1 and sum(map(sum, self._recent)) - sum(self._recent[0]) >= self.RECENT:
            self._recent.popleft()
        let_in = sum(shed.keep * n for shed, n in zip(self.sheds, look.read, strict=True))
        queued = sum(look.counts.queued)
        error = (let_in - outflow + queued - self._free * (queued == 0)) / max(1.0, inflow + outflow)
        error = max(-1.0, min(1.0, error))
        self._integral = max(0.0, min(1.0, self._integral + self.K_I * error * seconds))
        reject = max(0.0, min(0.99, self.K_P * error + self._integral))
        total = sum(map(sum, self._recent))
        if total:
            shares = tuple(sum(one[k] for one in self._recent) / total for k in range(CLASSES))
            self.sheds = by_level(1.0 - reject, shares)


BASELINES = (PauseOnly, PausePriority, CoDel, Dagor, PiRejector)
