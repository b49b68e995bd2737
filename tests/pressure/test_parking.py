"""How fast parked records may come back, and when parking refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressure.views import lane, view
from tidegate.pressure.parking import FIRST_RATE, Emptying, Parking
from tidegate.pressure.rates import Growth, weight

CALM = view(lane((30, 100, 0, 270)))  # 400 of 1000 a second


def settle(emptying: Emptying, parking: Parking, ticks: int = 100) -> float:
    return [emptying.update(0.1, CALM, parking, calm=True) for _ in range(ticks)][-1]


def test_replaying_leaves_the_headroom() -> None:
    assert settle(Emptying(0.2), Parking(True, records=1e6)) == pytest.approx(400, rel=0.01)
    assert settle(Emptying(0.7), Parking(True, records=1e6)) == 0.0


def test_it_begins_gently_and_ends_at_once() -> None:
    emptying, parking = Emptying(), Parking(True, records=1e6)
    assert emptying.update(0.1, CALM, parking, calm=True) < 50
    settle(emptying, parking)
    assert emptying.update(0.1, CALM, parking, calm=False) == 0.0


def test_a_target_that_nothing_is_known_of_is_tried_with_little() -> None:
    """After a restart only what is parked may be left to be delivered: without it nothing would ever be known."""
    emptying, parking, fresh = Emptying(), Parking(True, records=1e6), view(lane((0, 0, 0, 0)), service=None)
    assert emptying.update(0.1, fresh, parking, calm=True) == FIRST_RATE
    assert emptying.update(0.1, fresh, parking, calm=False) == 0.0
    assert emptying.update(0.1, fresh, Parking(True), calm=True) == 0.0


def test_a_queue_is_served_first() -> None:
    emptying, parking = Emptying(), Parking(True, records=1e6)
    settle(emptying, parking)
    waiting = view(lane((30, 100, 0, 270)), queued=(0, 0, 0, 300))
    assert emptying.update(0.1, waiting, parking, calm=True) == pytest.approx(100, rel=0.01)


def test_the_time_to_empty_goes_by_the_calm_before() -> None:
    emptying = Emptying(0.2, longest_seconds=3600)
    settle(emptying, Parking(True))
    surge = view(lane((300, 1000, 0, 2700)))
    emptying.update(0.1, surge, Parking(True, records=400 * 3000), calm=False)
    assert emptying.seconds == pytest.approx(3000, rel=0.01)
    assert not emptying.refused(False, Parking(True, records=400 * 3000))
    assert emptying.refused(True, Parking(True, records=400 * 3000))  # until it is under four fifths
    emptying.update(0.1, surge, Parking(True, records=400 * 4000), calm=False)
    assert emptying.refused(False, Parking(True, records=400 * 4000))


def test_the_producers_queue_refuses_at_a_half_and_accepts_at_a_quarter() -> None:
    emptying = Emptying()
    assert [emptying.refused(before, Parking(True, queue=0.4)) for before in (False, True)] == [False, True]
    assert [emptying.refused(True, Parking(True, queue=share)) for share in (0.26, 0.24)] == [True, False]
    assert emptying.refused(False, Parking(True, queue=0.51))
    assert emptying.refused(False, Parking(False))


SHARE, RATE = st.floats(0, 1), st.floats(0, 1e6)
LOOKS = st.lists(
    st.tuples(st.floats(0, 5), RATE, st.none() | RATE, st.integers(0, 10**6), RATE, st.booleans()), max_size=40
)


@given(SHARE, LOOKS)
def test_whatever_comes(headroom: float, looks: Sequence[tuple[float, float, float | None, int, float, bool]]) -> None:
    emptying = Emptying(headroom)
    for seconds, offered, service, queued, parked, calm in looks:
        seen = view(lane((0, 0, 0, offered)), service=service, queued=(0, 0, 0, queued))
        rate = emptying.update(seconds, seen, Parking(True, records=parked), calm)
        most = FIRST_RATE if service is None else (1 - headroom) * service - offered
        assert 0 <= rate <= max(0.0, most - queued)
        assert rate == 0 or (calm and parked > 0)
        assert emptying.seconds >= 0
        assert not math.isnan(emptying.seconds)


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0.01, 1e4))
def test_a_weight_goes_by_time_not_by_ticks(first: float, second: float, tau: float) -> None:
    parts = 1 - (1 - weight(first, tau)) * (1 - weight(second, tau))
    assert weight(first + second, tau) == pytest.approx(parts, abs=1e-9)


@given(st.lists(st.integers(0, 10**9)))
def test_growth_adds_up_and_never_goes_back(totals: list[int]) -> None:
    growth = Growth()
    grown = [growth.update(total) for total in totals]
    assert all(n >= 0 for n in grown)
    if totals == sorted(totals) and totals:
        assert sum(grown) == totals[-1] - totals[0]
