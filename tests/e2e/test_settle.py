"""Consume, settle, commit, restart: what was acknowledged is committed, and only the rest comes after a restart."""

from __future__ import annotations

from harness.fixtures import Scenes
from harness.produce import shop_events
from harness.scene import Broker, event_class


def test_consume_settle_commit_restart(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(3000)
    sidecar = scene.sidecar()
    scene.wait_settled(sidecar)
    scene.judge(classes=event_class)
    sidecar.stop()

    scene.produce(1000)
    sidecar.start()
    scene.wait_settled(sidecar)
    sidecar.stop()
    scene.judge(classes=event_class)
    assert scene.app.stats()["events"] == 4000


def test_events_flow_while_they_are_produced(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    sidecar = scene.sidecar()
    for _ in range(20):
        scene.produce(50)
    scene.wait_settled(sidecar)
    sidecar.stop()
    scene.judge(classes=event_class)


def test_a_new_group_may_start_at_the_end(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker, partitions=1)
    scene.produce(200)
    old = {record.line for record in scene.read()[0]}
    sidecar = scene.sidecar(start="latest")
    numbers = iter(range(10_000))

    def one_more_arrived() -> bool:
        scene.send(shop_events(1, start=next(numbers)))
        return scene.app.stats()["events"] > 0

    sidecar.wait_until(one_more_arrived, what="an event that was produced after the start")
    scene.wait_settled(sidecar)
    sidecar.stop()
    seen = {name for request in scene.app.requests() for name in request.ids}
    assert not seen & old


def test_order_per_key_within_a_class_with_one_request_at_a_time(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(3000, users=40)
    sidecar = scene.sidecar("--until-end", concurrency=1, batch_max_records=100)
    sidecar.finish()
    scene.judge(ordered=True, classes=event_class)
