"""Rates per type: the budget is met, rare types are whole, and the predicted errors are those of the theory."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.pressure.sampling import (
    FLOORS,
    LADDER,
    Plan,
    TypeRates,
    plan_rungs,
    relative_error,
    relative_error_by_key,
    split,
)
from tidegate.types import EventClass

traffic = st.dictionaries(st.integers(0, 99), st.floats(0.01, 1e5), min_size=1, max_size=30)
shares = st.floats(0, 1)
floors = st.sampled_from(LADDER)


def model_split(rates: dict[int, float], keep: float, floor: float) -> dict[int, float]:
    """By halving an interval for c."""

    def kept(c: float) -> dict[int, float]:
        return {k: min(1.0, max(floor, c * math.log10(1 + 15 * r) / r)) for k, r in rates.items()}

    low, high = 0.0, max(r / math.log10(1 + 15 * r) for r in rates.values())
    for _ in range(200):
        middle = (low + high) / 2
        if sum(rates[k] * p for k, p in kept(middle).items()) < keep * sum(rates.values()):
            low = middle
        else:
            high = middle
    return kept(high)


def test_ladder_and_floors() -> None:
    assert LADDER == (1, 3 / 4, 1 / 2, 3 / 8, 1 / 4, 3 / 16, 1 / 8, 3 / 32, 1 / 16, 3 / 64, 1 / 32, 3 / 128, 1 / 64)
    assert FLOORS == {EventClass.NORMAL: 1 / 8, EventClass.BULK: 1 / 64}
    with pytest.raises(ValueError, match="ladder"):
        TypeRates(0.2, 0.0)


@given(traffic, shares, floors)
def test_split_and_model_agree(rates: dict[int, float], keep: float, floor: float) -> None:
    mine, plain = split(rates, keep, floor), model_split(rates, keep, floor)
    assert mine == {key: pytest.approx(share, rel=1e-6) for key, share in plain.items()}
    wanted = max(keep, floor) * sum(rates.values())
    assert sum(rates[k] * p for k, p in mine.items()) == pytest.approx(wanted, rel=1e-9)


@given(traffic, shares, floors)
def test_plan_meets_the_budget(rates: dict[int, float], keep: float, floor: float) -> None:
    rungs = plan_rungs(rates, keep, floor)
    kept = sum(rate * LADDER[rungs[key]] for key, rate in rates.items())
    budget = keep * sum(rates.values())
    lowest = LADDER.index(floor)
    assert all(0 <= rung <= lowest for rung in rungs.values())
    assert kept <= budget * (1 + 1e-9) or all(
        rung == lowest or LADDER[rung] <= split(rates, keep, floor)[key] * (1 + 1e-9) for key, rung in rungs.items()
    )
    if kept > budget * (1 + 1e-9):  # only where the floor forbids less
        assert keep < floor * (1 + 1e-9)
    for key, rung in rungs.items():  # and nothing more would fit
        if rung:
            assert kept + rates[key] * (LADDER[rung - 1] - LADDER[rung]) > budget * (1 - 1e-9)


@given(traffic, floors)
def test_extremes(rates: dict[int, float], floor: float) -> None:
    assert set(plan_rungs(rates, 1.0, floor).values()) == {0}
    assert set(plan_rungs(rates, 0.0, floor).values()) == {LADDER.index(floor)}


def test_rarer_types_keep_more() -> None:
    rates = {"view": 9000.0, "list": 800.0, "promo": 100.0, "login": 3.0, "error": 0.05}
    rungs = plan_rungs(rates, 0.1, 1 / 64)
    assert [rungs[key] for key in rates] == sorted(rungs.values(), reverse=True)
    assert rungs["login"] == rungs["error"] == 0
    assert rungs["view"] > 5


class Traffic:
    """Counters and their times, ten looks a second."""

    def __init__(self, floor: float = 1 / 64) -> None:
        self.rates: TypeRates[str] = TypeRates(floor, 0.0)
        self.now = 0.0
        self.counts: dict[str, int] = {}
        self.plan: Plan[str] = Plan({}, 1.0)
        self.plans: list[tuple[float, Plan[str]]] = []
        self._owed: dict[str, float] = {}

    def run(self, seconds: float, per_second: dict[str, float], keep: float) -> dict[str, float]:
        """Runs, and returns how many of each type were kept."""
        kept: dict[str, float] = {}
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            for name, rate in per_second.items():
                self._owed[name] = self._owed.get(name, 0.0) + rate / 10
                whole = int(self._owed[name] + 1e-9)
                self._owed[name] -= whole
                self.counts[name] = self.counts.get(name, 0) + whole
                kept[name] = kept.get(name, 0.0) + whole * LADDER[self.plan.rungs.get(name, 0)]
            plan = self.rates.update(self.now, self.counts, keep)
            if plan is not None:
                self.plan = plan
                self.plans.append((self.now, plan))
        return kept


CALM = {"view": 1000.0, "list": 300.0, "scroll": 200.0, "login": 5.0, "error": 0.5}


def test_rates_are_there_when_they_are_needed() -> None:
    traffic = Traffic()
    traffic.run(20, CALM, 1.0)
    kept = traffic.run(5, CALM, 0.25)
    assert sum(kept.values()) <= 0.25 * 5 * sum(CALM.values()) + 0.1 * sum(CALM.values())
    assert kept["login"] == 25
    first = next(at for at, plan in traffic.plans if plan.kept < 1)
    assert first == pytest.approx(20.1)


def test_without_a_window_yet_the_first_moments_are_one() -> None:
    traffic = Traffic()
    traffic.run(1, CALM, 0.25)
    assert traffic.plans[0][0] == pytest.approx(0.2)
    assert traffic.plan.kept <= 0.25


def test_twice_the_traffic_is_seen_early() -> None:
    traffic = Traffic()
    traffic.run(31, CALM, 0.25)
    before = len(traffic.plans)
    surge = {**CALM, "view": 10_000.0}
    traffic.run(2, surge, 0.25)
    assert traffic.plans[before][0] < 32
    kept = traffic.run(5, surge, 0.25)
    assert sum(kept.values()) <= 1.02 * 0.25 * 5 * sum(surge.values())


def test_a_new_type_at_nine_tenths_starves_nobody() -> None:
    traffic = Traffic()
    traffic.run(31, CALM, 0.25)
    flood = {**CALM, "new": 9 * sum(CALM.values())}
    at_once = traffic.run(1, flood, 0.05)
    kept = traffic.run(10, flood, 0.05)
    assert at_once["new"] < 0.7 * flood["new"]  # whole for the moments in which it is unknown
    assert sum(kept.values()) <= 1.05 * 0.05 * 10 * sum(flood.values())
    assert kept["login"] == pytest.approx(50)
    assert kept["error"] == pytest.approx(5, abs=1)
    assert kept["scroll"] / 2000 > kept["new"] / 10 / flood["new"]


def test_types_that_are_exchanged_are_seen_early_though_the_total_is_the_same() -> None:
    traffic = Traffic()
    traffic.run(31, CALM, 0.1)
    exchanged = {**CALM, "other": CALM["view"]}
    del exchanged["view"]
    at_once = traffic.run(0.5, exchanged, 0.1)
    kept = traffic.run(5, exchanged, 0.1)
    assert at_once["other"] > 0.3 * 0.5 * exchanged["other"]  # unknown, so whole, for the first moments
    assert sum(kept.values()) <= 1.1 * 0.1 * 5 * sum(exchanged.values())


def test_tightened_at_once_relaxed_slowly_and_not_for_a_trifle() -> None:
    traffic = Traffic()
    traffic.run(20, CALM, 0.5)
    begun = len(traffic.plans)
    for keep in (0.5, 0.49, 0.51, 0.5):
        traffic.run(0.2, CALM, keep)
    assert len(traffic.plans) == begun
    traffic.run(0.1, CALM, 0.3)
    assert len(traffic.plans) == begun + 1
    traffic.run(2.8, CALM, 0.6)
    assert len(traffic.plans) == begun + 1
    traffic.run(0.3, CALM, 0.6)
    assert len(traffic.plans) == begun + 2


def test_what_is_gone_is_forgotten_and_silence_is_no_absence() -> None:
    rates: TypeRates[str] = TypeRates(1 / 64, 0.0)
    counts = {"view": 0, "once": 0}
    plans = []

    def window(**came: int) -> None:
        for name, n in came.items():
            counts[name] += n
        plans.append(rates.update(15.0 * (len(plans) + 1), counts, 1.0))

    window(view=50, once=1)
    for _ in range(3):
        window()  # nothing came at all
    for _ in range(3):
        window(view=50)
    window(view=50, once=1)
    assert [plan is not None and (plan.gone, "once" in plan.rungs) for plan in plans] == [
        ((), True),
        ((), True),
        ((), True),
        ((), True),
        ((), True),
        (("once",), False),
        ((), False),
        ((), True),
    ]


def test_error_where_events_are_sampled_by_themselves() -> None:
    """pressure.md, simulated: p = 1/8, 0.43 % with 336,000 events."""
    assert relative_error([(336_000, 1 / 8)]) == pytest.approx(0.0046, abs=0.0001)
    assert relative_error([(100, 1.0), (0, 0.5)]) == 0
    assert relative_error([]) == 0
    assert relative_error([(100, 1 / 2), (100, 1 / 4)]) == pytest.approx(math.sqrt(100 + 300) / 200)


def test_error_of_the_plan_in_force() -> None:
    traffic = Traffic()
    assert traffic.rates.predicted_error(60) == 0
    traffic.run(20, CALM, 1.0)
    assert traffic.rates.predicted_error(60) == 0
    traffic.run(1, CALM, 0.1)
    strata = [(60 * rate, LADDER[traffic.plan.rungs[name]]) for name, rate in CALM.items()]
    assert traffic.rates.predicted_error(60) == pytest.approx(relative_error(strata), rel=0.01)
    assert traffic.rates.predicted_error(240) == pytest.approx(traffic.rates.predicted_error(60) / 2)


def test_error_where_keys_are_sampled_is_that_of_the_double_sum() -> None:
    rng = random.Random(3)
    rungs = [0, 2, 5, 12]
    keys = [[rng.randrange(5) for _ in rungs] for _ in range(50)]
    variance = sum(
        a * b * (1 / max(LADDER[i], LADDER[j]) - 1)
        for key in keys
        for a, i in zip(key, rungs, strict=True)
        for b, j in zip(key, rungs, strict=True)
    )
    moments = [
        sum(sum(n for n, rung in zip(key, rungs, strict=True) if rung >= at) ** 2 for key in keys)
        for at in range(len(LADDER))
    ]
    events = sum(map(sum, keys))
    assert relative_error_by_key(events, moments) == pytest.approx(math.sqrt(variance) / events)
    assert relative_error_by_key(0, moments) == 0
    # One rate and keys of one event: as above.
    assert relative_error_by_key(1000, [1000.0] * 5 + [0.0] * 8) == pytest.approx(relative_error([(1000, 1 / 4)]))
