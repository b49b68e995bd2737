"""A slow app under a bulk backlog: an order waits for little, because little was given to the app before it."""

from __future__ import annotations

import statistics
import time

from harness import produce
from harness.fixtures import Scenes, embedded_broker
from harness.scene import Scene
from tidegate.broker.embedded import EmbeddedBroker

BACKLOG, ORDERS = 36_000, 20  # what half of the embedded broker holds


def ends(scene: Scene) -> list[int]:
    """When the app was done with each order."""
    return [r.done_ns for r in scene.app.requests() if r.klass == "critical" and r.acknowledged for _ in r.ids]


def order_waits(scene: Scene, limiter: str) -> list[float]:
    """Seconds from the append of an order to the end of the app's work on it, while bulk waits for the same app."""
    events = list(produce.shop_events(BACKLOG, scene.partitions))
    scene.send(event for event in events if event.type != "purchase")
    orders = [event for event in events if event.type == "purchase"][:ORDERS]
    scene.app.mode(ms_per_event=0.8, workers=4)
    sent = []
    # The embedded broker answers a fetch that found nothing only when its time is over, whatever arrives meanwhile.
    with scene.sidecar(limiter=limiter, kafka_fetch_wait_max_ms=10) as sidecar:
        scene.wait_events(sidecar, 5000)
        for order in orders:
            scene.send([order])
            sent.append(time.time_ns())
            time.sleep(0.05)
        behind = BACKLOG * 0.97 - scene.app.stats()["distinct"]
        assert behind > 2000, "the backlog has to last longer than the orders"
        sidecar.wait_until(lambda: len(ends(scene)) == ORDERS, 30, "all orders at the app")
    return [(end - begin) / 1e9 for begin, end in zip(sent, sorted(ends(scene)), strict=True)]


def test_orders_beside_a_backlog(scenes: Scenes) -> None:
    waits = {}
    for name in ("adaptive", "fixed"):
        with EmbeddedBroker() as embedded:
            waits[name] = order_waits(scenes(embedded_broker(embedded), name=name), name)
    adaptive, fixed = (statistics.median(waits[name]) for name in ("adaptive", "fixed"))
    assert adaptive * 3 < fixed, waits
    assert adaptive < 0.25, waits
