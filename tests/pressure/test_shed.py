"""The shed law and the notches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.pressure.notches import FLOORS, NOTCHES, Notch, above, below
from tidegate.pressure.shed import H_SECONDS, HIGH_DELAY_SECONDS, Demand, Share, shares

RATES = st.floats(0, 1e6)
DEMANDS = st.lists(
    st.builds(Demand, offered=RATES, queued=RATES, sheddable=st.booleans(), waiting=RATES, lag=RATES),
    min_size=4, max_size=4,
)  # fmt: skip


def demands(offered: tuple[float, ...], queued: tuple[float, ...] = (0, 0, 0, 0)) -> list[Demand]:
    return [Demand(n, q, klass > 0) for klass, (n, q) in enumerate(zip(offered, queued, strict=True))]


def keeps(service: float, *args: tuple[float, ...]) -> list[float]:
    return [round(share.keep, 6) for share in shares(service, demands(*args))]


def test_what_is_left_goes_to_the_higher_class_first() -> None:
    # 1000/s and a queue to be filled to 250 ms of work: 1250; critical 300, high 200, normal 500, 250 for bulk.
    # High may fill it to two seconds: 3000 less critical.
    assert keeps(1000, (300, 200, 500, 1000)) == [1, 1, 1, 0.25]
    assert keeps(1000, (300, 1900, 500, 1000)) == [1, 1, 0, 0]
    assert keeps(1000, (300, 5400, 500, 1000)) == [1, 0.5, 0, 0]
    assert keeps(1000, (3000, 200, 500, 1000)) == [1, 0, 0, 0]


def test_a_queue_at_its_goal_leaves_exactly_the_rate() -> None:
    assert keeps(1000, (300, 0, 0, 2800), (0, 0, 0, 250)) == [1, 1, 1, 0.25]


def test_a_queue_takes_from_its_own_class_and_those_below_only() -> None:
    assert keeps(1000, (100, 400, 400, 1000), (0, 0, 0, 50_000)) == [1, 1, 1, 0]
    assert keeps(1000, (100, 400, 400, 1000), (0, 0, 900, 0)) == [1, 1, 0, 0]
    assert keeps(1000, (100, 400, 400, 1000), (2900, 0, 0, 0)) == [1, 0, 0, 0]
    assert keeps(1000, (100, 400, 400, 1000), (0, 2700, 0, 0)) == [1, 0.5, 0, 0]


def test_lanes_that_wait_get_their_part_as_a_rate_and_what_is_left_for_their_backlog() -> None:
    mixed = [
        Demand(100, 0, False),
        Demand(0, 0, True),
        Demand(50, 0, True, waiting=150, lag=10_000),
        Demand(500, 250, True, waiting=500, lag=10_000),
    ]
    found = shares(1000, mixed)
    assert found[2] == Share(1.0, 150 + 0.0, True)
    assert found[3].keep == pytest.approx(0.7)
    assert found[3].rate == pytest.approx(350)
    calm = shares(2000, mixed)
    assert [share.keep for share in calm] == [1, 1, 1, 1]
    assert calm[2].rate == pytest.approx(150 + 2500 - 100 - 200 - 1000 - 250)
    assert shares(1e6, mixed)[3] == Share(1.0, 500 + 10_000, False)


@given(st.floats(0, 1e6), DEMANDS)
def test_whatever_comes(service: float, found: list[Demand]) -> None:
    made = shares(service, found)
    let_in = 0.0
    for demand, share in zip(found, made, strict=True):
        assert 0 <= share.keep <= 1
        assert share.rate >= 0
        assert demand.sheddable or share.keep == 1
        let_in += share.keep * demand.offered + share.rate
    protected = sum(demand.offered + demand.waiting for demand in found if not demand.sheddable)
    most = max(protected, service * (1 + HIGH_DELAY_SECONDS / H_SECONDS))
    assert let_in <= most * (1 + 1e-9) + 1e-6  # nothing is let in beyond what can be served, but what is protected


@given(st.floats(1, 1e6), DEMANDS, st.floats(0, 1e6), st.integers(0, 3))
def test_more_of_one_class_never_lets_in_more_of_a_lower_one(
    service: float, found: list[Demand], more: float, klass: int
) -> None:
    before = shares(service, found)
    one = found[klass]
    raised = Demand(one.offered + more, one.queued, one.sheddable, one.waiting, one.lag)
    after = shares(service, [*found[:klass], raised, *found[klass + 1 :]])
    for lower in range(klass + 1, 4):
        assert after[lower].keep <= before[lower].keep + 1e-9
    if one.sheddable:
        for higher in range(klass):
            assert after[higher].keep == before[higher].keep


def test_the_notches_are_those_of_the_design() -> None:
    assert NOTCHES[:5] == (1, 3 / 4, 1 / 2, 3 / 8, 1 / 4)
    assert NOTCHES[-1] == 1 / 64
    assert list(NOTCHES) == sorted(NOTCHES, reverse=True)
    assert set(FLOORS.values()) <= set(NOTCHES)


@given(st.floats(0, 1), st.sampled_from(sorted(FLOORS.values())))
def test_the_notches_on_either_side(keep: float, floor: float) -> None:
    low, high = below(keep, floor), above(keep, floor)
    assert {low, high} <= set(NOTCHES)
    assert floor <= low <= high
    assert keep < floor or low - 1e-9 <= keep <= high + 1e-9
    assert not any(low < notch < high for notch in NOTCHES)


def test_two_notches_take_turns_by_the_queue() -> None:
    notch = Notch(1 / 64)
    assert notch.update(0.0, 0.6, queued_seconds=0.5) == 0.75
    assert notch.update(0.1, 0.6, queued_seconds=1.0) == 0.5
    assert notch.update(0.2, 0.6, queued_seconds=0.5) == 0.5
    assert notch.update(0.3, 0.6, queued_seconds=0.25) == 0.75


def test_it_is_lowered_at_once_and_raised_once_a_second() -> None:
    notch = Notch(1 / 64)
    assert [notch.update(t / 10, keep, 0.1) for t, keep in enumerate((0.1, 0.5, 0.1, 0.5, 0.5))] == [
        0.125, 0.5, 0.125, 0.125, 0.125,
    ]  # fmt: skip
    assert notch.update(1.2, 0.5, 0.1) == 0.5


def test_a_full_ring_drains_whatever_its_work_takes() -> None:
    assert Notch(1 / 64).update(0.0, 0.6, queued_seconds=0.5, room=0.4) == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5), st.floats(0, 1)), max_size=50))
def test_a_notch_never_leaves_the_ladder_nor_the_floor(looks: list[tuple[float, float, float]]) -> None:
    notch = Notch(1 / 8)
    for tick, (keep, queued, room) in enumerate(looks):
        p = notch.update(tick / 10, keep, queued, room)
        assert p in NOTCHES
        assert p >= 1 / 8
        assert p <= above(keep, 1 / 8)
