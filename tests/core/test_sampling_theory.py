"""Gate and rates together against Horvitz and Thompson, over 300 seeds: no bias, and the error that is predicted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

import pytest

from tidegate.core.gate import DELIVER, DROP, Gate, Passage
from tidegate.pressure.sampling import LADDER, TypeRates, plan_rungs, relative_error, relative_error_by_key

BULK = 3
SEEDS = range(1, 301)
TYPES = {b"view": 1200, b"list": 300, b"promo": 60, b"login": 12, b"error": 2}

Event = tuple[bytes, bytes]  # type, key


def single_events() -> list[Event]:
    return [(name, b"%s %d" % (name, n)) for name, count in TYPES.items() for n in range(count)]


def sessions() -> list[Event]:
    """Of lognormal length; the types of a session's events are mixed as above."""
    rng = random.Random(11)
    names, weights = list(TYPES), list(TYPES.values())
    return [
        (name, b"session %d" % n)
        for n in range(250)
        for name in rng.choices(names, weights, k=1 + int(rng.lognormvariate(1.3, 0.8)))
    ]


def sampled(events: Sequence[Event], rungs: dict[bytes, int], seed: int, came: Sequence[str] = ()) -> list[Passage]:
    gate = Gate(seed)
    for name in rungs:
        gate.admit(BULK, name)
    gate.order(BULK, 1.0, DROP)
    gate.set_rungs({t.slot: rungs[str(t.name).encode()] for t in gate.types(BULK)})
    states = came or [""] * len(events)
    return [
        gate.admit(BULK, name, key=key, tracestate=state.encode())
        for (name, key), state in zip(events, states, strict=True)
    ]


def rungs_for(events: Sequence[Event], keep: float) -> dict[bytes, int]:
    return plan_rungs({name: n / 15 for name, n in Counter(name for name, _ in events).items()}, keep, 1 / 64)


def by_event(events: Sequence[Event], rungs: dict[bytes, int]) -> float:
    counts = Counter(name for name, _ in events)
    return relative_error([(n, LADDER[rungs[name]]) for name, n in counts.items()])


def by_session(events: Sequence[Event], rungs: dict[bytes, int]) -> float:
    def moment(rung: int) -> float:
        return sum(n * n for n in Counter(key for name, key in events if rungs[name] >= rung).values())

    return relative_error_by_key(len(events), [moment(rung) for rung in range(len(LADDER))])


def holds(estimates: Sequence[float], truth: float, predicted: float) -> None:
    bias = fmean(estimates) - truth
    assert abs(bias) <= 2 * stdev(estimates) / len(estimates) ** 0.5
    assert stdev(estimates) / truth == pytest.approx(predicted, rel=0.10)


CASES = [(single_events, by_event), (sessions, by_session)]
Stream = Callable[[], list[Event]]
Theory = Callable[[Sequence[Event], dict[bytes, int]], float]


@pytest.mark.parametrize(("stream", "theory"), CASES)
def test_one_stage(stream: Stream, theory: Theory) -> None:
    events = stream()
    rungs = rungs_for(events, 0.2)
    assert len(set(rungs.values())) > 2
    by_weight, by_rate = [], []
    for seed in SEEDS:
        kept = [p for p in sampled(events, rungs, seed) if p.action == DELIVER]
        by_weight.append(sum(p.weight for p in kept))
        by_rate.append(float(sum(p.rate for p in kept)))
    holds(by_weight, len(events), theory(events, rungs))
    # As integers the weights are as true.
    assert abs(fmean(by_rate) - len(events)) <= 2 * stdev(by_rate) / len(SEEDS) ** 0.5


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.15), (0.15, 0.5)])
@pytest.mark.parametrize(("stream", "theory"), CASES)
def test_two_stages(stream: Stream, theory: Theory, first: float, second: float) -> None:
    """As through a parking topic: R and T are kept, and the second gate, of whatever seed, samples at another rate."""
    events = stream()
    before, after = rungs_for(events, first), rungs_for(events, second)
    both = {name: max(before[name], after[name]) for name in before}
    estimates = []
    for seed in SEEDS:
        alive = [
            (event, p) for event, p in zip(events, sampled(events, before, seed), strict=True) if p.action == DELIVER
        ]
        again = sampled([event for event, _ in alive], after, 9999, [p.tracestate for _, p in alive])
        survivors = {n for n, p in enumerate(again) if p.action == DELIVER}
        estimates.append(sum(again[n].weight for n in survivors))
        if seed < 20:  # exactly those that one gate with the lower rates keeps
            direct = [e for e, p in zip(events, sampled(events, both, seed), strict=True) if p.action == DELIVER]
            assert [alive[n][0] for n in sorted(survivors)] == direct
    holds(estimates, len(events), theory(events, both))


