"""The app is away for a while, in every way in which apps are: the process stays up, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness.fixtures import Scenes
from harness.parallel import side_by_side
from harness.scene import Broker, Scene, event_class

OUTAGES: dict[str, dict[str, Any]] = {
    "down": {},
    "hang-before": {},
    "hang-after": {},
    "reset-before": {},
    "reset-after": {},
    "garbage": {},
    "refuse": {"status": 500},
}
AWAY_SECONDS = 3.0


def outage(scene: Scene, mode: str, more: dict[str, Any]) -> Callable[[], None]:
    def job() -> None:
        with scene.sidecar(sink_timeout_ms=700, batch_max_records=50) as sidecar:
            scene.produce(300)
            scene.wait_settled(sidecar, 60)
            settled = scene.committed()
            scene.app.mode(mode, **more)
            scene.produce(500)
            time.sleep(AWAY_SECONDS)
            assert sidecar.alive, sidecar.tail()
            assert scene.committed() == settled
            scene.app.mode()
            scene.wait_settled(sidecar, 60)
            sidecar.stop()
        # What the app handled without saying so comes again: nobody can know better.
        unsaid = sum(len(request.ids) for request in scene.app.requests() if request.status is None)
        scene.judge(duplicates=unsaid, classes=event_class)

    return job


def test_an_app_that_is_away_and_comes_back(broker: Broker, scenes: Scenes) -> None:
    modes = ["down", "hang-after"] if broker.real else list(OUTAGES)  # what the app does is not the broker's business
    side_by_side([(mode, outage(scenes(broker, name=mode), mode, OUTAGES[mode])) for mode in modes])


def test_an_app_that_is_not_there_at_the_start(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.app.mode("down")
    scene.produce(500)
    sidecar = scene.sidecar("--until-end")
    time.sleep(2.5)
    assert sidecar.alive, sidecar.tail()
    assert not any(scene.committed().values())
    scene.app.mode()
    assert sidecar.finish()["records"] == 500
    scene.judge(classes=event_class)
