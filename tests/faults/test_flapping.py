"""A second member joins and leaves again and again with batches in flight, with both group protocols."""

from __future__ import annotations

import time
from collections.abc import Callable

from faults.flow import longest_pause, require_conserved, shares, stream, wait_flowing
from faults.rows import ROUNDS, Matrix
from harness.fixtures import Scenes
from harness.parallel import side_by_side
from harness.scene import Broker, Scene, event_class

FLAPS = 2 * ROUNDS
BATCH, CONCURRENCY = 40, 4
# Settling what is in flight takes at most 2 s of a hand-over; the rest is the group's own: a leave, a join, a sync.
HANDOVER_SECONDS = 10.0


def flapping(scene: Scene, matrix: Matrix) -> Callable[[], None]:
    def job() -> None:
        # Slow enough that something is always in flight: 40 events take 40 ms.
        scene.app.mode(ms_per_event=1, workers=CONCURRENCY)
        settings = {"batch_max_records": BATCH, "concurrency": CONCURRENCY}
        first = scene.sidecar("--summary", name="first", **settings)
        with stream(scene):
            wait_flowing(scene, first)
            time.sleep(1)
            begun = time.time_ns()
            second = scene.sidecar("--summary", name="second", **settings)
            for flap in range(FLAPS):
                if flap:
                    second.start()
                second.wait_until(lambda: shares(scene) == [2, 2], 40, "a share for each")
                time.sleep(1)
                second.stop(12)
                require_conserved(second)
                first.wait_until(lambda: shares(scene) == [4], 40, "all to the first")
                wait_flowing(scene, first)
                time.sleep(0.5)
            ended = time.time_ns()
        scene.wait_settled(first, 30)
        first.stop(12)
        require_conserved(first)
        # Two hand-overs a flap; of each, no more may come twice than can be in flight.
        exposed = 2 * FLAPS * BATCH * CONCURRENCY
        report = scene.judge(duplicates=exposed, classes=event_class)
        pause = longest_pause(scene.app.requests(), begun, ended)
        assert pause <= HANDOVER_SECONDS
        matrix.add(
            "test_flapping.py::test_a_member_that_comes_and_goes",
            f"a second member joins and leaves {FLAPS} times ({scene.protocol} protocol)",
            "nothing lost; twice at most what was in flight at a hand-over",
            report,
            exposed=exposed,
            seconds=pause,
            timed="longest pause of a partition",
        )

    return job


def test_a_member_that_comes_and_goes(kafka_broker: Broker, scenes: Scenes, matrix: Matrix) -> None:
    groups = [scenes(kafka_broker, protocol=protocol, name=f"flap-{protocol}") for protocol in ("classic", "consumer")]
    side_by_side([(scene.protocol, flapping(scene, matrix)) for scene in groups])
