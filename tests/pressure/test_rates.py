"""Rates from counters."""

from __future__ import annotations

import pytest

from tidegate.pressure.rates import Drain


def test_the_highest_of_the_last_looks() -> None:
    drain = Drain(looks=3)
    assert drain.update(10.0, 5000) == 0.0
    assert drain.update(10.1, 5010) == pytest.approx(100)
    assert drain.update(10.2, 5110) == pytest.approx(1000)
    assert [round(drain.update(10.3 + n / 10, 5110)) for n in range(3)] == [1000, 1000, 0]


def test_a_clock_that_stands_and_a_counter_that_goes_back_are_no_rate() -> None:
    drain = Drain()
    drain.update(1.0, 100)
    assert drain.update(1.0, 900) == 0.0
    assert drain.update(2.0, 50) == 0.0
