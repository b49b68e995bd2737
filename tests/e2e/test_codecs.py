"""Each codec, on each broker."""

from __future__ import annotations

from collections.abc import Callable

from harness.fixtures import Scenes
from harness.parallel import side_by_side
from harness.produce import CODECS
from harness.scene import Broker, Scene, event_class


def one(scene: Scene, codec: str) -> Callable[[], object]:
    def job() -> None:
        scene.produce(2000, codec)
        with scene.sidecar("--until-end") as sidecar:
            assert sidecar.finish()["records"] == 2000
        scene.judge(classes=event_class)

    return job


def test_every_codec(broker: Broker, scenes: Scenes) -> None:
    side_by_side([(codec, one(scenes(broker, name=codec), codec)) for codec in CODECS])
