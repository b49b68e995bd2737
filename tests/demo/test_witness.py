"""What is known of an app that is not the demo's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from tidegate.demo.gauge import Gauge, Pulse
from tidegate.demo.witness import AppWitness, quantile
from tidegate.pressure.orders import Rung

INF = float("inf")


@pytest.mark.parametrize(
    ("buckets", "share", "milliseconds"),
    [
        ((), 0.5, None),
        (((0.1, 0.0), (INF, 0.0)), 0.5, None),
        (((0.1, 10.0), (INF, 10.0)), 0.5, 50.0),
        (((0.1, 0.0), (0.2, 10.0), (INF, 10.0)), 0.5, 150.0),
        (((0.1, 5.0), (0.2, 10.0), (INF, 10.0)), 0.99, 198.0),
        (((0.1, 5.0), (INF, 10.0)), 0.99, 100.0),  # beyond the last bound no more is known
    ],
)
def test_a_quantile_of_a_histogram(
    buckets: tuple[tuple[float, float], ...], share: float, milliseconds: float | None
) -> None:
    assert quantile(buckets, share) == pytest.approx(milliseconds) if milliseconds else quantile(buckets, share) is None


def test_what_was_before_does_not_count() -> None:
    before = ((0.1, 100.0), (0.2, 100.0), (INF, 100.0))
    now = ((0.1, 100.0), (0.2, 110.0), (INF, 110.0))
    assert quantile(now, 0.5, before) == pytest.approx(150.0)
    assert quantile(now, 0.5, now) is None


def test_an_app_s_figures_are_tidegate_s() -> None:
    gauge = SimpleNamespace(last=None)
    witness = AppWitness(cast("Gauge", gauge))
    assert witness.seen() is None
    assert witness.stats()["classes"]["bulk"] == {
        "delivered": 0,
        "p50_ms": None,
        "p99_ms": None,
        "max_ms": None,
        "recent_ms": None,
        "recent_p99_ms": None,
    }
    for at in range(20):
        ages = ((0.1, 10.0 * at), (INF, 10.0 * at)) if at < 10 else ((0.1, 90.0), (INF, 90.0 + at))
        gauge.last = Pulse(
            Rung.NORMAL,
            0,
            (0.0,) * 4,
            None,
            (1.0,) * 4,
            delivered=(0, 0, 0, at),
            in_flight=(1, 0, 0, 2),
            ages=(ages,) * 4,
        )
        stats = witness.stats()
    assert stats["busy"] == 3
    assert stats["classes"]["bulk"]["delivered"] == 19
    assert stats["classes"]["bulk"]["p50_ms"] == pytest.approx(1000 * 0.1 * 54.5 / 90)
    assert stats["classes"]["bulk"]["recent_ms"] == 100.0, "only what came lately"
