"""Records of 1 MB beside small ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.fixtures import Scenes
from harness.produce import shop_events
from harness.scene import Broker, event_class


@pytest.mark.parametrize("form", ["ndjson", "json", "envelope"])
def test_megabytes_beside_small_events(broker: Broker, scenes: Scenes, form: str) -> None:
    scene = scenes(broker)
    events = list(shop_events(400))
    for index, event in enumerate(shop_events(8, pad=1_000_000)):  # two in each partition: the embedded one keeps 5 MiB
        events.insert(index * 50, event)
    scene.send(replace(event, partition=index % 4) for index, event in enumerate(events))
    summary = scene.sidecar("--until-end", format=form).finish()
    assert summary["records"] == 408
    scene.judge(classes=event_class)
    assert max(request.bytes for request in scene.app.requests()) > 1_000_000


def test_a_surge_of_megabytes_does_not_swell_the_process(kafka_broker: Broker, scenes: Scenes) -> None:
    """80 MB through a budget of 32 MiB, to an app that takes its time.

    Uncompressed: librdkafka unpacks a whole response at once, so what compresses a hundredfold overshoots by as much.
    """
    scene = scenes(kafka_broker)
    scene.send((replace(e, partition=i % 4) for i, e in enumerate(shop_events(80, pad=1_000_000))), "none")
    scene.app.mode(ms_per_event=20, workers=2)
    summary = scene.sidecar("--until-end", memory_bytes="32MiB").finish()
    assert summary["records"] == 80
    assert summary["peak_rss_bytes"] <= (32 + 64) << 20
    scene.judge(classes=event_class)
