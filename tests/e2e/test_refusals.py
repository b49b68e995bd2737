"""A slow app, one that refuses for a while, one that refuses single batches: nothing is lost and nobody is pushed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from harness.fixtures import Scenes
from harness.parallel import side_by_side
from harness.produce import shop_events
from harness.scene import Broker, Scene, event_class


def test_a_slow_app_sets_the_pace(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(1500)
    scene.app.mode(ms_per_event=2, workers=2)
    scene.sidecar("--until-end", concurrency=4, batch_max_records=50).finish()
    scene.judge(classes=event_class)
    assert 2 <= scene.app.stats()["max_busy"] <= 4


def refused(scene: Scene, status: int, form: str) -> Callable[[], object]:
    def job() -> None:
        scene.produce(400)
        scene.app.mode("refuse", status=status, retry_after=2, form=form, count=1)
        with scene.sidecar("--until-end", concurrency=1) as sidecar:
            sidecar.finish()
        scene.judge(classes=event_class)
        first, second = scene.app.requests()[:2]
        assert (first.status, second.status) == (status, 200)
        assert 1.9 <= (second.time_ns - first.time_ns) / 1e9 < 7  # not before, and not as after an outage

    return job


def test_retry_after_is_waited_for(broker: Broker, scenes: Scenes) -> None:
    cases = [(status, form) for status in (429, 503) for form in ("seconds", "date")]
    side_by_side([(f"{s} {f}", refused(scenes(broker, name=f"{s}-{f}"), s, f)) for s, f in cases])


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
