"""kill -9 on each rung of the ladder and during replay, and members that come and go meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from faults.detour import (
    IN_FLIGHT,
    RATE,
    RUNGS,
    SERVICE,
    SETTINGS,
    finish,
    killed_in_replay,
    killed_on,
    park_some,
    scene_for,
    slow,
    wait_defer,
)
from faults.flow import exposed_flowing, require_conserved, shares, stream
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from harness.deferring import Deferring, replayed
from harness.parallel import side_by_side
from harness.scene import Broker
from harness.watched import WatchedScene, WatchedScenes

KILLS = 2 * ROUNDS
FLAPS = ROUNDS


def test_kill_9_on_each_rung(kafka_broker: Broker, scenes: WatchedScenes, matrix: Matrix) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice, test = random.Random(seed), "test_parking.py::test_kill_9_on_each_rung"
    jobs = []
    for rung in RUNGS:
        scene = scene_for(scenes, kafka_broker, f"kill-{rung.name.lower()}")
        job = killed_on(scene, rung, matrix, test, KILLS, dice.getrandbits(32))
        jobs.append((rung.name, job))
    scene = scene_for(scenes, kafka_broker, "kill-replay")
    jobs.append(("replay", killed_in_replay(scene, matrix, test, KILLS, dice.getrandbits(32))))
    side_by_side(jobs, JOB_SECONDS)


def flapping_while_parking(scene: WatchedScene, matrix: Matrix, test: str) -> Callable[[], None]:
    """A job: a second member joins and leaves while both park."""

    def job() -> None:
        slow(scene)
        first = Deferring(scene, name="first", **SETTINGS)
        bound, slowest = 0, 0.0
        with stream(scene, rate=RATE):
            wait_defer(first)
            first.wait_parked(RATE)
            for flap in range(FLAPS):
                bound += exposed_flowing(scene) + 2 * IN_FLIGHT
                second, seconds = joined(scene, f"second-{flap}", first)
                slowest = max(slowest, seconds)
                second.force("defer")
                time.sleep(2)
                bound += exposed_flowing(scene) + 2 * IN_FLIGHT
                slowest = max(slowest, left(scene, second, first))
                time.sleep(1)
        fault = f"a second member joins and leaves while records are parked ({scene.protocol} protocol)"
        finish(scene, matrix, test, fault, bound, bound, slowest, first, timed="to share, or to take over, at worst")

    return job


def flapping_in_replay(scene: WatchedScene, matrix: Matrix, test: str) -> Callable[[], None]:
    """A job: the same while parked records come back."""

    def job() -> None:
        first = park_some(scene, 4 * RATE)
        slow(scene, 2 * SERVICE)
        bound, slowest = 0, 0.0
        for flap in range(FLAPS):
            before = len(replayed(scene.app.requests()))
            first.sidecar.wait_until(lambda before=before: len(replayed(scene.app.requests())) > before, 40, "a replay")
            bound += exposed_flowing(scene) + 2 * IN_FLIGHT
            second, seconds = joined(scene, f"second-{flap}", first)
            slowest = max(slowest, seconds)
            time.sleep(4)
            bound += exposed_flowing(scene) + 2 * IN_FLIGHT
            slowest = max(slowest, left(scene, second, first))
        fault = f"a second member joins and leaves while records come back ({scene.protocol} protocol)"
        finish(scene, matrix, test, fault, bound, bound, slowest, first, timed="to share, or to take over, at worst")

    return job


def joined(scene: WatchedScene, name: str, first: Deferring) -> tuple[Deferring, float]:
    """Another member, once it has its share of the topic and of the parking topic; and the seconds that took."""
    begun = time.monotonic()
    second = Deferring(scene, name=name, **SETTINGS)
    half = scene.partitions
    first.sidecar.wait_until(lambda: shares(scene) == [half, half], 40, "a share for each")
    return second, time.monotonic() - begun


def left(scene: WatchedScene, second: Deferring, first: Deferring) -> float:
    """It ends; the seconds until the first has everything."""
    begun = time.monotonic()
    second.sidecar.stop()
    require_conserved(second.sidecar)
    first.sidecar.wait_until(lambda: shares(scene) == [2 * scene.partitions], 40, "all to the first")
    return time.monotonic() - begun


@pytest.mark.skipif(ROUNDS == 1, reason="a minute of its own: make faults")
def test_members_that_come_and_go(kafka_broker: Broker, scenes: WatchedScenes, matrix: Matrix) -> None:
    test = "test_parking.py::test_members_that_come_and_go"
    jobs = []
    for protocol in ("classic", "consumer"):
        for job, name in ((flapping_while_parking, "park"), (flapping_in_replay, "replay")):
            scene = scene_for(scenes, kafka_broker, f"flap-{name}-{protocol}", protocol=protocol)
            jobs.append((f"{protocol} {name}", job(scene, matrix, test)))
    side_by_side(jobs, JOB_SECONDS)