def test_moments_of_the_gate_predict_the_error() -> None:
    """What the sketch says of sessions is near what counting them says: half its relative error of an eighth, over the
    seeds on average within three hundredths."""
    events = sessions()
    rungs = rungs_for(events, 0.2)
    truth = by_session(events, rungs)
    found = []
    for seed in range(60):
        gate = Gate(seed)
        for name in rungs:
            gate.admit(BULK, name)
        gate.order(BULK, 1.0, DROP)
        gate.set_rungs({t.slot: rungs[str(t.name).encode()] for t in gate.types(BULK)})
        for name, key in events:
            gate.admit(BULK, name, key=key)
        found.append(relative_error_by_key(len(events), gate.moments(BULK)))
    assert fmean(found) == pytest.approx(truth, rel=0.03)
    assert stdev(found) / truth < 0.1


class Flood:
    """A gate whose rates are looked after ten times a second."""

    def __init__(self) -> None:
        self.gate = Gate(5)
        self.rates: TypeRates[tuple[int, int]] = TypeRates(1 / 64, 0.0)
        self.now = 0.0
        self.n = 0

    def run(self, seconds: float, per_tick: dict[bytes, int], keep: float, fresh: int = 0) -> dict[bytes, int]:
        kept: dict[bytes, int] = dict.fromkeys(per_tick, 0)
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            names = [name for name, n in per_tick.items() for _ in range(n)]
            for name in [*names, *(b"fresh %d %d" % (self.now * 10, n) for n in range(fresh))]:
                self.n += 1
                passed = self.gate.admit(BULK, name, key=b"%d" % self.n).action == DELIVER
                kept[name] = kept.get(name, 0) + passed
            if keep < 1:
                self.gate.order(BULK, 1.0, DROP)
            plan = self.rates.update(self.now, {t.slot: t.records for t in self.gate.types(BULK)}, keep)
            if plan is not None:
                self.gate.set_rungs(plan.rungs)
                self.gate.retire(plan.gone)
        return kept


CALM = {b"view": 60, b"list": 20, b"scroll": 10, b"login": 1, b"error": 1}


def test_a_new_type_at_nine_tenths_of_the_traffic_does_not_starve_rare_ones() -> None:
    flood = Flood()
    flood.run(16, CALM, 1.0)
    surge = {**CALM, b"new": 9 * sum(CALM.values())}
    flood.run(1, surge, 0.1)
    kept = flood.run(8, surge, 0.1)
    offered = 80 * sum(surge.values())
    assert kept[b"login"] == kept[b"error"] == 80
    assert 0.06 * offered <= sum(kept.values()) <= 0.11 * offered
    assert kept[b"scroll"] / 800 > 2 * kept[b"new"] / (80 * surge[b"new"])
    assert kept[b"new"] > 0


def test_types_without_end_are_one_type() -> None:
    """Every event a type of its own: the table is full within seconds, and those that it knows are kept as before."""
    flood = Flood()
    flood.run(16, CALM, 0.5)
    flood.run(5, CALM, 0.2, fresh=900)
    kept = flood.run(5, CALM, 0.2, fresh=900)
    offered = 50 * (sum(CALM.values()) + 900)
    assert kept[b"login"] == kept[b"error"] == 50
    assert sum(kept.values()) <= 0.3 * offered
    types = flood.gate.types(BULK)
    assert len(types) <= 1025
    assert next(t.records for t in types if t.name is None) > 5000
    # When it is over, their places are given back.
    flood.run(120, CALM, 0.2)
    assert sum(t.retired for t in flood.gate.types(BULK)) > 500
