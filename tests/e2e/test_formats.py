"""What a request looks like: format, limits, headers, and that a repeated one is the same."""

from __future__ import annotations

from typing import Any

import pytest

from harness.fixtures import Scenes
from harness.scene import Broker, event_class

KINDS = {"ndjson": "application/x-ndjson", "json": "application/json", "envelope": "application/x-ndjson"}


@pytest.mark.parametrize("form", KINDS)
def test_batches_keep_their_limits_and_say_what_they_hold(broker: Broker, scenes: Scenes, form: str) -> None:
    scene = scenes(broker)
    scene.produce(1500)
    limits: dict[str, Any] = {"batch_max_records": 60, "batch_max_bytes": 9000}
    scene.sidecar("--until-end", format=form, **limits).finish()
    scene.judge(classes=event_class)
    requests = scene.app.requests()
    assert {request.content_type for request in requests} == {KINDS[form]}
    assert max(len(request.ids) for request in requests) <= 60
    assert max(request.bytes for request in requests) <= 9000
    assert all(0 < len(request.offsets) <= 4096 for request in requests)
    assert len({request.key for request in requests}) == len(requests)
    if form == "envelope":
        ids = [name for request in requests for name in request.envelopes]
        assert len(set(ids)) == len(ids) == 1500


@pytest.mark.parametrize("form", KINDS)
def test_a_batch_that_is_sent_again_is_the_same(broker: Broker, scenes: Scenes, form: str) -> None:
    scene = scenes(broker)
    scene.produce(600)
    scene.app.mode("refuse", status=500, count=5)
    scene.sidecar("--until-end", format=form, batch_max_records=100).finish()
    scene.judge()
    again: dict[str, set[tuple[str, ...]]] = {}
    for request in scene.app.requests():
        again.setdefault(request.key, set()).add((request.klass, request.offsets, *request.ids))
    assert all(len(contents) == 1 for contents in again.values())
    refused = {request.key for request in scene.app.requests() if request.status == 500}
    acknowledged = {request.key for request in scene.app.requests() if request.acknowledged}
    assert refused
    assert refused <= acknowledged
