"""tidegate's pressure as anybody can see it: what `/metrics` says, read while the demo runs."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families

from tidegate import probes
from tidegate.pressure.orders import Rung
from tidegate.types import CLASS_LABELS, CLASSES

if TYPE_CHECKING:
    from tidegate.demo.children import Child

LOOK_SECONDS: Final = 0.5  # between two questions; the answer is up to a second old
_ANSWER_SECONDS: Final = 0.5
_ADDRESS = re.compile(r"ops endpoints are there .*\baddress=(\S+):(\d+)")
_PREFIX = "tidegate_"

Buckets = tuple[tuple[float, float], ...]  # (upper bound in seconds, events at or below it), rising


@dataclass(frozen=True, slots=True)
class Pulse:
    """One look. Tuples are by class.

    Attributes:
        parked: events that wait in the parking topic.
        offered: what comes, events/s; before anything is done about it.
        service: what the shop could take, events/s, as tidegate sees it; None: not measured yet.
        busy: how busy the shop was kept, 0 to 1; None: not measured.
        keep: share of each class that there is room for.
        buffered: events in memory that no request has yet.
        in_flight: events in requests.
        held: (reason, class) of each topic that is not read for now; the class may be "mixed".
        delivered: events that the shop has acknowledged so far.
        ages: how old they were then.
    """

    rung: Rung
    parked: int
    offered: tuple[float, ...]
    service: float | None
    keep: tuple[float, ...]
    busy: float | None = None
    buffered: tuple[int, ...] = (0,) * len(CLASSES)
    in_flight: tuple[int, ...] = (0,) * len(CLASSES)
    held: tuple[tuple[str, str], ...] = ()
    delivered: tuple[int, ...] = (0,) * len(CLASSES)
    ages: tuple[Buckets, ...] = field(default=((),) * len(CLASSES), repr=False)


class _Metrics:
    """Samples of Prometheus' text format, by name."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def find(self, name: str) -> list[tuple[dict[str, str], float]]:
        return self._samples.get(_PREFIX + name, [])

    def one(self, name: str) -> float | None:
        found = self.find(name)
        return found[0][1] if found else None

    def by_class(self, name: str, default: float = 0.0) -> tuple[float, ...]:
        values = {labels["class"]: value for labels, value in self.find(name)}
        return tuple(values.get(label, default) for label in CLASS_LABELS)

    def counts(self, name: str) -> tuple[int, ...]:
        return tuple(round(value) for value in self.by_class(name))

    def delivered(self) -> tuple[int, ...]:
        total = dict.fromkeys(CLASS_LABELS, 0.0)
        for labels, value in self.find("records_total"):
            if labels.get("disposition") == "delivered" and labels["class"] in total:
                total[labels["class"]] += value
        return tuple(round(value) for value in total.values())

    def buckets(self, name: str) -> tuple[Buckets, ...]:
        found: dict[str, list[tuple[float, float]]] = {label: [] for label in CLASS_LABELS}
        for labels, value in self.find(f"{name}_bucket"):
            found[labels["class"]].append((float(labels["le"]), value))
        return tuple(tuple(sorted(one)) for one in found.values())


def read(text: str) -> Pulse:
    """A pulse out of Prometheus' text format. Raises ValueError where it is not tidegate's."""
    metrics = _Metrics(text)
    rung, parked = metrics.one("ladder_rung"), metrics.one("parked_records")
    if rung is None or parked is None:
        raise ValueError("no metrics of tidegate")
    return Pulse(
        rung=Rung(int(rung)),
        parked=round(parked),
        offered=metrics.by_class("offered_records_per_second"),
        service=metrics.one("service_records_per_second"),
        keep=metrics.by_class("keep_share", 1.0),
        busy=metrics.one("target_utilisation"),
        buffered=metrics.counts("buffer_records"),
        in_flight=metrics.counts("in_flight_records"),
        held=tuple((labels["reason"], labels["class"]) for labels, value in metrics.find("lanes_held") if value),
        delivered=metrics.delivered(),
        ages=metrics.buckets("delivery_seconds"),
    )


class Gauge:
    """Asks the tidegate that runs as `child`. Where its log does not say where (TIDEGATE_LOG_LEVEL=warning), or it has
    no time to answer, there is no news: the demo does not depend on it.

    Attributes:
        last: the last answer; None: none yet.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self._address: probes.Address | None = None
        self._asked_at = float("-inf")
        self.last: Pulse | None = None

    def look(self) -> Pulse | None:
        """What is new; None: nothing."""
        now = time.monotonic()
        if now - self._asked_at < LOOK_SECONDS:
            return None
        self._asked_at = now
        if self._address is None:
            if (said := self._child.logged(_ADDRESS)) is None:
                return None
            self._address = said[1], int(said[2])
        try:
            status, text = probes.ask(self._address, "GET", "/metrics", _ANSWER_SECONDS)
            if status == 200:
                self.last = read(text)
                return self.last
        except (OSError, ValueError):
            pass
        return None
