"""tidegate's pressure as anybody can see it: what `/metrics` says, read while the demo runs."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tidegate import probes
from tidegate.pressure.orders import Rung
from tidegate.types import CLASSES

if TYPE_CHECKING:
    from tidegate.demo.children import Child

LOOK_SECONDS: Final = 0.5  # between two questions; the answer is up to a second old
_ANSWER_SECONDS: Final = 0.5
_ADDRESS = re.compile(r"ops endpoints are there .*\baddress=(\S+):(\d+)")
_SAMPLE = re.compile(r'^tidegate_(\w+?)(?:\{class="(\w+)"\})? (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pulse:
    """One look.

    Attributes:
        parked: events that wait in the parking topic.
        offered: what comes, events/s; before anything is done about it.
        service: what the shop could take, events/s, as tidegate sees it; None: not measured yet.
        keep: share of each class that there is room for.
    """

    rung: Rung
    parked: int
    offered: float
    service: float | None
    keep: tuple[float, ...]


def read(text: str) -> Pulse:
    """A pulse out of Prometheus' text format. Raises KeyError where it is not tidegate's."""
    found = {(name, label): float(value) for name, label, value in _SAMPLE.findall(text)}
    return Pulse(
        rung=Rung(int(found["ladder_rung", ""])),
        parked=round(found["parked_records", ""]),
        offered=sum(found.get(("offered_records_per_second", klass.label), 0.0) for klass in CLASSES),
        service=found.get(("service_records_per_second", "")),
        keep=tuple(found.get(("keep_share", klass.label), 1.0) for klass in CLASSES),
    )


class Gauge:
    """Asks the tidegate that runs as `child`. Where its log does not say where (TIDEGATE_LOG_LEVEL=warning), or it has
    no time to answer, there is no news: the demo does not depend on it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._address: probes.Address | None = None
        self._asked_at = float("-inf")

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
            return read(text) if status == 200 else None
        except (OSError, KeyError, ValueError):
            return None
