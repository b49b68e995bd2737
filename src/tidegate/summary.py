"""The JSON summary of a run: one line, the last of stdout."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.types import CLASS_LABELS, Disposition

if TYPE_CHECKING:
    from tidegate.core.ledger import Ledger


def summary(ledger: Ledger, parking_topic: str | None = None) -> dict[str, Any]:
    """What this process did.

    ``seconds`` run from the first record read to the last settled, 0 where there was none. ``cpu_seconds`` are of
    the whole process since it was started, ``peak_rss_bytes`` its largest resident set. ``deferred`` counts events
    that are still parked; those that came back are among the delivered. ``replayed``, where any did, counts all that
    came back, also what an earlier process had parked.
    """
    books = ledger.counts()
    replayed = books.pop(parking_topic, {}) if parking_topic is not None else {}
    classes = totals(books.values())
    for label, row in replayed.items():
        for disposition in ("delivered", "expired"):
            own = min(row[disposition], classes[label]["deferred"])
            classes[label]["deferred"] -= own
            classes[label][disposition] += own
    first_ns, last_ns = ledger.times()
    back = sum(row["delivered"] for row in replayed.values())
    return {
        "records": sum(row["polled"] for row in classes.values()),
        **({"replayed": back} if back else {}),
        "seconds": round(max(0, last_ns - first_ns) / 1e9, 6) if first_ns else 0.0,
        "cpu_seconds": round(time.process_time(), 6),
        "peak_rss_bytes": peak_rss_bytes(),
        "classes": classes,
    }


def totals(books: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Counts by class and disposition, over several topics."""
    total = {label: dict.fromkeys(("polled", *(one.value for one in Disposition)), 0) for label in CLASS_LABELS}
    for classes in books:
        for label, row in classes.items():
            for name, n in row.items():
                total[label][name] += n
    return total


def peak_rss_bytes() -> int:
    """Largest resident set of this process so far.

    Linux carries ru_maxrss over from whatever process called exec, so a large parent would show here; VmHWM begins
    with the program.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
