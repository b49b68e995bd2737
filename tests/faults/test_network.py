"""A bad network, between tidegate and the broker and between tidegate and the app: everything passes toxiproxy, the
advertised listener too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from faults.flow import require_conserved, stream, wait_flowing
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from faults.story import MARGIN_NS, Mark, Story
from harness import fixtures, toxiproxy
from harness.fixtures import Scenes, real_broker
from harness.healing import catch_up
from harness.kafka import KafkaServer
from harness.parallel import side_by_side
from harness.ports import free_ports
from harness.scene import Scene
from harness.toxiproxy import Link, Toxic, Toxiproxy

BATCH, CONCURRENCY = 50, 4
TIMEOUT_SECONDS = 2.0  # of a request to the app; the group's session is 3 s
SETTINGS: dict[str, Any] = {
    "sink_timeout_ms": int(TIMEOUT_SECONDS * 1000),
    "batch_max_records": BATCH,
    "concurrency": CONCURRENCY,
}
CATCH_UP_SECONDS = 30.0  # after healing, whatever the fault was
SHORT = 1.5 * ROUNDS
TEST = "test_network.py::test_a_bad_network"


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad network for some seconds; ``costs`` says what may come twice for it (see the bounds)."""

    name: str
    toxics: Sequence[Toxic]
    seconds: float = SHORT
    costs: str = "nothing"


# The stream is some 85 KB/s. "held" faults pass bytes on that tidegate has given up waiting for.
TO_APP: tuple[tuple[Fault, ...], ...] = (
    (
        Fault("100 ms of latency, 50 ms of jitter", [toxiproxy.latency(100, 50)]),
        Fault("a black hole, beyond the request's timeout", [toxiproxy.blackhole()], TIMEOUT_SECONDS + SHORT, "taken"),
        Fault("bytes in slices of 50", [toxiproxy.slicer(50, 200)]),
    ),
    (
        Fault("1 MB/s: enough", [toxiproxy.bandwidth(1000)]),
        Fault("connections end after 20 KB", [toxiproxy.limit_data(20_000, toxiproxy.UPSTREAM)], costs="taken"),
        Fault("a partition, beyond the request's timeout", [toxiproxy.partition()], TIMEOUT_SECONDS + SHORT, "held"),
    ),
    (
        Fault("connections reset", [toxiproxy.reset()], costs="taken"),
        Fault("12 KB/s for each connection: too little", [toxiproxy.bandwidth(12)], 2 * SHORT, "held"),
        Fault("answers end after 1 KB", [toxiproxy.limit_data(1000, toxiproxy.DOWNSTREAM)], costs="taken"),
        Fault(
            "connections end after 20 KB, a second late",
            [toxiproxy.limit_data(20_000, toxiproxy.UPSTREAM), toxiproxy.slow_close(1000)],
            costs="taken",
        ),
    ),
)
TO_BROKER: tuple[tuple[Fault, ...], ...] = (
    (
        Fault("100 ms of latency, 50 ms of jitter", [toxiproxy.latency(100, 50)]),
        Fault("a black hole, beyond the session", [toxiproxy.blackhole()], 5 * ROUNDS, "session"),
        Fault("bytes in slices of 50", [toxiproxy.slicer(50, 200)]),
    ),
    (
        Fault("1 MB/s: enough", [toxiproxy.bandwidth(1000)]),
        Fault("a partition, beyond the session", [toxiproxy.partition()], 5 * ROUNDS, "session"),
        Fault("connections end after 50 KB", [toxiproxy.limit_data(50_000)], costs="session"),
    ),
    (
        Fault("connections reset", [toxiproxy.reset()], costs="session"),
        Fault("40 KB/s: too little", [toxiproxy.bandwidth(40)], 2 * SHORT),
        Fault(
            "connections end after 50 KB, a second late",
            [toxiproxy.limit_data(50_000), toxiproxy.slow_close(1000)],
            costs="session",
        ),
    ),
)


def _app_bound(story: Story, fault: Fault, mark: Mark) -> int:
    """What may come twice: where answers are lost, what the app took meanwhile; where bytes only come late, each try
    of what was in flight, since the app gets them all. Otherwise nothing.
    """
    if fault.costs == "taken":
        return story.taken(mark.begun_ns - MARGIN_NS, mark.healed_ns)
    tries = 1 + math.ceil(fault.seconds / TIMEOUT_SECONDS)
    return BATCH * CONCURRENCY * tries if fault.costs == "held" else 0


