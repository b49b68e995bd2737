"""A parking topic that misbehaves: deleted, too small, compacted, its broker frozen, for a moment or for longer.

What cannot be parked is delivered or waits; nothing else is lost than what was in a topic that somebody deleted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from faults.detour import IN_FLIGHT, RATE, SETTINGS, finish, is_bulk, scene_for, slow, wait_defer
from faults.flow import exposed_flowing, stream, wait_flowing
from faults.rows import JOB_SECONDS, ROUNDS, Matrix
from harness import fixtures
from harness.deferring import Deferring
from harness.fixtures import real_broker
from harness.kafka import KafkaServer
from harness.parallel import side_by_side
from harness.scene import Broker
from harness.topics import create_topic, delete_topic
from harness.watched import WatchedScene, WatchedScenes

TEST = "test_parking_topic.py::test_a_parking_topic_that_misbehaves"
# librdkafka hopes for 30 s that a topic which it knew comes back, and a record is given up after 60 s.
GONE_SECONDS, UNTIL_SAID_SECONDS = 15.0, 80.0
PAD = 2500  # bytes: the producer of the smallest size is full of it after three seconds
FROZEN_SECONDS = 2.5
FENCED_SECONDS = 6.0  # the broker's session is 3 s, the members' 3 and 4 s
FOUND_SECONDS = 40.0  # a client that lost sight of every broker notices within some ten seconds


def alter(servers: str, topic: str, config: Mapping[str, str | None]) -> None:
    """Sets entries of a topic's configuration; None: the default again."""
    entries = [
        ConfigEntry(
            name,
            value or "",
            incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
        )
        for name, value in config.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": servers})  # has to outlive the futures
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)


def parking_sidecar(scene: WatchedScene, **settings: Any) -> Deferring:
    """A sidecar that is parking."""
    slow(scene)
    return Deferring(scene, **SETTINGS | settings)


def since_critical(scene: WatchedScene) -> float:
    """Seconds since the newest critical event that has come to the app was produced."""
    came = [name for request in scene.app.requests() if request.klass == "critical" for name in request.ids]
    records = {record.line: record for record in scene.read()[0]}
    times = [records[name].timestamp_ms or 0 for name in came]
    return time.time() - max(times) / 1000


def require_critical_flowing(scene: WatchedScene, seconds: float) -> None:
    """Critical events of the last seconds have come to the app: a parking topic that is stuck holds nothing up."""
    assert (age := since_critical(scene)) < seconds, f"the last critical event that came is {age:.1f} s old"


