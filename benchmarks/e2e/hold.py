"""The drain rate after the app was away and its topic was held, against the same drain with the app there.

Twice: with a topic of bulk events, which the control holds once the app is down, and with the default rules, where the
reader holds when a ring is full. The app's clock counts, from its first record to its last, so neither a start nor the
wait for the next try at a dead app is in it; what was buffered while the app was away counts like the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.e2e import rates
from benchmarks.e2e.runner import Contender, medians, report, run, tidegate


@contextlib.contextmanager
def late_app(port: int, seconds: float) -> Iterator[str]:
    """The app, `seconds` from now; its URL."""
    made: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, str(rates.HERE / "app.py"), str(port)]
    timer = threading.Timer(seconds, lambda: made.append(subprocess.Popen(command)))
    timer.start()
    try:
        yield f"http://127.0.0.1:{port}/events"
    finally:
        timer.cancel()
        timer.join()
        for process in made:
            process.kill()
            process.wait()


def turn(contender: Contender, values: dict[str, str], away_seconds: float, timeout: float) -> dict[str, Any]:
    """One drain whose app comes after `away_seconds`; rates by the app's clock."""
    port, begun = rates.free_port(), time.time()
    with late_app(port, away_seconds) as url:
        row = run(contender, {**values, "sink": url}, timeout)
        told = json.loads(urllib.request.urlopen(url, timeout=30).read())
    if told["records"] < int(values["records"]):
        raise RuntimeError(f"{contender.name}: the app has {told['records']} of {values['records']} records")
    seconds = told["last"] - told["first"]
    return {
        **row,
        "away_seconds": away_seconds,
        "first_record_seconds": told["first"] - begun - away_seconds,
        "seconds": seconds,
        "records_per_second": told["records"] / seconds,
    }


def main(bootstrap: str, options: argparse.Namespace, out: Path | None) -> str:
    """All four in turn, `options.reps` times over, the app away for `options.away` seconds. Returns the topic."""
    topic = str(options.topic or rates.filled(bootstrap, options.records))
    values = {"bootstrap": bootstrap, "topic": topic, "records": str(options.records)}
    kinds: dict[str, dict[str, str]] = {"bulk": {"TIDEGATE_BULK": f"topic:{topic}"}, "mixed": {}}
    rows = []
    for rep in range(options.reps):
        for kind, settings in kinds.items():
            for name, away in (("app there", 0.0), (f"app away for {options.away:g} s", options.away)):
                contender = tidegate(f"{kind}, {name}", "{sink}", TIDEGATE_LOG_LEVEL="error", **settings)
                row = {"rep": rep, **turn(contender, values, away, options.timeout + away)}
                rows.append(row)
                print(f"  {rep + 1}/{options.reps} {contender.name:28} {row['records_per_second'] / 1e3:6.0f} k/s")
    table = medians(rows)
    rate = [row["records_per_second"] for row in table.values()]
    ratios = {kind: round(rate[2 * n + 1] / rate[2 * n], 3) for n, kind in enumerate(kinds)}
    report(f"hold: {options.records} events, drained after the app was away", rows, "", {"ratios": ratios}, out)
    print(f"after a hold : plain = {ratios}")
    return topic
