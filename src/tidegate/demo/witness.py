"""Who says what has come to the app: the demo's own shop, or, where the app is the user's, tidegate itself."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from tidegate.types import CLASSES

if TYPE_CHECKING:
    from tidegate.demo.gauge import Buckets, Gauge

_RECENT_LOOKS = 6  # at two a second: about what the shop takes for "now"


class Witness(Protocol):
    """What ``main`` asks for. ``demo.client.ShopClient`` is one."""

    def stats(self) -> dict[str, Any]:
        """As ``shop.Counts.report``, and ``busy``: requests not yet answered."""
        ...

    def seen(self) -> bytes | None:
        """By event number, 1 where the event was worked off; None: nobody knows."""
        ...


def quantile(buckets: Buckets, share: float, before: Buckets = ()) -> float | None:
    """Milliseconds, from a cumulative histogram: in a straight line within the bucket, as Prometheus does it.

    Args:
        before: an earlier reading; what was in it does not count.
    """
    counts = [count - (before[at][1] if before else 0.0) for at, (_, count) in enumerate(buckets)]
    if not counts or counts[-1] <= 0:
        return None
    wanted = share * counts[-1]
    low = below = 0.0
    for (bound, _), count in zip(buckets, counts, strict=True):
        if count >= wanted:
            if bound == float("inf"):
                return low * 1e3
            return (low + (bound - low) * (wanted - below) / max(count - below, 1e-9)) * 1e3
        low, below = bound, count
    return low * 1e3


class AppWitness:
    """An app that nobody can ask: what tidegate's own metrics say of it. Nothing in here proves that nothing was
    lost behind the app's 2xx."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._ages: deque[tuple[Buckets, ...]] = deque(maxlen=_RECENT_LOOKS)

    def stats(self) -> dict[str, Any]:
        """The shape of the shop's, out of the gauge's last look; ``max_ms`` is not known."""
        pulse = self._gauge.last
        if pulse is not None and (not self._ages or self._ages[-1] != pulse.ages):
            self._ages.append(pulse.ages)
        classes = {}
        for klass in CLASSES:
            ages = pulse.ages[klass] if pulse is not None else ()
            first = self._ages[0][klass] if len(self._ages) > 1 else ()
            classes[klass.label] = {
                "delivered": pulse.delivered[klass] if pulse is not None else 0,
                "p50_ms": quantile(ages, 0.5),
                "p99_ms": quantile(ages, 0.99),
                "max_ms": None,
                "recent_ms": quantile(ages, 0.5, first),
                "recent_p99_ms": quantile(ages, 0.99, first),
            }
        busy = 0 if pulse is None else sum(pulse.in_flight)
        return {"duplicates": 0, "misjudged": 0, "unreadable": 0, "busy": busy, "classes": classes}

    def seen(self) -> None:
        """Nobody knows."""
        return
