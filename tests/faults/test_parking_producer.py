"""The producer of the parking topic fails for good while records are parked: another takes its place, by itself."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from faults.detour import RATE, finish, scene_for, wait_defer
from faults.flow import stream
from faults.rows import ROUNDS, Matrix
from faults.test_parking_rights import require_critical_on_time
from faults.test_parking_topic import parking_sidecar
from harness.scene import Broker
from harness.watched import WatchedScenes

FAILURES = ROUNDS
TEST = "test_parking_producer.py::test_a_producer_that_fails_for_good"


def test_a_producer_that_fails_for_good(
    kafka_broker: Broker, scenes: WatchedScenes, matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TEST_SIDECAR", f"{sys.executable} -m harness.disturbed")
    scene = scene_for(scenes, kafka_broker, "producer-failed")
    one = parking_sidecar(scene)
    slowest = 0.0
    with stream(scene, rate=RATE):
        wait_defer(one)
        one.wait_parked(RATE)
        begun_ns = time.time_ns()
        for failure in range(1, FAILURES + 1):
            begun = time.monotonic()
            one.sidecar.process.send_signal(signal.SIGUSR2)
            one.sidecar.wait_until(
                lambda failure=failure: one.figure("tidegate_parking_renewed_total") == failure, 20, "another producer"
            )
            lag = scene.parked().lag
            one.wait_parked(lag + RATE // 2, 40)
            slowest = max(slowest, time.monotonic() - begun)
        over_ns = time.time_ns()
        # Given back and delivered; of these Kafka may have what it did not acknowledge in time.
        returned = int(one.figure("tidegate_parking_returned_total"))
    assert "the producer of the parking topic was made anew" in one.sidecar.stderr
    fault = f"librdkafka's producer fails for good while records are parked, {FAILURES} times"
    expected = "nothing lost; twice at most what it gave back; another takes its place"
    timed = "until records are parked again, at worst"
    one.replay(10 * RATE)
    finish(scene, matrix, TEST, fault, returned, returned, slowest, one, timed=timed, expected=expected)
    require_critical_on_time(scene, (begun_ns, over_ns))
