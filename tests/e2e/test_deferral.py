"""Deferral end to end: under pressure bulk waits in the parking topic, and comes back when it is calm."""

from __future__ import annotations

from e2e.test_pressure import PARTITIONS, RATE, SERVICE, arriving, changes, total, watch
from harness.fixtures import Scenes
from harness.scene import Broker
from ops.conftest import ops_of


def test_what_is_parked_comes_back(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker, partitions=PARTITIONS)
    scene.app.mode(ms_per_event=1000 * 4 / SERVICE, workers=4)
    parked = f"{scene.topic}.parked"
    with scene.sidecar("--summary", ops_address="127.0.0.1:0", memory_bytes="32MiB", parking_topic=parked) as sidecar:
        ops = ops_of(sidecar)
        with arriving(scene, 14):
            sidecar.wait_until(lambda: total(ops.figures(), "tidegate_ladder_rung") == 1, 14, "rung DEFER")
            seen = watch(ops, sidecar, 6)
        for figures in seen:
            print(
                {
                    n: total(figures, f"tidegate_{n}")
                    for n in ("ladder_rung", "service_records_per_second", "lane_lag_records", "buffer_records")
                }
            )
        print(sidecar.tail())
        scene.app.mode()
        scene.wait_events(sidecar, 14 * RATE, 60)
        print(changes(sidecar))
        sidecar.stop()
    print(sidecar.stderr, sidecar.stdout if hasattr(sidecar, "stdout") else "")
