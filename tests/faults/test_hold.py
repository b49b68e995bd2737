"""Lanes that are held and paused, on a real Kafka: membership, what holding fetches, and hand-overs amid it."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from faults.conftest import Counted
from faults.flow import require_conserved, shares
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from harness.fixtures import Scenes
from harness.parallel import side_by_side
from harness.produce import shop_events
from harness.scene import Scene, event_class
from harness.sidecar import Sidecar
from harness.toxiproxy import Link

TEST = "test_hold.py::test_lanes_that_are_held"
POLL_SECONDS = 3.0  # max.poll.interval.ms; the session is as long, for a machine with other work on it
HELD_SECONDS = 10.5 * POLL_SECONDS * ROUNDS
CATCH_UP_SECONDS = 30
BATCH, CONCURRENCY = 50, 4
# The smallest budget: librdkafka then queues 1.1 MiB for a topic, and rings hold 5.6 MiB.
MEMBER: dict[str, Any] = {
    "kafka_session_timeout_ms": int(POLL_SECONDS * 1000),
    "kafka_heartbeat_interval_ms": 500,
    "kafka_max_poll_interval_ms": int(POLL_SECONDS * 1000),
    "drain_seconds": 0.5,
    "memory_bytes": "16MiB",
    "sink_timeout_ms": 700,
}
# Memory runs short only where the app keeps all that it may be given: many small batches, no limiter to prevent it, and
# time enough to be given them before it counts as down.
SHORT: dict[str, Any] = {
    "batch_max_bytes": "64KiB",
    "batch_max_records": 500,
    "concurrency": 64,
    "limiter": "fixed",
    "sink_timeout_ms": 4000,
}
MUCH = 60_000  # records: more than all shares take
IN_FLIGHT = 9_000  # of them, at most
QUIET_BYTES = 16 << 10  # a second of heartbeats and commits
PURGED_BYTES = 4 << 20  # at most, of a pause: the queue's limit, a response in hand, and again for what is cut off


def figure(sidecar: Sidecar, name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels; 0 where there are none."""
    sidecar.wait_log("ops endpoints are there")
    found = re.search(r'"address": "([\d.:]+)", "event": "ops endpoints are there"', sidecar.stderr)
    assert found, sidecar.tail()
    with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if re.match(rf"{name}[{{ ]", line) and all(label in line for label in wanted)
    )


def behind(link: Link) -> dict[str, str]:
    return {"kafka_bootstrap_servers": f"127.0.0.1:{link.port}"}


def fetched(scene: Scene, link: Link) -> int:
    """What the topic costs when nothing holds it: another group reads it the same way."""
    before = link.answered_bytes
    scene.sidecar(
        "--until-end",
        name="plain",
        group_id=f"{scene.group}.plain",
        sink_url="blackhole:",
        memory_bytes="16MiB",
        **behind(link),
    ).finish()
    return link.answered_bytes - before


