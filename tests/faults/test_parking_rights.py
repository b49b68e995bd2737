"""The right to write to the parking topic: taken away while records are parked, and missing at the start.

What Kafka refuses is delivered. An idempotent producer that may write nowhere cannot even begin: librdkafka's client
fails for good, and another takes its place until one may.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from confluent_kafka.admin import AclOperation, ResourceType

from faults.detour import RATE, finish, scene_for, wait_defer
from faults.flow import stream, wait_flowing
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from faults.test_parking_topic import parking_sidecar
from harness import fixtures
from harness.deferring import Deferring, ages
from harness.fixtures import real_broker
from harness.parallel import side_by_side
from harness.rights import GuardedKafka, Rights
from harness.watched import WatchedScene, WatchedScenes

TEST = "test_parking_rights.py::test_the_right_to_park_is_missing"
WITHOUT_SECONDS = 1.5 * ROUNDS
CRITICAL_SECONDS = 1.5  # the oldest critical event, in all that
EXPECTED = "nothing lost, nothing twice: what Kafka refuses is delivered"
FOR_GOOD = "the producer of the parking topic failed for good"


def require_said(one: Deferring, event: str) -> None:
    """The log has lines of an event that say which right is to be given."""
    lines = [json.loads(line) for line in one.sidecar.stderr.splitlines() if line.startswith("{") and line[-1] == "}"]
    hints = {line.get("hint", "") for line in lines if line["event"].startswith(event)}
    right = f"Allow this client to WRITE and DESCRIBE the topic {one.scene.parking}"
    assert any(right in hint for hint in hints), hints


def require_critical_on_time(scene: WatchedScene, between_ns: tuple[int, int]) -> None:
    """No critical event came late to the app meanwhile."""
    late = [record for record in scene.read()[0] if (record.timestamp_ms or 0) * 1_000_000 >= between_ns[0]]
    oldest = ages(late, scene.app.requests(), "critical", between_ns)[-1]
    print(f"{scene.topic}: the oldest critical event was {oldest:.2f} s old")
    assert oldest < CRITICAL_SECONDS


def taken(scene: WatchedScene, server: GuardedKafka, user: str, matrix: Matrix) -> Callable[[], None]:
    """A job: the right is taken while records are parked, and given back."""

    def job() -> None:
        rights, parking = Rights(server.bootstrap_servers, user), scene.parking or ""
        rights.allow_parking(scene.topic, parking, scene.group)
        one = parking_sidecar(scene, **server.settings(user))
        with stream(scene, rate=RATE):
            wait_defer(one)
            one.wait_parked(RATE)
            begun_ns = time.time_ns()
            rights.take(ResourceType.TOPIC, parking, AclOperation.WRITE)
            one.sidecar.wait_log("records could not be parked", 20)
            time.sleep(WITHOUT_SECONDS)
            wait_flowing(scene, one.sidecar, 20)
            rights.allow(ResourceType.TOPIC, parking, AclOperation.WRITE)
            healed, lag = time.monotonic(), scene.parked().lag
            one.wait_parked(lag + RATE // 2, 40)  # by itself: nobody gives an order
            recovered, over_ns = time.monotonic() - healed, time.time_ns()
        fault = "the right to write to the parking topic is taken away while records are parked, and given back"
        timed = "until records are parked again"
        one.replay(10 * RATE)
        finish(scene, matrix, TEST, fault, 0, 0, recovered, one, timed=timed, expected=EXPECTED)
        require_critical_on_time(scene, (begun_ns, over_ns))
        require_said(one, "records could not be parked")

    return job


def missing(scene: WatchedScene, server: GuardedKafka, user: str, matrix: Matrix) -> Callable[[], None]:
    """A job: the right is not there at the start, and given later."""

    def job() -> None:
        rights, parking = Rights(server.bootstrap_servers, user), scene.parking or ""
        rights.allow_parking(scene.topic, parking, scene.group)
        rights.take(ResourceType.TOPIC, parking, AclOperation.WRITE)
        one = parking_sidecar(scene, **server.settings(user))
        with stream(scene, rate=RATE):
            one.sidecar.wait_log(FOR_GOOD, 20)
            wait_flowing(scene, one.sidecar, 20)
            time.sleep(WITHOUT_SECONDS)
            begun_ns = time.time_ns()  # by now it has joined its group, and knows how slow the app is
            rights.allow(ResourceType.TOPIC, parking, AclOperation.WRITE)
            healed = time.monotonic()
            one.force("defer", 40)  # refused until there is a producer that may
            one.wait_parked(RATE // 2, 40)
            recovered, over_ns = time.monotonic() - healed, time.time_ns()
        assert one.figure("tidegate_parking_renewed_total") >= 1
        fault = "the right to write to the parking topic is missing at the start, and given while running"
        timed = "until records are parked"
        one.replay(10 * RATE)
        finish(scene, matrix, TEST, fault, 0, 0, recovered, one, timed=timed, expected=EXPECTED)
        require_critical_on_time(scene, (begun_ns, over_ns))
        require_said(one, FOR_GOOD)

    return job


def test_the_right_to_park_is_missing(scenes: WatchedScenes, matrix: Matrix) -> None:
    fixtures.require_java()
    jobs = {"taken": taken, "missing": missing}
    # A user each: who may write to any topic may begin to write.
    with GuardedKafka(*jobs) as server:
        broker = real_broker(server.bootstrap_servers)
        side_by_side(
            [
                (name, job(scene_for(scenes, broker, f"right-{name}"), server, name, matrix))
                for name, job in jobs.items()
            ],
            JOB_SECONDS,
        )
