"""From the table to Prometheus text: a custom collector, and the cap on series.

A family has at most `SERIES_CAP` series. Further ones, in the order in which they appear, are added up in one whose
`topic` (or `reason`) is `other`; which ones have a series of their own does not change while they exist, or a counter
would jump. prometheus_client is imported at the first scrape, off the loop: starting up does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from tidegate.ops.metrics import TABLE, Family, Histogram, Series
from tidegate.ops.snapshot import Snapshot

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SERIES_CAP = 1000
OTHER = "other"
# Room within the cap for the series of `other` itself: 4 classes × 6 dispositions, and a few to spare.
_RESERVED = 32
_OPEN_ENDED = ("topic", "partition", "reason")  # labels whose values come from outside


class Capped:
    """One family's series over time: which have their own, and what counters showed last."""

    def __init__(self, family: Family, cap: int = SERIES_CAP) -> None:
        self._family = family
        self._own = cap - _RESERVED
        self._kept: set[tuple[str, ...]] = set()
        self._shown: dict[tuple[str, ...], float] = {}

    def series(self, found: Iterable[Series]) -> dict[tuple[str, ...], float]:
        """Equal labels added up, the cap kept, counters never less than before (a hold that ends between two reads
        of its clock would look like a restart)."""
        found = list(found)
        self._kept &= {labels for labels, _ in found}
        out: dict[tuple[str, ...], float] = {}
        for labels, value in found:
            if labels not in self._kept:
                if len(self._kept) < self._own:
                    self._kept.add(labels)
                else:
                    labels = self._other(labels)
            out[labels] = out.get(labels, 0.0) + value
        if self._family.kind == "counter":
            out = {labels: max(value, self._shown.get(labels, 0.0)) for labels, value in out.items()}
            self._shown = out
        return out

    def _other(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        names = self._family.labels
        return tuple(OTHER if name in _OPEN_ENDED else value for name, value in zip(names, labels, strict=True))


class Exposition:
    """Renders snapshots. One thread at a time."""

    def __init__(self, table: Iterable[Family | Histogram] = TABLE, cap: int = SERIES_CAP) -> None:
        table = tuple(table)
        self._rows = [(family, Capped(family, cap)) for family in table if isinstance(family, Family)]
        self._histograms = [family for family in table if isinstance(family, Histogram)]
        self._snapshot: Snapshot | None = None
        self._registry: CollectorRegistry | None = None

    def render(self, snapshot: Snapshot) -> bytes:
        """The snapshot in Prometheus text format 0.0.4, with the process's own figures."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        if self._registry is None:
            self._registry = CollectorRegistry()
            self._registry.register(self)
            ProcessCollector(registry=self._registry)
        self._snapshot = snapshot
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: the registry would otherwise ask `collect` for names when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's face of a custom collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        assert self._snapshot is not None
        for family, capped in self._rows:
            make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = make(family.name, family.help, labels=family.labels)
            for labels, value in capped.series(family.read(self._snapshot)).items():
                metric.add_metric(labels, value)
            yield metric
        for histogram in self._histograms:
            yield _histogram(histogram, self._snapshot)


def _histogram(family: Histogram, snapshot: Snapshot) -> Metric:
    from prometheus_client.core import HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    from tidegate.core.delays import BOUNDS_SECONDS

    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    bounds = [floatToGoString(bound) for bound in (*BOUNDS_SECONDS, math.inf)]  # type: ignore[no-untyped-call]
    for labels, (counts, total) in family.read(snapshot):
        metric.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
    return metric
