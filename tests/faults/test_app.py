"""The app misbehaves while events flow, one way after the other in one run: the sidecar stays up and catches up."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from faults.flow import require_conserved, stream, wait_flowing
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from faults.story import Mark, Story
from harness.fixtures import Scenes
from harness.healing import HEALED_SECONDS, catch_up
from harness.parallel import side_by_side
from harness.scene import Broker, Scene

FAULT_SECONDS = 1.5 * ROUNDS
SETTINGS: dict[str, Any] = {"sink_timeout_ms": 700, "batch_max_records": 50, "concurrency": 4}
IN_FLIGHT = 50 * 4
TEST = "test_app.py::test_an_app_that_misbehaves"
EXPECTED = "nothing lost; twice only what the app took unsaid; lag gone within 30 s"

# name in the table -> how the app behaves
Ways = dict[str, tuple[str, dict[str, Any]]]
RUNS: list[Ways] = [
    {
        "is slow": ("ok", {"ms_per_event": 5.0, "workers": 2}),
        "hangs before reading": ("hang-before", {}),
        "hangs after reading: the answer is lost": ("hang-after", {}),
    },
    {
        "refuses connections": ("down", {}),
        "answers what is not HTTP": ("garbage", {}),
        "answers 503": ("refuse", {"status": 503}),
    },
    {
        "resets within the request's body": ("reset-before", {}),
        "resets after reading": ("reset-after", {}),
        "ends the connection within its answer": ("cut-answer", {}),
    },
]


def misbehaving(scene: Scene, ways: Ways, matrix: Matrix) -> None:
    """Each way in turn with events flowing, a row for each."""
    sidecar = scene.sidecar("--summary", **SETTINGS)
    marks: list[tuple[Mark, float]] = []
    with stream(scene):
        wait_flowing(scene, sidecar)
        catch_up(scene, sidecar, HEALED_SECONDS, "the start")
        for name, (mode, more) in ways.items():
            mark = Mark(f"the app {name}")
            scene.app.mode(mode, **more)
            time.sleep(FAULT_SECONDS)
            assert sidecar.alive, sidecar.tail()
            scene.app.mode()
            mark.heal()
            seconds = catch_up(scene, sidecar, HEALED_SECONDS, mark.fault)
            mark.over()
            marks.append((mark, seconds))
    scene.wait_settled(sidecar, HEALED_SECONDS)
    sidecar.stop(12)
    require_conserved(sidecar)
    story = Story(scene)
    allowed = 0
    for mark, seconds in marks:
        # A slow app may answer when nobody waits any more: its log has that as said.
        bound = story.unsaid(mark.begun_ns, mark.over_ns) + (IN_FLIGHT if mark.fault == "the app is slow" else 0)
        report = story.report(mark.begun_ns, mark.over_ns, bound, mark.fault)
        matrix.add(TEST, mark.fault, EXPECTED, report, exposed=bound, seconds=seconds, timed="from healing to no lag")
        allowed += bound
    story.judge(allowed)


def test_an_app_that_misbehaves(kafka_broker: Broker, scenes: Scenes, matrix: Matrix) -> None:
    side_by_side(
        [
            (f"run {number}", partial(misbehaving, scenes(kafka_broker, name=f"app-{number}"), ways, matrix))
            for number, ways in enumerate(RUNS)
        ],
        JOB_SECONDS,
    )