def stays(scene: Scene, sidecar: Sidecar, seconds: float) -> None:
    """It keeps all of its partitions, and librdkafka never thought that nobody polls."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert (found := shares(scene)) in ([4], []), f"{found}\n{sidecar.tail()}"
        time.sleep(0.5)
    assert sidecar.alive, sidecar.tail()
    assert not re.search("MAXPOLL|partitions lost", sidecar.stderr), sidecar.tail()


def held(scene: Scene, link: Link, matrix: Matrix) -> Callable[[], None]:
    """Held by the control, for what can wait while the app is down: fetched once, and a member all the while."""

    def job() -> None:
        scene.app.mode("down")
        scene.produce(50)
        before = link.answered_bytes
        sidecar = scene.sidecar("--summary", bulk=f"topic:{scene.topic}", **MEMBER, **behind(link))
        sidecar.wait_until(lambda: figure(sidecar, "tidegate_lanes_held", reason="app-down") == 1, 30, "held")
        scene.send(shop_events(10_000, 4, start=50, pad=1000), batch_size=16384)
        stays(scene, sidecar, 3)
        queued = link.answered_bytes
        stays(scene, sidecar, HELD_SECONDS - 3)
        assert link.answered_bytes - queued < QUIET_BYTES * HELD_SECONDS, "it goes on fetching"
        assert figure(sidecar, "tidegate_lane_held_seconds_total", reason="app-down") >= HELD_SECONDS - 1
        assert figure(sidecar, "tidegate_lane_pauses_total") == 0
        scene.app.mode()
        begun = time.monotonic()
        scene.wait_settled(sidecar, CATCH_UP_SECONDS)
        seconds = time.monotonic() - begun
        sidecar.stop(12)
        took = link.answered_bytes - before
        once = fetched(scene, link)
        assert took < 1.05 * once + (256 << 10) + QUIET_BYTES * HELD_SECONDS, f"{took} bytes; without a hold {once}"
        require_conserved(sidecar)
        matrix.add(
            TEST,
            f"a topic that can wait is held for {HELD_SECONDS / POLL_SECONDS:.0f} times max.poll.interval.ms",
            "stays a member; no byte is fetched a second time; flows again",
            scene.judge(classes=lambda _: "bulk"),
            seconds=seconds,
            timed="from the app's return to no lag",
        )

    return job


def paused(scene: Scene, link: Link, matrix: Matrix) -> Callable[[], None]:
    """Nothing is settled, and what was fetched ahead fills the memory: the last rung, and not too often."""

    def job() -> None:
        scene.app.mode("hang-before")
        scene.send(shop_events(MUCH, 4, pad=100), batch_size=16384)
        before = link.answered_bytes
        sidecar = scene.sidecar("--summary", **MEMBER | SHORT, **behind(link))
        sidecar.wait_until(lambda: figure(sidecar, "tidegate_lane_paused") == 1, 30, "paused")
        stays(scene, sidecar, HELD_SECONDS - 5)
        pauses = figure(sidecar, "tidegate_lane_pauses_total")
        assert pauses <= 6 * max(1, HELD_SECONDS / 60)
        purged = figure(sidecar, "tidegate_lane_purged_records_total")
        assert purged > 0
        scene.app.mode()
        begun = time.monotonic()
        scene.wait_settled(sidecar, CATCH_UP_SECONDS)
        seconds = time.monotonic() - begun
        pauses = figure(sidecar, "tidegate_lane_pauses_total")
        sidecar.stop(12)
        took = link.answered_bytes - before
        once = fetched(scene, link)
        print(f"{pauses:.0f} pauses, {purged:.0f} records purged, {took} bytes fetched, {once} without a hold")
        assert took < 1.05 * once + pauses * PURGED_BYTES, f"{took} bytes, {pauses} pauses; without a hold {once}"
        require_conserved(sidecar)
        matrix.add(
            TEST,
            "the app hangs with all that it may be given: the topic is paused",
            f"stays a member; at most six pauses a minute, each fetches at most {PURGED_BYTES >> 20} MiB again",
            scene.judge(duplicates=IN_FLIGHT, classes=event_class),
            exposed=IN_FLIGHT,
            seconds=seconds,
            timed="from the app's return to no lag",
        )

    return job


def handed_over(scene: Scene, matrix: Matrix, pause: bool) -> Callable[[], None]:
    """Half of a lane is taken away and given back. A hold stands all the while. A pause ends in between: librdkafka
    keeps what went away paused, without a word, and it must flow all the same."""

    def job() -> None:
        settings = MEMBER | {"batch_max_records": BATCH, "concurrency": CONCURRENCY}
        if scene.protocol == "consumer":  # these are the broker's
            settings = {name: value for name, value in settings.items() if not name.startswith("kafka_")}
        if pause:
            scene.app.mode("hang-before")
            scene.send(shop_events(MUCH, 4, pad=100), batch_size=16384)
            settings |= SHORT
        else:
            scene.app.mode("down")
            scene.produce(1000)
            settings |= {"bulk": f"topic:{scene.topic}"}
        first = scene.sidecar("--summary", name="first", **settings)

        def so_it_is() -> bool:
            name, labels = ("lane_paused", {}) if pause else ("lanes_held", {"reason": "app-down"})
            return figure(first, f"tidegate_{name}", **labels) == 1

        first.wait_until(so_it_is, 30, "held")
        allowed = 0
        for _ in range(ROUNDS):
            # Nothing is answered, so what is in flight now is so when the partitions go; an answer then comes too late.
            allowed += int(figure(first, "tidegate_in_flight_records"))
            second = scene.sidecar("--summary", name="second", **settings)
            second.wait_until(lambda: shares(scene) == [2, 2], 40, "a share for each")
            if pause:
                scene.app.mode()
                first.wait_until(lambda: not so_it_is(), 30, "resumed")
                allowed += IN_FLIGHT  # what the second has in flight when it goes
            second.stop(12)
            require_conserved(second)
            first.wait_until(lambda: shares(scene) == [4], 40, "all to the first")
        if not pause:
            time.sleep(0.5)
            first.wait_until(so_it_is, 5, "held still")
            scene.app.mode()
        scene.produce(100)
        begun = time.monotonic()
        scene.wait_settled(first, CATCH_UP_SECONDS)
        seconds = time.monotonic() - begun
        first.stop(12)
        require_conserved(first)
        how = "paused, given back resumed" if pause else "held, given back so"
        matrix.add(
            TEST,
            f"partitions of a topic are taken away {how} ({scene.protocol} protocol)",
            "all flow when the app is back; twice at most what was in flight",
            scene.judge(duplicates=allowed, classes=event_class if pause else lambda _: "bulk"),
            exposed=allowed,
            seconds=seconds,
            timed="from both to no lag",
        )

    return job


@pytest.mark.kafka
def test_lanes_that_are_held(counted: Counted, scenes: Scenes, matrix: Matrix) -> None:
    a, b = counted.links
    jobs = [
        ("held", held(scenes(counted.broker, name="held"), a, matrix)),
        ("paused", paused(scenes(counted.broker, name="paused"), b, matrix)),
    ]
    for protocol, pause in (("classic", True), ("consumer", False)):
        scene = scenes(counted.broker, protocol=protocol, name=f"held-{protocol}")
        jobs.append((f"handed over, {protocol}", handed_over(scene, matrix, pause)))
    side_by_side(jobs, JOB_SECONDS)
