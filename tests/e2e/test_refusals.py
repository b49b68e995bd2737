"""A slow app, one that refuses for a while, one that refuses single batches: nothing is lost and nobody is pushed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from harness.fixtures import Scenes
from harness.produce import shop_events
from harness.scene import Broker, event_class


def test_a_slow_app_sets_the_pace(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(1500)
    scene.app.mode(ms_per_event=2, workers=2)
    scene.sidecar("--until-end", concurrency=4, batch_max_records=50).finish()
    scene.judge(classes=event_class)
    assert 2 <= scene.app.stats()["max_busy"] <= 4


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for(broker: Broker, scenes: Scenes, status: int, form: str) -> None:
    scene = scenes(broker)
    scene.produce(400)
    scene.app.mode("refuse", status=status, retry_after=2, form=form, count=1)
    scene.sidecar("--until-end", concurrency=1).finish()
    scene.judge(classes=event_class)
    first, second = scene.app.requests()[:2]
    assert (first.status, second.status) == (status, 200)
    waited = (second.time_ns - first.time_ns) / 1e9
    # A date has whole seconds; it may be read a little before it was written in full.
    assert 1.9 <= waited < 7


def test_refusals_without_retry_after_back_off(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(400)
    scene.app.mode("refuse", status=503)
    sidecar = scene.sidecar("--until-end", concurrency=2)
    sidecar.wait_until(lambda: scene.app.requests(), what="a first refusal")
    time.sleep(2)
    assert len(scene.app.requests()) < 40  # a tight loop would have sent thousands
    scene.app.mode()
    sidecar.finish()
    scene.judge(classes=event_class)


def test_one_batch_that_is_refused_does_not_stop_the_others(broker: Broker, scenes: Scenes) -> None:
    """400 for whatever holds the poisonous event: it stays, uncommitted and retried, while its neighbours flow."""
    scene = scenes(broker, partitions=2)
    events = list(shop_events(1000, 2))
    victim = events[300]
    events[300] = replace(victim, value=(victim.value or b"").replace(b'"brand":"', b'"brand":"poison-'))
    scene.send(events)
    scene.app.mode("refuse", status=400, containing="poison")
    sidecar = scene.sidecar(batch_max_records=20)
    scene.wait_events(sidecar, 980)
    time.sleep(1.5)  # an automatic commit passes
    report = scene.judge(drained=False, classes=event_class)
    assert report.pending >= 1
    assert scene.committed().get((scene.topic, victim.partition), 0) <= 300
    scene.app.mode()
    scene.wait_settled(sidecar)
    sidecar.stop()
    scene.judge(classes=event_class)
