"""What the fault tests of parking share: a scene under lasting pressure, kills on a rung, and the end of a run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from faults.flow import require_conserved
from faults.rows import Matrix
from harness.checker import Record, Report
from harness.deferring import Deferring, calm, replayed
from harness.scene import event_class
from harness.stream import stream
from harness.watched import WatchedScene, WatchedScenes

PARTITIONS = 4
BATCH, CONCURRENCY = 40, 4
IN_FLIGHT = BATCH * CONCURRENCY
# Events a second: what comes, and what the app can take of them: critical and high are an eighth of it.
RATE, SERVICE = 400, 120
SETTINGS: dict[str, Any] = {"batch_max_records": BATCH, "concurrency": CONCURRENCY, "bulk_on_pressure": "defer"}
SETTLED_SECONDS = 60.0


def is_bulk(record: Record) -> bool:
    return event_class(record) == "bulk"


def slow(scene: WatchedScene, service: float = SERVICE) -> None:
    """The app can take so many events a second."""
    scene.app.mode(ms_per_event=1000 * CONCURRENCY / service, workers=CONCURRENCY)


@dataclass
class Rung:
    """How a rung is come to, and what the verdict may find then.

    ``ready`` says whether a process is on it, so that it can be killed there; ``settings`` are the sidecar's.
    """

    name: str
    ready: Callable[[Deferring], object]
    settings: dict[str, Any] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)
    forced: str | None = None
    topic_of_bulk: bool = False
    pad: int = 0  # bytes that make its events larger


def _parks(one: Deferring) -> object:
    """It has been parking for a moment: more waits than did when it was first looked at."""
    lag = one.scene.parked().lag
    one.seen = min(one.seen, lag)
    return lag > one.seen + RATE // 8


RUNGS = (
    Rung("DEFER", _parks, forced="defer"),
    Rung(
        "SAMPLE",
        lambda one: one.figure("tidegate_records_total", 'disposition="sampled"') > RATE // 4,
        {"bulk_on_pressure": "sample", "high_on_pressure": "keep"},
        {"droppable": is_bulk},
        forced="sample",
    ),
    Rung(
        "HOLD",
        lambda one: (one.rungs() or [""])[-1] == "hold" and one.figure("tidegate_lane_held"),
        {"parking_topic": "none", "memory_bytes": "16MiB"},
        pad=2000,
    ),
    Rung("PAUSE", lambda one: one.figure("tidegate_lane_paused"), forced="pause", topic_of_bulk=True),
)


def on_rung(scene: WatchedScene, rung: Rung, one: Deferring) -> None:
    """Brings a process that was just started there."""
    one.seen = 1 << 62
    if rung.forced:
        one.force(rung.forced)
    one.sidecar.wait_until(lambda: rung.ready(one), 40, f"rung {rung.name}")


def killed_on(scene: WatchedScene, rung: Rung, matrix: Matrix, test: str, kills: int, seed: int) -> Callable[[], None]:
    """A job: kill -9 on a rung, again and again, with a verdict after each."""

    def job() -> None:
        dice = random.Random(seed)
        slow(scene)
        classes: Any = event_class
        settings = SETTINGS | rung.settings
        if rung.topic_of_bulk:  # such a topic waits in Kafka
            settings |= {"critical": "none-at-all", "high": "none-at-all", "bulk": f"topic:{scene.topic}"}
            classes = lambda _: "bulk"  # noqa: E731
        verdict: dict[str, Any] = {"classes": classes} | rung.verdict
        one = Deferring(scene, **settings)
        bound = allowed = 0
        slowest = 0.0
        with stream(scene, rate=RATE, pad=rung.pad):
            for _ in range(kills):
                begun = time.monotonic()
                on_rung(scene, rung, one)
                slowest = max(slowest, time.monotonic() - begun)
                time.sleep(dice.uniform(0, 1))
                one.sidecar.kill()
                exposed = scene.exposed()
                report = scene.judge(drained=False, duplicates=allowed, **verdict)
                allowed = report.duplicates + exposed
                bound += exposed
                one.sidecar.start()
        fault = f"kill -9 on rung {rung.name}, {kills} times"
        timed = "from a start to the rung, at worst"
        finish(scene, matrix, test, fault, allowed, bound, slowest, one, timed=timed, **verdict)

    return job


def killed_in_replay(scene: WatchedScene, matrix: Matrix, test: str, kills: int, seed: int) -> Callable[[], None]:
    """A job: kill -9 while parked records come back."""

    def job() -> None:
        dice = random.Random(seed)
        one = park_some(scene, 4 * RATE)
        slow(scene, 2.5 * SERVICE)
        bound = allowed = 0
        slowest = 0.0
        for _ in range(kills):
            begun, before = time.monotonic(), len(replayed(scene.app.requests()))
            one.sidecar.wait_until(lambda before=before: len(replayed(scene.app.requests())) > before, 40, "a replay")
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(dice.uniform(0, 1))
            one.sidecar.kill()
            exposed = scene.exposed()
            report = scene.judge(drained=False, duplicates=allowed, classes=event_class)
            allowed = report.duplicates + exposed
            bound += exposed
            one.sidecar.start()
        fault = f"kill -9 during replay, {kills} times"
        timed = "from a start to the first replayed record, at worst"
        finish(scene, matrix, test, fault, allowed, bound, slowest, one, timed=timed)

    return job


def park_some(scene: WatchedScene, count: int, **settings: Any) -> Deferring:
    """A sidecar that has parked so many, and is let decide again; nothing comes any more."""
    slow(scene)
    one = Deferring(scene, **SETTINGS | settings)
    with stream(scene, rate=RATE):
        wait_defer(one)
        one.wait_parked(count, 40)
    one.force("auto")
    return one


def wait_defer(one: Deferring) -> None:
    """The operator's word, once there is a topic to park in."""
    one.scene.app.wait(lambda stats: stats["distinct"] > 0, 40)
    one.force("defer")


def finish(
    scene: WatchedScene,
    matrix: Matrix,
    test: str,
    fault: str,
    allowed: int,
    bound: int,
    seconds: float,
    *sidecars: Deferring,
    timed: str,
    expected: str = "",
    **verdict: Any,
) -> Report:
    """It is calm, everything comes back, everyone stops; the last verdict and the row."""
    calm(scene)
    for one in sidecars:
        if one.sidecar.alive:
            one.force("auto")
    scene.wait_emptied(sidecars[0].sidecar, SETTLED_SECONDS)
    for one in sidecars:
        if one.sidecar.alive:
            one.sidecar.stop()
            require_conserved(one.sidecar)
    report = scene.judge(duplicates=allowed, **{"classes": event_class} | verdict)
    assert report.pending == 0, report.summary()
    print(f"{fault}: {report.summary()}")
    matrix.add(
        test,
        fault,
        expected or "nothing lost, parked or not; twice at most what was unsettled in the topics or the parking topic",
        report,
        exposed=bound,
        seconds=seconds,
        timed=timed,
    )
    return report


def scene_for(scenes: WatchedScenes, broker: Any, name: str, **more: Any) -> WatchedScene:
    """A watched scene that may park."""
    return scenes(broker, name=name, **{"partitions": PARTITIONS, "parking": True} | more)
