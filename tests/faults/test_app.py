"""The app misbehaves while events flow, one way after the other in one run: the sidecar stays up and catches up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from faults.flow import judge_flowing, require_conserved, stream, unsaid, wait_flowing
from faults.rows import ROUNDS, Matrix
from harness.fixtures import Scenes
from harness.healing import HEALED_SECONDS, catch_up
from harness.parallel import side_by_side
from harness.proxy import Fault, TcpProxy
from harness.scene import Broker, Scene, event_class
from harness.sidecar import Sidecar

FAULT_SECONDS = 1.5 * ROUNDS
SETTINGS: dict[str, Any] = {"sink_timeout_ms": 700, "batch_max_records": 50, "concurrency": 4}
IN_FLIGHT = 50 * 4
TEST = "test_app.py::test_an_app_that_misbehaves"
EXPECTED = "nothing lost; twice only what the app took unsaid or Kafka had no commit of; lag gone within 30 s"

# name in the table -> how the app behaves
RUNS: list[dict[str, tuple[str, dict[str, Any]]]] = [
    {
        "is slow": ("ok", {"ms_per_event": 5.0, "workers": 2}),
        "hangs before reading": ("hang-before", {}),
        "hangs after reading: the answer is lost": ("hang-after", {}),
        "refuses connections": ("down", {}),
    },
    {
        "resets within the request's body": ("reset-before", {}),
        "resets after reading": ("reset-after", {}),
        "ends the connection within its answer": ("cut-answer", {}),
        "answers what is not HTTP": ("garbage", {}),
        "answers 503": ("refuse", {"status": 503}),
    },
]
NETWORK = {
    "100 ms of latency": Fault(latency_ms=50),
    "a black hole": Fault(blackhole=True),
    "connections reset": Fault(reset=True),
    "bytes in slices of 50": Fault(latency_ms=0.2, slice_bytes=50),
}


def phases(
    scene: Scene,
    sidecar: Sidecar,
    matrix: Matrix,
    test: str,
    orders: Mapping[str, Callable[[], object]],
    heal: Callable[[], object],
    exposed: Callable[[int], int],
) -> None:
    """Each order in turn with events flowing, a row for each; ``exposed`` bounds all duplicates after n faults."""
    seen = before = bound = 0
    with stream(scene):
        wait_flowing(scene, sidecar)
        for number, (fault, order) in enumerate(orders.items(), 1):
            order()
            time.sleep(FAULT_SECONDS)
            assert sidecar.alive, sidecar.tail()
            heal()
            seconds = catch_up(scene, sidecar)
            allowed = exposed(number)
            report = judge_flowing(scene, allowed)
            report.duplicates, before = report.duplicates - before, report.duplicates
            report.records, seen = report.records - seen, report.records
            report.pending = 0  # the stream goes on: at the end there must be none
            matrix.add(
                test, fault, EXPECTED, report, exposed=allowed - bound, seconds=seconds, timed="from healing to no lag"
            )
            bound = allowed
    scene.wait_settled(sidecar, HEALED_SECONDS)
    sidecar.stop(12)
    require_conserved(sidecar)
    assert scene.judge(duplicates=exposed(len(orders)), classes=event_class).pending == 0


def test_an_app_that_misbehaves(kafka_broker: Broker, scenes: Scenes, matrix: Matrix) -> None:
    def run(scene: Scene, ways: dict[str, tuple[str, dict[str, Any]]]) -> None:
        sidecar = scene.sidecar("--summary", **SETTINGS)
        orders = {f"the app {name}": _order(scene, mode, more) for name, (mode, more) in ways.items()}
        phases(
            scene,
            sidecar,
            matrix,
            TEST,
            orders,
            scene.app.mode,
            # A slow app may answer when nobody waits any more: its log has that as said.
            lambda _: unsaid(scene) + (IN_FLIGHT if "is slow" in ways else 0),
        )

    def network(scene: Scene) -> None:
        with TcpProxy(scene.app.port) as proxy:
            sidecar = scene.sidecar("--summary", sink_url=f"http://127.0.0.1:{proxy.port}/events", **SETTINGS)
            orders = {f"to the app: {name}": partial(proxy.set, fault) for name, fault in NETWORK.items()}
            # What was answered into the hole comes again: no more than was in flight, at each fault.
            phases(scene, sidecar, matrix, TEST, orders, proxy.set, lambda faults: unsaid(scene) + IN_FLIGHT * faults)

    jobs = [(f"run {n}", _job(run, scenes(kafka_broker, name=f"app-{n}"), ways)) for n, ways in enumerate(RUNS)]
    jobs.append(("network", _job(network, scenes(kafka_broker, name="app-network"))))
    side_by_side(jobs)


def _order(scene: Scene, mode: str, more: dict[str, Any]) -> Callable[[], object]:
    return lambda: scene.app.mode(mode, **more)


def _job(run: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: run(*arguments)
