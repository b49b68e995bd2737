"""High and low marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.pressure.marks import Level, Marks

MARKS = Marks(0.8, 0.5)


def test_between_the_marks_what_was_goes_on() -> None:
    for before in (False, True):
        assert MARKS.stands(before, Level(65, 100), 0.1) is before
        assert MARKS.stands(before, Level(80, 100), 0.1)
        assert not MARKS.stands(before, Level(50, 100), 0.1)


def test_a_hold_ends_early_enough_that_the_buffer_does_not_run_dry() -> None:
    """30 units go between two looks: a hold that waited for the low mark could find 20 and then nothing."""
    level = Level(62, 100, drained=305)
    assert MARKS.low_for(level, 0.1) == pytest.approx(0.61)
    assert MARKS.stands(True, level, 0.1)
    assert not MARKS.stands(True, Level(60, 100, drained=305), 0.1)


def test_what_drains_within_two_looks_is_not_held() -> None:
    assert not MARKS.stands(False, Level(100, 100, drained=400), 0.1)
    assert not MARKS.stands(True, Level(100, 100, drained=400), 0.1)


def test_nothing_is_never_full() -> None:
    assert Level(5, 0).share == 0.0
    assert not MARKS.stands(True, Level(5, 0, 3), 0.1)


@pytest.mark.parametrize(("high", "low"), [(0.5, 0.5), (0.4, 0.5), (0.5, -0.1)])
def test_marks_are_in_order(high: float, low: float) -> None:
    with pytest.raises(ValueError, match="out of order"):
        Marks(high, low)


@given(st.floats(1, 1e9), st.floats(0, 1), st.floats(0, 1e10), st.floats(0.01, 1), st.floats(0, 1))
def test_a_hold_never_lets_the_buffer_run_dry(
    capacity: float, share: float, drained: float, tick: float, jitter: float
) -> None:
    """As long as the drain is what it was and the next look comes no later than after two ticks."""
    level = Level(share * capacity, capacity, drained)
    if MARKS.stands(True, level, tick):
        assert level.used - drained * tick * (1 + jitter) >= -1e-6 * capacity
