"""Holding as the figures of a real sidecar show it."""

from __future__ import annotations

import time

from harness.scene import Scene

from .conftest import ops_of


def test_bulk_waits_in_kafka_while_the_app_is_down(scene: Scene) -> None:
    """What the outage found in the rings is kept there; what comes later is not read before the app is back."""
    scene.app.mode("down")
    scene.produce(50)
    sidecar = scene.sidecar(bulk=f"topic:{scene.topic}", ops_address="127.0.0.1:0")
    ops = ops_of(sidecar)
    sidecar.wait_until(
        lambda: ops.figures().get("tidegate_lanes_held") == {(("class", "bulk"), ("reason", "app-down")): 1},
        20,
        "a held lane",
    )
    scene.produce(1000)
    time.sleep(1.5)  # the text may be a second old
    figures = ops.figures()
    assert sum(figures["tidegate_records_polled_total"].values()) == 50
    assert sum(figures["tidegate_lane_queued_records"].values()) >= 1000
    assert sum(figures["tidegate_lane_paused"].values()) == 0
    scene.app.mode()
    scene.wait_settled(sidecar)
    sidecar.stop()
    scene.judge()
