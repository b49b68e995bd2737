"""The fit of a + b·records, and the least of the last minute."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.pressure.service_time import Baseline, ServiceTime, Window


def fit(fixed: float, per_record: float, sizes: list[int], windows: int = 10, noise: float = 0.0) -> ServiceTime:
    rng = Random(1)
    service = ServiceTime()
    for _ in range(windows):
        for n in sizes:
            service.add(False, n, (fixed + per_record * n) * (1 + noise * rng.uniform(-1, 1)))
        service.close()
    return service


@given(st.floats(0, 0.5), st.floats(1e-6, 0.1), st.lists(st.integers(1, 500), min_size=2, max_size=20))
def test_it_finds_the_slope_where_sizes_differ(fixed: float, per_record: float, sizes: list[int]) -> None:
    service = fit(fixed, per_record, sizes)
    assert service.per_record_most >= per_record * 0.999  # never too low
    if service.certain:
        assert service.per_record == pytest.approx(per_record, rel=0.01)


def test_with_one_size_everything_may_be_the_records_price() -> None:
    service = fit(0.05, 0.001, [50] * 10)
    assert not service.certain
    assert service.per_record == service.per_record_most == pytest.approx(0.1 / 50)


def test_what_was_enough_for_a_record_bounds_an_uncertain_price() -> None:
    service = ServiceTime()
    for _ in range(10):
        service.add(False, 50, 0.4)  # in a queue
    service.close(least=0.002)
    assert service.per_record == 0.002
    assert service.per_record_most == pytest.approx(0.008)


def test_noise_makes_it_uncertain_not_wrong() -> None:
    quiet, loud = fit(0.01, 0.001, [20, 40], noise=0.1), fit(0.01, 0.001, [38, 40], noise=0.9)
    assert quiet.certain
    assert quiet.per_record == pytest.approx(0.001, rel=0.2)
    assert not loud.certain


def test_a_queue_that_changes_from_window_to_window_is_not_the_price_of_a_record() -> None:
    """Where batches shrink while the queue grows, a line through all of them would fall."""
    service = ServiceTime()
    for queue, size in ((0.0, 100), (0.1, 50), (0.3, 25), (0.6, 12)):
        for n in (size, size // 2) * 5:
            service.add(False, n, 0.01 + queue + 0.001 * n)
        service.close()
    assert service.per_record == pytest.approx(0.001, rel=0.01)


def test_critical_that_waits_in_another_queue_does_not_tilt_the_line() -> None:
    service = ServiceTime()
    for _ in range(10):
        for n in (40, 20) * 5:
            service.add(False, n, 0.02 + 0.001 * n)
            service.add(True, 1, 0.08)
        service.close()
    assert service.per_record == pytest.approx(0.001, rel=0.01)


def test_a_window_in_which_the_target_changed_says_little() -> None:
    service = fit(0.01, 0.001, [40, 20] * 5)
    for n in [40] * 5 + [20] * 5:
        service.add(False, n, 0.01 + 0.001 * n + (0.2 if n == 20 else 0.0))
    service.close()
    assert service.per_record == pytest.approx(0.001, rel=0.1)


def test_a_price_that_changes_is_followed() -> None:
    service = fit(0.01, 0.001, [40, 20] * 5)
    for _ in range(60):
        for n in (40, 20) * 5:
            service.add(False, n, 0.01 + 0.002 * n)
        service.close()
    assert service.per_record == pytest.approx(0.002, rel=0.2)


def test_the_window_that_is_dropped_never_was() -> None:
    service = fit(0.01, 0.001, [40, 20])
    service.add(False, 1, 99.0)
    service.drop()
    service.add(False, 20, 0.03)
    assert service.close()[:3] == (1, 20, 0.03)


def test_what_is_expected_is_the_least_of_the_last_minute() -> None:
    baseline = Baseline(60.0)
    assert baseline.expected(10, 0.001, 0.001) is None
    for at, seconds in ((0.0, 0.015), (0.5, 0.012), (30.0, 0.02), (60.4, 0.03)):
        baseline.add(Window(10, 10, seconds, 0.0), 0.001, at)
    assert baseline.expected(10, 0.001, 0.001) == (pytest.approx(0.012), 0.5)
    assert baseline.least_share() == pytest.approx(0.0012)
    baseline.add(Window(10, 10, 0.03, 0.0), 0.001, 61.0)
    assert baseline.expected(10, 0.001, 0.001) == (pytest.approx(0.02), 30.0)
    baseline.clear()
    assert baseline.expected(10, 0.001, 0.001) is None


def test_an_uncertain_price_makes_what_is_expected_longer() -> None:
    baseline = Baseline(60.0)
    baseline.add(Window(10, 10, 0.02, 0.0), 0.001, 0.0)
    assert baseline.expected(20, 0.0005, 0.002) == (pytest.approx(0.04), 0.0)
    assert baseline.expected(4, 0.0005, 0.002) == (pytest.approx(0.017), 0.0)
    baseline.add(Window(10, 10, 0.02, 0.005), 0.001, 1.0)  # no less, with its error
    assert baseline.expected(10, 0.001, 0.001) == (pytest.approx(0.02), 0.0)
    assert baseline.expected(1, 1.0, 1.0)[0] == 0.0  # type: ignore[index]  # never below nothing
