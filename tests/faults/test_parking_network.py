"""A bad network between tidegate and the broker while records are parked: reading and parking go the same way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from faults.detour import RATE, finish, scene_for, wait_defer
from faults.flow import stream
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from faults.test_parking_topic import parking_sidecar, since_critical
from harness import fixtures, toxiproxy
from harness.fixtures import real_broker
from harness.kafka import KafkaServer
from harness.parallel import side_by_side
from harness.ports import free_ports
from harness.toxiproxy import Link, Toxic, Toxiproxy
from harness.watched import WatchedScene, WatchedScenes

TEST = "test_parking_network.py::test_a_bad_network_while_parking"
SECONDS = 2.5 * min(ROUNDS, 4)  # beyond two of them without a word from Kafka nothing is ordered to be parked
ON_TIME_SECONDS = 2.0
SESSION_SECONDS = 45  # no member is lost, so nothing may come twice
FAULTS: dict[str, Sequence[Toxic]] = {
    "100 ms of latency, 50 ms of jitter": [toxiproxy.latency(100, 50)],
    "a partition": [toxiproxy.partition()],
    "20 KB/s: too little": [toxiproxy.bandwidth(20)],
}
if ROUNDS > 1:
    FAULTS |= {"a black hole": [toxiproxy.blackhole()], "connections reset": [toxiproxy.reset()]}
# What may be parked in that time at most, so that it is known to be a fault.
MOST = {"a partition": 0, "a black hole": 0, "connections reset": 0, "20 KB/s: too little": int(0.4 * RATE * SECONDS)}


def disturbed(
    scene: WatchedScene, link: Link, name: str, toxics: Sequence[Toxic], matrix: Matrix
) -> Callable[[], None]:
    """A job: the fault for some seconds while records are parked."""

    def job() -> None:
        one = parking_sidecar(
            scene,
            kafka_bootstrap_servers=f"127.0.0.1:{link.port}",
            kafka_reconnect_backoff_max_ms=500,
            kafka_session_timeout_ms=SESSION_SECONDS * 1000,
        )
        with stream(scene, rate=RATE):
            wait_defer(one)
            one.wait_parked(RATE)
            link.set(*toxics)
            time.sleep(0.5)
            before = scene.parked().lag
            time.sleep(SECONDS)
            lag = scene.parked().lag
            assert lag - before <= MOST.get(name, lag), "it goes on as if nothing were"
            link.set()
            healed = time.monotonic()
            one.wait_parked(lag + RATE // 2, 40)  # by itself: nobody gives an order
            recovered = time.monotonic() - healed
            one.sidecar.wait_until(lambda: since_critical(scene) < ON_TIME_SECONDS, 20, "critical events on time again")
        fault = f"to the broker, while records are parked: {name}, for {SECONDS:g} s"
        one.replay(10 * RATE)
        finish(scene, matrix, TEST, fault, 0, 0, recovered, one, timed="from healing until records are parked again",
               expected="nothing lost, nothing twice")  # fmt: skip

    return job


@pytest.mark.kafka
def test_a_bad_network_while_parking(scenes: WatchedScenes, matrix: Matrix) -> None:
    fixtures.require_java()
    fixtures.require_toxiproxy()
    count = len(FAULTS)
    ports = free_ports(2 * count)
    targets, proxied = ports[:count], ports[count:]
    listeners = [f"PROXIED{number}" for number in range(count)]
    with (
        Toxiproxy() as toxic,
        KafkaServer(
            listeners=dict(zip(listeners, targets, strict=True)), advertised=dict(zip(listeners, proxied, strict=True))
        ) as server,
    ):
        jobs = []
        for number, (name, toxics) in enumerate(FAULTS.items()):
            scene = scene_for(scenes, real_broker(server.bootstrap_servers), f"parking-network-{number}")
            link = toxic.link(f"parking-{number}", targets[number], proxied[number])
            jobs.append((name, disturbed(scene, link, name, toxics, matrix)))
        side_by_side(jobs, JOB_SECONDS)
