"""Each codec, on each broker."""

from __future__ import annotations

import pytest

from harness.fixtures import Scenes
from harness.produce import CODECS
from harness.scene import Broker, event_class


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec(broker: Broker, scenes: Scenes, codec: str) -> None:
    scene = scenes(broker)
    scene.produce(2000, codec)
    assert scene.sidecar("--until-end").finish()["records"] == 2000
    scene.judge(classes=event_class)
