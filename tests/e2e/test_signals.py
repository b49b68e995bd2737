"""SIGTERM: stop reading, deliver what is in hand, commit, leave, exit 0. A second one: at once."""

from __future__ import annotations

import time
from typing import Any

from harness.fixtures import Scenes
from harness.scene import Broker, event_class


def test_sigterm_drains_and_nothing_comes_twice(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(2000)
    scene.app.mode(ms_per_event=1, workers=2)
    settings: dict[str, Any] = {"batch_max_records": 50, "drain_seconds": 5, "kafka_session_timeout_ms": 6000}
    sidecar = scene.sidecar("--summary", **settings)
    scene.wait_events(sidecar, 200)
    sidecar.stop(20)
    for label, counts in sidecar.summary()["classes"].items():
        assert counts["polled"] == sum(counts.values()) - counts["polled"], label
    scene.judge(drained=False, classes=event_class)
    scene.app.mode()
    scene.produce(100)  # so that settled means started: a signal that comes before is nobody's to handle
    sidecar.start()
    scene.wait_settled(sidecar)
    sidecar.stop(20)
    scene.judge(duplicates=0, classes=event_class)


def test_sigterm_when_idle(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(100)
    sidecar = scene.sidecar("--summary")
    scene.wait_settled(sidecar)
    begun = time.monotonic()
    sidecar.stop(5)
    assert time.monotonic() - begun < 3
    assert sidecar.summary()["records"] == 100


def test_sigterm_with_an_app_that_hangs_ends_at_the_deadline(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.app.mode("hang-before")
    scene.produce(500)
    sidecar = scene.sidecar("--summary")  # drains for 2 s
    sidecar.wait_until(lambda: scene.app.stats()["busy"] > 0, what="a request")
    begun = time.monotonic()
    sidecar.stop(12)
    assert time.monotonic() - begun >= 1.5  # it did try
    assert sum(counts["discarded"] for counts in sidecar.summary()["classes"].values()) > 0
    assert not any(scene.committed().values())
    scene.app.mode()
    sidecar.start()
    scene.wait_settled(sidecar)
    sidecar.stop()
    scene.judge(classes=event_class)


def test_a_second_sigterm_ends_it_at_once(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.app.mode("hang-before")
    scene.produce(500)
    sidecar = scene.sidecar(drain_seconds=20, kafka_session_timeout_ms=25_000)
    sidecar.wait_until(lambda: scene.app.stats()["busy"] > 0, what="a request")
    sidecar.terminate()
    time.sleep(0.7)
    assert sidecar.alive
    sidecar.terminate()
    sidecar.wait(2)
    assert not any(scene.committed().values())