def altered(
    scene: WatchedScene,
    matrix: Matrix,
    fault: str,
    config: Mapping[str, str | None],
    seconds: float,
    words: str,
    test: str = TEST,
    pad: int = PAD,
) -> Callable[[], None]:
    """A job: the topic's configuration is changed while records are parked, and changed back; ``words`` are in the log
    after it, where there is anything to say."""

    def job() -> None:
        one = parking_sidecar(scene, memory_bytes="32MiB")
        assert scene.parking
        with stream(scene, rate=RATE, pad=pad):
            wait_defer(one)
            one.wait_parked(RATE)
            begun = time.monotonic()
            alter(scene.servers, scene.parking, config)
            if words:
                one.sidecar.wait_log(words, seconds + 20)
            time.sleep(max(0.0, begun + seconds - time.monotonic()))
            wait_flowing(scene, one.sidecar, 30)
            require_critical_flowing(scene, min(seconds / 2, 5.0))
            alter(scene.servers, scene.parking, dict.fromkeys(config))
            healed, lag = time.monotonic(), scene.parked().lag
            one.force("defer")
            one.wait_parked(lag + RATE // 2, 40)
            recovered = time.monotonic() - healed
        finish(scene, matrix, test, fault, 0, 0, recovered, one, timed="until records are parked again",
               expected="nothing lost, nothing twice: what cannot be parked is delivered, or waits")  # fmt: skip

    return job


def deleted(scene: WatchedScene, matrix: Matrix) -> Callable[[], None]:
    """A job: somebody deletes the topic, and what waited in it; later it is made anew."""

    def job() -> None:
        one = parking_sidecar(scene, high_on_pressure="keep", memory_bytes="32MiB")
        assert scene.parking
        with stream(scene, rate=RATE, pad=PAD):
            wait_defer(one)
            one.wait_parked(RATE)
            delete_topic(scene.servers, scene.parking)
            gone_ms = time.time() * 1000
            one.sidecar.wait_log("the parking topic takes nothing", GONE_SECONDS)
            time.sleep(max(0.0, gone_ms / 1000 + GONE_SECONDS - time.time()))
            require_critical_flowing(scene, GONE_SECONDS / 2)
            if ROUNDS > 1:
                one.sidecar.wait_log("records could not be parked", UNTIL_SAID_SECONDS)
                wait_flowing(scene, one.sidecar, 30)
                require_critical_flowing(scene, GONE_SECONDS / 2)
            healed = time.monotonic()
            create_topic(scene.servers, scene.parking, scene.partitions)
            one.sidecar.wait_until(lambda: scene.parked().lag > RATE // 2, 60, "records are parked again")
            recovered = time.monotonic() - healed

        def lost_with_it(record: Any) -> bool:  # bulk that came before, and may have been parked a moment later
            return is_bulk(record) and record.timestamp_ms < gone_ms + 1000

        report = finish(
            scene,
            matrix,
            TEST,
            "the parking topic is deleted, with what was in it, and made anew",
            IN_FLIGHT,
            IN_FLIGHT,
            recovered,
            one,
            timed="until records are parked again",
            expected="nothing lost but what was in it; what comes then is delivered, or waits",
            droppable=lost_with_it,
        )
        assert report.dropped >= RATE

    return job


def test_a_parking_topic_that_misbehaves(kafka_broker: Broker, scenes: WatchedScenes, matrix: Matrix) -> None:
    small = {"max.message.bytes": "500"}
    jobs = [
        (
            "too small",
            altered(
                scene_for(scenes, kafka_broker, "parking-small"),
                matrix,
                "the parking topic takes only small records for 5 s",
                small,
                5,
                "records could not be parked",
            ),
        ),
        ("deleted", deleted(scene_for(scenes, kafka_broker, "parking-deleted"), matrix)),
    ]
    side_by_side(jobs, JOB_SECONDS)


def test_a_broker_that_freezes_while_parking(scenes: WatchedScenes, matrix: Matrix) -> None:
    fixtures.require_java()
    with KafkaServer() as server:
        scene = scene_for(scenes, real_broker(server.bootstrap_servers), "parking-frozen")
        one = parking_sidecar(scene, kafka_session_timeout_ms=20_000)
        with stream(scene, rate=RATE):
            wait_defer(one)
            one.wait_parked(RATE)
            server.freeze()
            try:  # no longer: after 3 s its own controller takes it for dead, which is the next test's fault
                time.sleep(FROZEN_SECONDS)
            finally:
                server.thaw()
            healed, lag = time.monotonic(), scene.parked().lag
            one.wait_parked(lag + RATE // 2, 40)
            recovered = time.monotonic() - healed
        test = "test_parking_topic.py::test_a_broker_that_freezes_while_parking"
        fault = "SIGSTOP of the broker for 2.5 s while records are parked, then SIGCONT"
        finish(scene, matrix, test, fault, 0, 0, recovered, one, timed="until records are parked again")


@pytest.mark.skipif(ROUNDS == 1, reason="minutes of its own: make faults")
def test_a_broker_that_freezes_beyond_its_session(scenes: WatchedScenes, matrix: Matrix) -> None:
    """Its own controller fences it, and while it is fenced it tells clients of no broker at all: docs/adr/0014."""
    fixtures.require_java()
    protocols = ("classic", "consumer")
    side_by_side([(one, fenced(scenes, matrix, one, ROUNDS // 2)) for one in protocols], JOB_SECONDS)


def fenced(scenes: WatchedScenes, matrix: Matrix, protocol: str, freezes: int) -> Callable[[], None]:
    """A job on a broker of its own. Nothing is produced while it is frozen: the stream's client can lose sight of its
    brokers as well, and nobody makes them known to that."""

    def job() -> None:
        with KafkaServer() as server:
            scene = scene_for(scenes, real_broker(server.bootstrap_servers), f"fenced-{protocol}", protocol=protocol)
            one = parking_sidecar(scene)
            bound, slowest = 0, 0.0
            with stream(scene, rate=RATE):
                wait_defer(one)
                one.wait_parked(RATE)
            for _ in range(freezes):
                bound += exposed_flowing(scene) + 2 * IN_FLIGHT
                server.freeze()
                try:
                    time.sleep(FENCED_SECONDS)
                finally:
                    server.thaw()
                healed = time.monotonic()
                with stream(scene, rate=RATE):
                    wait_flowing(scene, one.sidecar, FOUND_SECONDS)
                    slowest = max(slowest, time.monotonic() - healed)
                    time.sleep(2)
            test = "test_parking_topic.py::test_a_broker_that_freezes_beyond_its_session"
            fault = f"SIGSTOP of the only broker beyond all sessions, {freezes} times ({protocol} protocol)"
            finish(scene, matrix, test, fault, bound, bound, slowest, one, timed="until events flow again, at worst")

    return job


@pytest.mark.kafka
def test_a_compacted_parking_topic_is_refused_at_the_start(kafka_broker: Broker, scenes: WatchedScenes) -> None:
    scene = scene_for(scenes, kafka_broker, "parking-compacted")
    assert scene.parking
    kafka_broker.create(scene.parking, 2, {"cleanup.policy": "compact"})
    one = Deferring(scene, **SETTINGS)
    assert one.sidecar.wait() == 2
    assert re.search(r"cleanup.policy=compact.*\n.*Set cleanup.policy=delete", one.sidecar.stderr), one.sidecar.stderr
    for watch in scene.watches:  # exit code 2 is what it is to be
        watch.stop()
