"""Views for tests: one mixed lane, and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.pressure.signals import LaneView, View


def lane(
    offered: Sequence[float] = (0, 0, 0, 0),
    *,
    age: float = 0.0,
    lag: float = 0.0,
    span: float = 0.0,
    waits: bool = False,
) -> LaneView:
    total = sum(offered) or 1.0
    return LaneView(
        tuple(map(float, offered)), sum(offered), lag, age, tuple(n / total for n in offered), waits, span
    )  # fmt: skip


def view(
    *lanes: LaneView,
    service: float | None = 1000.0,
    capacity: float | None = None,
    queued: Sequence[int] = (0, 0, 0, 0),
    rings: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
) -> View:
    known = service if capacity is None else capacity
    return View(service, known, 0.0, 1.0, tuple(queued), tuple(rings), dict(enumerate(lanes)))
