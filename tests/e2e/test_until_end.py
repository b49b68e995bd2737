"""``--until-end``: ends where the topic ended at the start, and its summary adds up."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from harness.fixtures import Scenes
from harness.produce import shop_events
from harness.scene import TYPES, Broker, Scene, event_class

KEYS = {"records", "seconds", "cpu_seconds", "peak_rss_bytes", "classes"}
DISPOSITIONS = {"polled", "delivered", "deferred", "sampled", "expired", "dead_lettered", "discarded"}


def test_the_summary_s_shape_and_identity(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    events = scene.produce(3000)
    sidecar = scene.sidecar("--until-end")
    summary = sidecar.finish()
    assert len(sidecar.stdout.splitlines()) == 1  # logs go elsewhere
    assert set(summary) == KEYS
    assert set(summary["classes"]) == {"critical", "high", "normal", "bulk"}
    produced = Counter(TYPES[event.type] for event in events)
    for label, counts in summary["classes"].items():
        assert set(counts) == DISPOSITIONS
        assert counts["polled"] == counts["delivered"] == produced[label]
        assert sum(counts.values()) == 2 * counts["polled"]
    assert summary["records"] == 3000
    assert 0 < summary["seconds"] < 30
    assert 0 < summary["cpu_seconds"] < 30
    assert 16 << 20 < summary["peak_rss_bytes"] < 512 << 20
    scene.judge(classes=event_class)


def test_nothing_to_do_ends_at_once(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    assert scene.sidecar("--until-end", name="empty").finish(15)["records"] == 0
    scene.produce(200)
    assert scene.sidecar("--until-end", name="first").finish()["records"] == 200
    assert scene.sidecar("--until-end", name="again").finish(20)["records"] == 0
    scene.judge(classes=event_class)


def test_it_ends_although_events_keep_coming(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(1000)
    done = threading.Event()
    stream = threading.Thread(target=keep_producing, args=(scene, done))
    stream.start()
    try:
        summary = scene.sidecar("--until-end").finish(30)
    finally:
        done.set()
        stream.join()
    assert summary["records"] >= 1000
    report = scene.judge(drained=False, classes=event_class)
    assert report.delivered >= 1000


def keep_producing(scene: Scene, done: threading.Event) -> None:
    while not done.wait(0.05):
        scene.send(shop_events(20, scene.partitions))


def test_to_a_black_hole(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(5000)
    assert scene.sidecar("--until-end", sink_url="blackhole:").finish()["records"] == 5000
    assert scene.committed() == scene.ends()


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_to_standard_output(broker: Broker, scenes: Scenes, form: str) -> None:
    scene = scenes(broker, partitions=1)
    events = scene.produce(500)
    sidecar = scene.sidecar("--until-end", sink_url="stdout:", format=form)
    assert sidecar.finish()["records"] == 500
    lines = sidecar.stdout.splitlines()[:-1]
    if form == "ndjson":
        assert sorted(lines) == sorted((event.value or b"").decode() for event in events)
    else:
        assert sum(line.count('"event_type"') for line in lines) == 500
        assert all(line.startswith("[") and line.endswith("]") for line in lines)
    assert scene.committed() == scene.ends()


@pytest.mark.parametrize("topics", ["no.such.topic", "^no\\.such\\..*"])
def test_nothing_there_to_read_is_an_error_that_says_so(broker: Broker, scenes: Scenes, topics: str) -> None:
    sidecar = scenes(broker).sidecar("--until-end", topics=topics)
    assert sidecar.wait(30) == 1
    assert "know no topic" in sidecar.stderr
