"""The JSON summary of a run: one line, the last of stdout."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.core.ledger import Ledger


def summary(ledger: Ledger) -> dict[str, Any]:
    """What this process did.

    ``seconds`` run from the first record read to the last settled, 0 where there was none. ``cpu_seconds`` are of
    the whole process since it was started, ``peak_rss_bytes`` its largest resident set. ``deferred`` counts events
    that are still parked.
    """
    classes = ledger.totals()
    first_ns, last_ns = ledger.times()
    return {
        "records": sum(row["polled"] for row in classes.values()),
        "seconds": round(max(0, last_ns - first_ns) / 1e9, 6) if first_ns else 0.0,
        "cpu_seconds": round(time.process_time(), 6),
        "peak_rss_bytes": peak_rss_bytes(),
        "classes": classes,
    }


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
