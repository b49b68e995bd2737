"""A slow app and a backlog: the urgent ones come first, and the others are not forgotten."""

from __future__ import annotations

from harness.fixtures import Scenes
from harness.scene import Broker, event_class


def test_critical_overtakes_what_was_read_before_it(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker, partitions=2)
    scene.produce(4000)
    scene.app.mode(ms_per_event=1, workers=1)
    scene.sidecar("--until-end", batch_max_records=50, concurrency=2).finish()
    scene.judge(classes=event_class)
    order = [request.klass for request in scene.app.requests() for _ in request.ids]
    critical = [position for position, klass in enumerate(order) if klass == "critical"]
    bulk = [position for position, klass in enumerate(order) if klass == "bulk"]
    assert critical[len(critical) // 2] < len(order) * 0.15
    assert critical[-1] < len(order) * 0.4
    assert bulk[len(bulk) // 2] > len(order) * 0.4
