"""The broker goes away and comes back, or answers commits with errors: no loss, and the same process goes on."""

from __future__ import annotations

import time

import pytest

from harness import fixtures
from harness.fixtures import Scenes, embedded_broker, real_broker
from harness.kafka import KafkaServer
from harness.scene import event_class
from tidegate.broker.embedded import EmbeddedBroker

OFFSET_COMMIT = 8  # ApiKey
COORDINATOR_ERRORS = (14, 15, 16)  # loading, not available, not the coordinator


@pytest.mark.kafka
def test_kill_9_of_the_broker(scenes: Scenes) -> None:
    fixtures.require_java()
    with KafkaServer() as server:
        scene = scenes(real_broker(server.bootstrap_servers))
        sidecar = scene.sidecar(kafka_reconnect_backoff_max_ms=500)
        scene.produce(500)
        scene.wait_settled(sidecar)
        scene.app.mode(ms_per_event=2, workers=2)
        scene.produce(500)
        scene.wait_events(sidecar, 600)
        server.kill()
        time.sleep(1)
        assert sidecar.alive, sidecar.tail()
        server.start()
        scene.app.mode()
        scene.produce(500)
        scene.wait_settled(sidecar, 60)
        sidecar.stop(15)
        # What was under way at the kill may come again; the first 500 were committed before it.
        scene.judge(duplicates=500, classes=event_class)


def test_a_broker_that_is_down_for_a_while(scenes: Scenes) -> None:
    with EmbeddedBroker() as embedded:
        scene = scenes(embedded_broker(embedded))
        sidecar = scene.sidecar(kafka_reconnect_backoff_max_ms=500, kafka_session_timeout_ms=10_000)
        scene.produce(500)
        scene.wait_settled(sidecar)
        embedded.set_broker_down(1)
        time.sleep(2)
        assert sidecar.alive, sidecar.tail()
        embedded.set_broker_up(1)
        scene.produce(500)
        scene.wait_settled(sidecar)
        sidecar.stop(15)
        scene.judge(classes=event_class)


def test_commits_that_fail_are_tried_again(scenes: Scenes) -> None:
    with EmbeddedBroker() as embedded:
        scene = scenes(embedded_broker(embedded))
        embedded.push_errors(OFFSET_COMMIT, *COORDINATOR_ERRORS)
        # Each error sends the client looking for its coordinator, without heartbeats: 3 s would not be enough.
        sidecar = scene.sidecar(kafka_session_timeout_ms=10_000)
        scene.produce(1000)
        scene.wait_settled(sidecar)
        sidecar.stop(15)
        scene.judge(classes=event_class)
