"""What the fault tests share: a steady stream, bounds on duplicates, and the app's view of how long a fault lasted."""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import pairwise
from typing import Any

from confluent_kafka import KafkaException

from harness.applog import Request
from harness.checker import Report, exposed
from harness.scene import Scene, event_class
from harness.sidecar import Sidecar
from harness.stream import EVENTS_PER_SECOND as EVENTS_PER_SECOND
from harness.stream import stream as stream
from harness.topics import Partition, assignments


def wait_flowing(scene: Scene, sidecar: Sidecar, timeout: float = 40, what: str = "events flow") -> float:
    """Waits for events that the app has not seen before; returns the seconds that took."""
    begun, before = time.monotonic(), scene.app.stats()["distinct"]
    sidecar.wait_until(lambda: scene.app.stats()["distinct"] > before, timeout, what)
    return time.monotonic() - begun


def shares(scene: Scene) -> list[int]:
    """How many partitions each member has, the fewest first; at leisure, since each question is a connection."""
    time.sleep(0.2)
    try:
        return assignments(scene.servers, scene.group)
    except KafkaException:
        return []  # its coordinator is still loading


def partitions_in(request: Request) -> set[Partition]:
    """The partitions that a request carries, by its X-Tidegate-Offsets header."""
    places = (part.rpartition(":")[0].rpartition("/") for part in request.offsets.split(";") if part)
    return {(topic, int(number)) for topic, _, number in places}


def longest_pause(requests: list[Request], since_ns: int, until_ns: int) -> float:
    """Seconds for which, at worst, one partition of a steady stream brought nothing: what its hand-over took.

    The app's clock, not tidegate's word for it; what the stream itself leaves between two records is included.
    """
    times: dict[Partition, list[int]] = defaultdict(list)
    for request in requests:
        if since_ns <= request.time_ns <= until_ns:
            for partition in partitions_in(request):
                times[partition].append(request.time_ns)
    return max((b - a for moments in times.values() for a, b in pairwise(moments)), default=0) / 1e9


def require_conserved(*sidecars: Sidecar) -> None:
    """Conservation after the end of each (``--summary``): whatever was polled is in exactly one disposition."""
    for sidecar in sidecars:
        for label, counts in sidecar.summary()["classes"].items():
            ended = sum(counts.values()) - counts["polled"]
            assert counts["polled"] == ended, f"{sidecar.name}, {label}: {counts}"


def judge_flowing(scene: Scene, duplicates: int, **expectations: Any) -> Report:
    """A verdict while the stream goes on: commits are asked first, then what is parked, then the app, then the topic.

    So each is at least as far as the one before it, and whatever is missing is missing.
    """
    return Scene.judge(scene, drained=False, duplicates=duplicates, classes=event_class, **expectations)


def exposed_flowing(scene: Scene) -> int:
    """What comes again from here on, asked while others go on: commits first, so that it is rather too much."""
    committed, parking, requests = scene.committed(), scene.read_parked(), scene.app.requests()
    return exposed(scene.read()[0], requests, committed, parking)
