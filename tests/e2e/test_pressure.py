"""A whole sidecar before an app that is at a quarter of what comes: what it senses, which rung that is, and back."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from harness.fixtures import Scenes
from harness.produce import shop_events
from harness.scene import Broker, Scene, event_class
from harness.sidecar import Sidecar
from ops.conftest import Figures, Ops, ops_of

RATE, SERVICE = 1600, 400  # records per second
PAD = 1000  # bytes: the smallest budget's rings are full of it after some seconds
SECONDS = 14
SHOWN = (
    "ladder_rung",
    "offered_records_per_second",
    "service_records_per_second",
    "completed_records_per_second",
    "target_utilisation",
    "lane_lag_records",
    "lane_head_age_seconds",
)
PARTITIONS = 12  # the embedded broker keeps 5 MiB of each


@contextmanager
def arriving(scene: Scene, seconds: int) -> Iterator[None]:
    """So many seconds of load, a tenth at a time, beside the block; all of it is there at the end."""

    def send() -> None:
        begun = time.monotonic()
        for part in range(seconds * 10):
            scene.send(shop_events(RATE // 10, scene.partitions, start=part * RATE // 10, pad=PAD))
            time.sleep(max(0.0, begun + (part + 1) / 10 - time.monotonic()))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()


def total(figures: Figures, name: str) -> float:
    return sum(figures.get(name, {}).values())


def changes(sidecar: Sidecar) -> list[dict[str, Any]]:
    """The lines about changes of the rung."""
    lines = [json.loads(line) for line in sidecar.stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "the rung changed"]


def watch(ops: Ops, sidecar: Sidecar, seconds: float) -> list[Figures]:
    """The figures of each second until then."""
    seen, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1.01)  # the text may be a second old
        seen.append(ops.figures())
        assert sidecar.alive, sidecar.tail()
    return seen


def test_an_app_at_a_quarter_of_the_load(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker, partitions=PARTITIONS)
    scene.app.mode(ms_per_event=1000 * 4 / SERVICE, workers=4)
    with scene.sidecar("--summary", ops_address="127.0.0.1:0", memory_bytes="16MiB") as sidecar:
        ops = ops_of(sidecar)
        with arriving(scene, SECONDS):
            sidecar.wait_until(lambda: total(ops.figures(), "tidegate_ladder_rung") == 3, SECONDS, "rung HOLD")
            seen = watch(ops, sidecar, 6)
        for figures in seen:
            print(*(f"{name} {total(figures, f'tidegate_{name}'):.4g}" for name in SHOWN))

        def usual(name: str) -> float:  # one second may be an odd one where the machine has more to do
            return median(total(figures, f"tidegate_{name}") for figures in seen[2:])

        assert usual("ladder_rung") == 3
        assert 0.6 * RATE < usual("offered_records_per_second") < 1.4 * RATE, sidecar.tail()  # held or not
        assert 0.5 * SERVICE < usual("service_records_per_second") < 1.5 * SERVICE, sidecar.tail()
        assert 0.5 * SERVICE < usual("completed_records_per_second") < 1.5 * SERVICE
        assert usual("target_utilisation") > 0.9
        assert usual("keep_share") == 4  # without a parking topic all are protected
        assert total(seen[-1], "tidegate_lane_lag_records") > RATE
        assert total(seen[-1], "tidegate_lane_head_age_seconds") > 1
        scene.app.mode()
        scene.wait_settled(sidecar)
        sidecar.wait_until(lambda: total(ops.figures(), "tidegate_ladder_rung") == 0, 15, "rung NORMAL")
        figures = watch(ops, sidecar, 3)[-1]
        for name in ("lane_lag_records", "lane_head_age_seconds"):
            assert total(figures, f"tidegate_{name}") == 0, name
        assert total(figures, "tidegate_offered_records_per_second") < 0.05 * RATE
        assert total(figures, "tidegate_conservation_error") == 0
        up, *between, down = changes(sidecar)
        assert (up["before"], up["rung"], down["rung"]) == ("normal", "hold", "normal"), sidecar.tail()
        assert len(between) <= 2, sidecar.tail()
        assert re.fullmatch(r"[\d.]+", str(up["service"]))
        assert 0.5 * RATE < sum(up[f"offered_{name}"] for name in ("critical", "high", "bulk")) < 1.5 * RATE
        sidecar.stop()
    scene.judge(classes=event_class)
