"""What the tests of deferral share: a scene that parks, pressure that comes and goes, and what the app's log says."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.applog import Request
from harness.checker import Record
from harness.fixtures import Scenes
from harness.ports import free_ports
from harness.scene import Broker, Scene
from harness.sidecar import TESTS, Sidecar, command
from harness.stream import stream
from harness.watch import series

RATE, SERVICE = 1600, 400  # records per second: what comes in a surge, and what the slow app can take
PARTITIONS = 12  # the embedded broker keeps 5 MiB of each
WORKERS = 4
SETTINGS: dict[str, Any] = {"memory_bytes": "16MiB"}


def parking_scene(scenes: Scenes, broker: Broker, service: float = SERVICE, **more: Any) -> Scene:
    """A scene with a parking topic, whose app does ``service`` records a second; ``more`` as for Scene."""
    scene = scenes(broker, **{"partitions": PARTITIONS, "parking": True} | more)
    # The embedded broker has no other way to say how many partitions it has.
    if not broker.real:
        broker.create(scene.parking or "", PARTITIONS, {})
    scene.app.mode(ms_per_event=1000 * WORKERS / service, workers=WORKERS)
    return scene


class Deferring:
    """A sidecar that may park, with figures and orders."""

    def __init__(self, scene: Scene, *arguments: str, name: str = "sidecar", **settings: Any) -> None:
        self.scene = scene
        (port,) = free_ports(1)
        self.seen = 0  # a test's own mark
        self.admin = f"127.0.0.1:{port}"
        told = SETTINGS | {"admin_address": self.admin} | settings
        self.sidecar: Sidecar = scene.sidecar("--summary", *arguments, name=name, **told)

    def order(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``tidegate pressure …`` for this sidecar, as an operator would."""
        environment = self.sidecar.settings | {"PYTHONPATH": str(TESTS.parent / "src"), "PATH": os.environ["PATH"]}
        asked = [*command(), "pressure", *words]
        return subprocess.run(asked, env=environment, capture_output=True, text=True, check=False, timeout=20)

    def force(self, rung: str, timeout: float = 20) -> None:
        """The same at once, without a process in between; asked again while there is nothing yet that could act on it.
        Raises AssertionError."""
        self._tell(f"rung={rung}", timeout)

    def replay(self, records_per_second: int, timeout: float = 20) -> None:
        """So many come back from now on, without waiting until it is calm. Raises AssertionError."""
        self._tell(f"replay={records_per_second}", timeout)

    def _tell(self, order: str, timeout: float) -> None:
        headers = {"X-Tidegate-Admin": "test", "Content-Type": "application/json"}
        url = f"http://{self.admin}/pressure?{order}"

        def done() -> bool:
            try:
                with urllib.request.urlopen(urllib.request.Request(url, b"", headers, method="POST"), timeout=5):
                    return True
            except OSError:  # an HTTPError as well
                return False

        self.sidecar.wait_until(done, timeout, f"it takes the order {order}")

    def figure(self, name: str, label: str = "") -> float:
        """The sum of a metric's series that have a label such as ``disposition="sampled"``; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(
                f"http://{self.sidecar.settings['TIDEGATE_OPS_ADDRESS']}/metrics", timeout=5
            ) as it:
                found = series(it.read().decode())
        except OSError:
            return 0.0
        return sum(value for key, value in found.items() if key.partition("{")[0] == name and label in key)

    def rungs(self) -> list[str]:
        """The rungs that the process came to since it was started last, in order, by its log."""
        lines = [
            json.loads(line) for line in self.sidecar.stderr.splitlines() if line.startswith("{") and line[-1] == "}"
        ]
        starts = [at for at, line in enumerate(lines) if line["event"] == "admin endpoint is there"]
        lines = lines[starts[-1] :] if starts else []
        return [line["rung"] for line in lines if line["event"] == "the rung changed"]

    def wait_rung(self, rung: str, timeout: float = 20) -> None:
        """Waits until it is on that rung by its log."""
        self.sidecar.wait_until(lambda: (self.rungs() or ["normal"])[-1] == rung, timeout, f"rung {rung}")

    def wait_parked(self, count: int = 1, timeout: float = 20) -> None:
        """Waits until so many records wait in the parking topic."""
        self.sidecar.wait_until(lambda: self.scene.parked().lag >= count, timeout, f"{count} parked records")

    def replayed(self) -> int:
        """How many came back, by the summary; after the end."""
        back: int = self.sidecar.summary().get("replayed", 0)
        return back

    def counts(self) -> dict[str, dict[str, int]]:
        """By class, the dispositions of the summary; after the end."""
        classes: dict[str, dict[str, int]] = self.sidecar.summary()["classes"]
        return classes


@contextmanager
def pressure(scene: Scene, start: int = 0, rate: int = RATE) -> Iterator[None]:
    """A surge beside the block."""
    with stream(scene, rate=rate, start=start):
        yield


def calm(scene: Scene) -> None:
    """From now on the app takes whatever comes."""
    scene.app.mode()


def total(counts: dict[str, dict[str, int]], disposition: str) -> int:
    """Over all classes."""
    return sum(row[disposition] for row in counts.values())


def places_of(offsets: str) -> list[str]:
    """``topic/partition/offset`` of each record, by X-Tidegate-Offsets: ``topic/0:100x20,+3x6;topic/1:7``."""
    found: list[str] = []
    for part in offsets.split(";"):
        place, _, items = part.rpartition(":")
        last = 0
        for item in items.split(","):
            at, _, count = item.partition("x")
            first = last + int(at) if at.startswith("+") else int(at)
            found += [f"{place}/{offset}" for offset in range(first, first + int(count or 1))]
            last = first + int(count or 1) - 1
    return found


def replayed(requests: Iterable[Request]) -> list[str]:
    """``topic/partition/offset`` of every record that was acknowledged in a batch of replayed ones."""
    return [place for one in requests if one.replayed and one.acknowledged for place in places_of(one.offsets)]


def ages(
    records: Iterable[Record], requests: Iterable[Request], klass: str, between_ns: tuple[int, int]
) -> list[float]:
    """Seconds from Kafka's timestamp to the app for each first delivery of a class in a time, shortest first."""
    made = {record.line: record.timestamp_ms or 0 for record in records}
    found: dict[str, float] = {}
    for request in requests:
        if request.klass == klass and between_ns[0] <= request.time_ns <= between_ns[1]:
            for line in request.ids:
                if line in made:
                    found.setdefault(line, request.time_ns / 1e9 - made[line] / 1e3)
    return sorted(found.values())


def quantile(ordered: list[float], share: float) -> float:
    """Nearest rank."""
    assert ordered, "nothing to take a quantile of"
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def wait_for(done: Callable[[], object], seconds: float, what: str) -> None:
    """Polls until it is true. Raises AssertionError."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.05)
