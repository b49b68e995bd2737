"""What is played: topics, loads, an app and what befalls it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Topic:
    """A lane. `mix`: what part of the whole load's each class comes by it."""

    mix: tuple[float, float, float, float]
    waits: bool = False
    clock_error: float = 0.0  # seconds that its producers' clock is ahead


@dataclass(frozen=True)
class Scenario:
    """Attributes:
    load: of the app's whole capacity, at a second.
    surge: from, to: seconds in which more comes than can be served.
    steps, refusals: see target.py.
    mixes: (from, index of topics to use), for a change of what comes.
    ring_seconds: what the rings hold, in seconds of the app's whole capacity.
    parking: (from, available) steps.
    backlog_seconds: of the load at the start, there before it.
    park_rate: records/s that the parking topic takes, of the app's capacity.
    """

    name: str
    seed: int
    load: Callable[[float], float]
    surge: tuple[float, float]
    seconds: float
    topics: tuple[Topic, ...] = (Topic((0.03, 0.10, 0.0, 0.87)),)
    later: tuple[float, tuple[Topic, ...]] | None = None
    workers: int = 8
    rate: float = 2000.0
    slots: int = 16
    batch: int = 32
    steps: tuple[tuple[float, float], ...] = ()
    refusals: tuple[tuple[float, float, float], ...] = ()
    ring_seconds: float = 10.0
    parking: tuple[tuple[float, bool], ...] = ((0.0, True),)
    park_rate: float = 50.0
    on_pressure: dict[int, str] = field(default_factory=dict)
    forced: tuple[tuple[float, int | None], ...] = ()
    backlog_seconds: float = 0.0

    def topics_at(self, now: float) -> tuple[Topic, ...]:
        return self.later[1] if self.later is not None and now >= self.later[0] else self.topics


def step_load(base: float, peak: float, begin: float, end: float) -> Callable[[float], float]:
    return lambda t: peak if begin <= t < end else base


def flash_load(base: float, amplitude: float, begin: float, onset: float, tau: float) -> Callable[[float], float]:
    """λ₀ [1 + A e^{-(t-t₀)/τ}], with a linear onset (pressure.md section 6)."""

    def load(t: float) -> float:
        if t < begin:
            return base
        if t < begin + onset:
            return base * (1 + amplitude * (t - begin) / onset)
        return base * (1 + amplitude * math.exp(-(t - begin - onset) / tau))

    return load