def _broker_bound(story: Story, fault: Fault, mark: Mark) -> int:
    """Where the session may end: what no commit covered by then, and what was sent until the group said so."""
    if fault.costs != "session":
        return 0
    return story.most_exposed(mark.begun_ns, mark.healed_ns) + BATCH * CONCURRENCY


@dataclass(frozen=True, slots=True)
class Way:
    """Between whom, and what that means for a sidecar behind ``link``."""

    to: str
    expected: str
    bound: Callable[[Story, Fault, Mark], int]
    settings: Callable[[Link], dict[str, Any]]


APP = Way(
    "to the app",
    "nothing lost; twice only what the app took and could not say so; lag gone within 30 s",
    _app_bound,
    lambda link: {"sink_url": f"http://127.0.0.1:{link.port}/events"},
)
BROKER = Way(
    "to the broker",
    "nothing lost; twice at most what no commit covered where the session ended; lag gone within 30 s",
    _broker_bound,
    lambda link: {"kafka_bootstrap_servers": f"127.0.0.1:{link.port}", "kafka_reconnect_backoff_max_ms": 500},
)


def bad_network(way: Way, scene: Scene, link: Link, faults: Sequence[Fault], matrix: Matrix) -> None:
    """Each fault in turn with events flowing, a row for each."""
    sidecar = scene.sidecar("--summary", **SETTINGS, **way.settings(link))
    marks: list[tuple[Fault, Mark, float]] = []
    with stream(scene):
        wait_flowing(scene, sidecar)
        catch_up(scene, sidecar, CATCH_UP_SECONDS, "the start")
        for fault in faults:
            mark = Mark(fault.name)
            link.set(*fault.toxics)
            time.sleep(fault.seconds)
            assert sidecar.alive, sidecar.tail()
            link.set()
            mark.heal()
            seconds = catch_up(scene, sidecar, CATCH_UP_SECONDS, f"{way.to}, {fault.name}")
            mark.over()
            marks.append((fault, mark, seconds))
    scene.wait_settled(sidecar, CATCH_UP_SECONDS)
    sidecar.stop(12)
    require_conserved(sidecar)
    story = Story(scene, [mark for _, mark, _ in marks] if way is BROKER else [])
    bounds = [way.bound(story, fault, mark) for fault, mark, _ in marks]
    for (fault, mark, seconds), bound in zip(marks, bounds, strict=True):
        name = f"{way.to}: {fault.name}"
        report = story.report(mark.begun_ns, mark.over_ns, bound, name)
        matrix.add(TEST, name, way.expected, report, exposed=bound, seconds=seconds, timed="from healing to no lag")
    story.judge(sum(bounds))


@pytest.mark.kafka
def test_a_bad_network(scenes: Scenes, matrix: Matrix) -> None:
    fixtures.require_java()
    fixtures.require_toxiproxy()
    count = len(TO_BROKER)
    ports = free_ports(2 * count)
    targets, proxied = ports[:count], ports[count:]
    names = [f"PROXIED{number}" for number in range(count)]
    listeners, advertised = dict(zip(names, targets, strict=True)), dict(zip(names, proxied, strict=True))
    with Toxiproxy() as toxic, KafkaServer(listeners=listeners, advertised=advertised) as server:
        jobs: list[tuple[str, Callable[[], None]]] = []
        for number, faults in enumerate(TO_BROKER):
            scene = scenes(real_broker(server.bootstrap_servers), name=f"broker-network-{number}")
            link = toxic.link(f"broker-{number}", targets[number], proxied[number])
            jobs.append((f"to the broker {number}", partial(bad_network, BROKER, scene, link, faults, matrix)))
        for number, faults in enumerate(TO_APP):
            scene = scenes(real_broker(server.bootstrap_servers), name=f"app-network-{number}")
            link = toxic.link(f"app-{number}", scene.app.port)
            jobs.append((f"to the app {number}", partial(bad_network, APP, scene, link, faults, matrix)))
        side_by_side(jobs, JOB_SECONDS)
