"""A second member joins and leaves again and again with batches in flight, with both group protocols."""

from __future__ import annotations

import time
from collections.abc import Callable

from faults.flow import longest_pause, require_conserved, shares, stream, wait_flowing
from faults.rows import ROUNDS, Matrix
from faults.story import Mark, Story
from harness.healing import catch_up
from harness.scene import Scene

FLAPS = 2 * ROUNDS
BATCH, CONCURRENCY = 40, 4
# Asserted generously, since this machine does other things as well; the row has what it was.
HANDOVER_SECONDS = 5.0


def flapping(scene: Scene, matrix: Matrix, test: str, where: str = "") -> Callable[[], None]:
    """A job that leaves one row; ``test`` runs it, ``where`` begins the row."""

    def job() -> None:
        # Slow enough that something is always in flight: 40 events take 40 ms.
        scene.app.mode(ms_per_event=1, workers=CONCURRENCY)
        settings = {"batch_max_records": BATCH, "concurrency": CONCURRENCY}
        first = scene.sidecar("--summary", name="first", **settings)
        marks = []
        with stream(scene):
            wait_flowing(scene, first)
            catch_up(scene, first, 30, "the start")
            time.sleep(1)
            begun = time.time_ns()
            second = scene.sidecar("--summary", name="second", **settings)
            for flap in range(FLAPS):
                joins = Mark("joins")
                if flap:
                    second.start()
                second.wait_until(lambda: shares(scene) == [2, 2], 40, "a share for each")
                joins.over()
                time.sleep(1)
                leaves = Mark("leaves")
                second.stop(12)
                require_conserved(second)
                first.wait_until(lambda: shares(scene) == [4], 40, "all to the first")
                wait_flowing(scene, first)
                leaves.over()
                marks += [joins, leaves]
                time.sleep(0.5)
            ended = time.time_ns()
        scene.wait_settled(first, 30)
        first.stop(12)
        require_conserved(first)
        # Three brokers on a busy machine: a coordinator may stand still for seconds without anybody's doing.
        story, requests = Story(scene, [Mark("all of it", begun, over_ns=ended)] if where else []), scene.app.requests()
        # What the app had when the hand-over began; what it got later is settled before the partition goes.
        allowed = sum(story.exposed_at(mark.begun_ns) for mark in marks)
        pause = longest_pause(requests, begun, ended)
        assert pause <= HANDOVER_SECONDS, f"a partition brought nothing for {pause} s"
        matrix.add(
            test,
            f"{where}a second member joins and leaves {FLAPS} times ({scene.protocol} protocol)",
            "nothing lost; twice at most what was unsettled as a hand-over began; a pause of some 2 s, never 5",
            story.judge(allowed),
            exposed=allowed,
            seconds=pause,
            timed="longest pause of a partition",
        )

    return job
