"""What a contender says of itself: lines of JSON on stdout, or tidegate's /metrics and summary."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import time
import urllib.request
from typing import Any

from benchmarks.surge.payloads import TYPES

CLASS_OF = {"critical": "purchase", "high": "cart", "normal": "view", "bulk": "view"}  # by the built-in rules
DROPPED = ("sampled", "expired", "dead_lettered")  # dispositions after which nothing comes to the app
KEPT = re.compile(r"park|replay|defer|sampl|ladder|lane_held_seconds|congestions|keep_share|conservation")
SERIES = re.compile(r"^(tidegate_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
ASK_SECONDS = 1.0  # what a scrape costs counts as the contender's CPU


def series_of(text: str) -> dict[str, float]:
    """tidegate's series of one scrape, by name and labels as they are written."""
    return {f"{name}{{{labels}}}" if labels else name: float(value) for name, labels, value in SERIES.findall(text)}


def dropped_of(series: dict[str, float]) -> dict[str, int]:
    """Events by type of which tidegate says that they will never be delivered."""
    counts = dict.fromkeys(TYPES, 0)
    for key, value in series.items():
        labels = dict(LABEL.findall(key))
        if key.startswith("tidegate_records_total{") and labels.get("disposition") in DROPPED:
            counts[CLASS_OF[labels["class"]]] += int(value)
    return counts


def deferred_of(series: dict[str, float]) -> int:
    """Events that tidegate has in the parking topic, or had: as its counter says."""
    return int(
        sum(
            value
            for key, value in series.items()
            if key.startswith("tidegate_records_total{") and 'disposition="deferred"' in key
        )
    )


class Told(threading.Thread):
    """Listens to the process's stdout; asks /metrics where there is a port, at most once a second."""

    def __init__(self, process: subprocess.Popen[str], ops_port: str | None) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._url = None if ops_port is None else f"http://127.0.0.1:{ops_port}/metrics"
        self._asked, self._series, self._peaks = 0.0, dict[str, float](), dict[str, float]()
        self.deferred = 0  # the most so far
        self._last: dict[str, Any] = {}
        self.start()

    def run(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    self._last = found

    def dropped(self) -> dict[str, int]:
        """By type, so far."""
        if self._url is None:
            found = self._last.get("dropped", {})
            return {name: int(found.get(name, 0)) for name in TYPES}
        self._ask()
        return dropped_of(self._series)

    def _ask(self) -> None:
        if self._url is None or time.monotonic() - self._asked < ASK_SECONDS:
            return
        self._asked = time.monotonic()
        with contextlib.suppress(OSError):
            self._series |= series_of(urllib.request.urlopen(self._url, timeout=5).read().decode())
            self.deferred = max(self.deferred, deferred_of(self._series))
            for key, value in self._series.items():
                self._peaks[key] = max(self._peaks.get(key, 0.0), value)

    def finish(self, stop_seconds: float) -> dict[str, Any]:
        """SIGTERM, and what was told at the end: {"last": the last line of JSON, "metrics": {series: [last, peak]}},
        the metrics as far as they are of pressure. A contender that does not end in time is left to be killed."""
        self._asked = 0.0
        self._ask()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(stop_seconds)
        self.join(2)
        kept = {
            key: [value, self._peaks[key]]
            for key, value in self._series.items()
            if self._peaks[key] and (KEPT.search(key) or key.startswith("tidegate_records_total{"))
        }
        return {"exit": self._process.returncode, "last": self._last, "metrics": kept}
