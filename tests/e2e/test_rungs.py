"""Each rung of the ladder end to end: sampling says its weight, without a parking topic it is held, and the operator
sets any of them."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from harness.deferring import RATE, Deferring, calm, parking_scene, pressure, total
from harness.fixtures import Scenes
from harness.scene import Broker, event_class


def test_what_is_sampled_says_its_weight(broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, broker)
    one = Deferring(scene, bulk_on_pressure="sample", high_on_pressure="keep")
    with pressure(scene):
        one.wait_rung("sample")
        time.sleep(8)
    calm(scene)
    one.wait_rung("normal")
    scene.wait_settled(one.sidecar)
    one.sidecar.stop()
    counts = one.counts()
    bulk = counts["bulk"]
    assert bulk["sampled"] > 2 * RATE
    assert bulk["delivered"] + bulk["sampled"] == bulk["polled"]
    assert total(counts, "sampled") == bulk["sampled"]
    assert total(counts, "deferred") == 0
    report = scene.judge(
        classes=event_class, droppable=lambda record: event_class(record) == "bulk", dropped=bulk["sampled"]
    )
    assert report.records == total(counts, "polled")
    requests = scene.app.requests()
    weights = Counter({"1": 0})
    for request in requests:
        assert request.klass == "bulk" or not request.weight
        weights[request.weight or "1"] += len(request.ids) * (request.klass == "bulk")
    estimate = sum(float(weight) * count for weight, count in weights.items())
    print(f"{bulk}, by weights {estimate:.0f}, of {len(weights)} weights")
    assert estimate == pytest.approx(bulk["polled"], rel=0.2)
    assert len(weights) > 1


def test_without_a_parking_topic_it_is_held(kafka_broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, kafka_broker)
    one = Deferring(scene, parking_topic="none")
    with pressure(scene):
        one.wait_rung("hold")
        assert one.order("set", "defer").returncode == 1
        assert "nothing can be deferred" in one.order("set", "defer").stdout
    calm(scene)
    one.wait_rung("normal", 30)
    scene.wait_settled(one.sidecar)
    one.sidecar.stop()
    assert total(one.counts(), "deferred") == 0
    scene.parking = None
    scene.judge(classes=event_class)


def test_the_operator_sets_each_rung(broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, broker)
    one = Deferring(scene, bulk_on_pressure="defer,sample")
    scene.produce(200)
    scene.wait_events(one.sidecar, 200)
    with pressure(scene):
        for rung in ("defer", "sample", "hold", "pause", "normal"):
            assert one.order("set", rung).returncode == 0
            one.wait_rung(rung)
            shown = one.order("show").stdout
            assert shown.startswith(f"rung {rung}, set to {rung} by the operator"), shown
            time.sleep(1.5)
        assert one.order("set", "defer").returncode == 0
        one.wait_parked()
        assert one.order("auto").returncode == 0
    calm(scene)
    scene.wait_emptied(one.sidecar, 60)
    one.wait_rung("normal")
    one.sidecar.stop()
    counts = one.counts()
    assert one.replayed() > 0
    assert counts["bulk"]["deferred"] == 0
    scene.judge(
        classes=event_class,
        droppable=lambda record: event_class(record) == "bulk",
        dropped=counts["bulk"]["sampled"],
    )
