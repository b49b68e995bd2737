"""`tidegate drain` and `/drained`: a pod's order of shutdown, on the embedded broker."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

from harness.fixtures import Scenes, embedded_broker
from harness.ports import free_ports
from harness.scene import Scene, event_class
from harness.sidecar import Sidecar
from tidegate.broker.embedded import EmbeddedBroker

from .conftest import Ops, ops_of

OFFSET_COMMIT, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR = 8, 14, 16  # Kafka's numbers of request and errors


class Pod:
    """A sidecar with both listeners, and the commands as they run beside it."""

    def __init__(self, scene: Scene, **more: Any) -> None:
        self.ports = free_ports(2)
        settings = {
            "ops_address": f"127.0.0.1:{self.ports[0]}",
            "admin_address": f"127.0.0.1:{self.ports[1]}",
            "batch_max_records": 50,
            "drain_seconds": 2.5,
        }
        self.sidecar: Sidecar = scene.sidecar(**(settings | more))
        self.ops: Ops = ops_of(self.sidecar)
        self.sidecar.wait_log("admin endpoint is there")

    def command(self, *arguments: str, lines: int = 1, **more: str) -> tuple[int, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
        done = subprocess.run(
            [sys.executable, "-m", "tidegate", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=kept
            | {
                "TIDEGATE_OPS_ADDRESS": f"0.0.0.0:{self.ports[0]}",
                "TIDEGATE_ADMIN_ADDRESS": f"127.0.0.1:{self.ports[1]}",
            }
            | more,
        )
        assert done.stderr == "", done.stderr
        assert done.stdout.count("\n") == lines, done.stdout
        return done.returncode, done.stdout.strip()

    def drained(self) -> tuple[int, dict[str, Any]]:
        answer = self.ops.ask("/drained")
        assert answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(answer.text)


def test_drained_means_delivered_committed_and_gone(scene: Scene) -> None:
    scene.app.mode(ms_per_event=1, workers=2)
    scene.produce(1500)
    sessions = {"drain_seconds": 5, "kafka_session_timeout_ms": 6000}
    pod = Pod(scene, **sessions)
    scene.wait_events(pod.sidecar, 100)
    assert pod.drained()[0] == 503
    assert pod.drained()[1]["state"] == "reading"
    assert pod.command("health", "drained")[0] == 1

    scene.app.mode("refuse")  # so that something is left whenever this is looked at
    scene.produce(100)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(pod.command, "drain", "--timeout", "20s")
        pod.sidecar.wait_log('"event": "draining')
        status, report = pod.drained()
        assert (status, report["state"]) == (503, "draining")
        assert report["buffered_records"] + report["in_flight_records"] > 0
        assert pod.ops.ask("/livez").status == 200
        assert pod.ops.ask("/readyz").status == 503
        scene.app.mode()
        code, words = waiting.result()
    assert (code, re.sub(r"[\d.]+", "N", words)) == (0, "drained in N s"), words

    # All that was read is committed, by the time that the command has returned.
    ended = scene.committed()
    status, report = pod.drained()
    assert (status, report["state"], report["given_up_records"]) == (200, "drained", 0)
    assert report["buffered_records"] == report["in_flight_records"] == 0
    assert sum(ended.values()) == scene.app.stats()["distinct"] > 100
    assert pod.command("health", "drained")[0] == 0
    assert pod.command("health", "live")[0] == 0
    assert pod.command("health", "ready")[0] == 1
    assert pod.command("drain", "--timeout", "1")[0] == 0  # again: nothing changes
    assert 'tidegate_conservation_error{class="critical"} 0.0' in pod.ops.ask("/metrics").text

    # Out of the group: another one has it all, while this one still stands there.
    scene.produce(500)
    other = scene.sidecar(name="other", **sessions)
    scene.wait_settled(other)
    assert pod.sidecar.alive
    assert pod.drained()[0] == 200
    begun = time.monotonic()
    pod.sidecar.stop(5)
    assert time.monotonic() - begun < 1.0
    other.stop()
    scene.judge(duplicates=0, classes=event_class)


def test_an_app_that_hangs_does_not_keep_the_pod(scene: Scene) -> None:
    scene.app.mode("hang-before")
    scene.produce(300)
    pod = Pod(scene)
    pod.sidecar.wait_until(lambda: scene.app.stats()["busy"] > 0, what="a request")
    code, words = pod.command("drain", "--timeout", "1s")
    assert code == 1
    found = re.fullmatch(
        r"not drained within 1 s: draining for 0\.\d s; (\d+) records buffered, (\d+) in flight", words
    )
    assert found, words
    left = int(found[1]) + int(found[2])
    assert 0 < left <= 300  # what was read by then

    code, words = pod.command("drain")  # the sidecar went on with it
    assert code == 1
    assert words.endswith(f"; {left} records were not delivered in time, and Kafka keeps them"), words
    assert words.startswith("drained in ")
    status, report = pod.drained()
    assert (status, report["given_up_records"]) == (200, left)
    assert not any(scene.committed().values())
    pod.sidecar.stop(5)


def test_sigterm_during_a_drain_ends_after_it(scene: Scene) -> None:
    scene.app.mode(ms_per_event=2, workers=1)
    scene.produce(400)
    pod = Pod(scene)
    scene.wait_events(pod.sidecar, 50)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(pod.command, "drain")
        pod.sidecar.wait_log('"event": "draining')
        pod.sidecar.stop(10)
        code, words = waiting.result()
    # It ends in the moment in which it is drained; who asks sees the one or the other.
    assert code == 0 or words == "not drained: the sidecar has ended; its log says how"
    scene.judge(drained=False, duplicates=0, classes=event_class)


def test_offsets_that_kafka_does_not_take(scenes: Scenes) -> None:
    """Delivered, but not committed: not drained, and said at once. The sidecar still waits for SIGTERM."""
    with EmbeddedBroker() as embedded:
        scene = scenes(embedded_broker(embedded))
        scene.produce(100)
        pod = Pod(scene)
        scene.wait_settled(pod.sidecar)
        embedded.push_errors(OFFSET_COMMIT, *[NOT_COORDINATOR] * 1000)
        scene.produce(100)
        scene.wait_events(pod.sidecar, 200)
        code, words = pod.command("drain")
        assert code == 1
        assert "Kafka did not take the last offsets" in words
        status, report = pod.drained()
        assert (status, report["state"]) == (200, "uncommitted")  # the app need not wait: there is nothing to come
        assert pod.command("health", "drained") == (0, words)
        pod.sidecar.stop(5)


def test_a_last_commit_is_tried_until_the_coordinator_is_there(scenes: Scenes) -> None:
    """A coordinator that still loads its offsets says so for seconds; librdkafka asks it three times."""
    with EmbeddedBroker() as embedded:
        scene = scenes(embedded_broker(embedded))
        scene.produce(100)
        pod = Pod(scene, kafka_auto_commit_interval_ms=60_000)
        scene.wait_events(pod.sidecar, 100)
        embedded.push_errors(OFFSET_COMMIT, *[COORDINATOR_LOAD_IN_PROGRESS] * 12)
        code, words = pod.command("drain")
        assert (code, words.partition(" in ")[0]) == (0, "drained"), words
        pod.sidecar.stop(5)
        scene.judge(duplicates=0, classes=event_class)


def test_a_stalled_process_is_not_live(scene: Scene) -> None:
    """A loop that stands still answers nobody: that is its heartbeat. One that goes on again is live."""
    pod = Pod(scene)
    assert pod.command("health") == (0, "live")
    pod.sidecar.process.send_signal(signal.SIGSTOP)
    words = f"not live: no answer from 127.0.0.1:{pod.ports[0]} within 3 s"
    assert pod.command("health", "live") == (1, words)
    pod.sidecar.process.send_signal(signal.SIGCONT)
    assert pod.command("health", "live") == (0, "live")
    assert pod.command("health", "ready") == (0, "ready")
    pod.sidecar.stop(5)


def test_nobody_there(scene: Scene) -> None:
    pod = Pod(scene)
    pod.sidecar.stop()
    code, words = pod.command("drain", "--timeout", "5s")
    assert (code, words) == (1, f"not drained: no answer from 127.0.0.1:{pod.ports[1]}: Connection refused")
    code, words = pod.command("health", "ready")
    assert (code, words) == (1, f"not ready: no answer from 127.0.0.1:{pod.ports[0]}: Connection refused")


def test_a_drain_does_not_reach_another_sidecar(scene: Scene) -> None:
    """The admin port is its neighbour's: a preStop must not end that one, and must not call its own drained."""
    pod = Pod(scene)
    code, words = pod.command("drain", TIDEGATE_OPS_ADDRESS="0.0.0.0:1")
    assert code == 1
    assert words.startswith(f"not drained: 127.0.0.1:{pod.ports[1]}: another sidecar is here")
    assert words.endswith("give this one a TIDEGATE_ADMIN_ADDRESS of its own")
    assert pod.command("drain", TIDEGATE_GROUP_ID="another")[0] == 1
    assert pod.drained()[1]["state"] == "reading"
    assert pod.command("drain", TIDEGATE_GROUP_ID=scene.group)[0] == 0


def test_two_sidecars_on_one_host(scene: Scene) -> None:
    """The default address may be another sidecar's: a warning. One that was asked for must be had."""
    settings = scene.settings(sink_url="blackhole:")
    del settings["TIDEGATE_ADMIN_ADDRESS"]
    with ExitStack() as stack:
        with suppress(OSError):  # taken already: all the better
            stack.enter_context(socket.create_server(("127.0.0.1", 9401)))
        sidecar = stack.enter_context(Sidecar(settings, scene.directory, name="default").start())
        sidecar.wait_log("no admin listener")
        sidecar.wait_log('"started"')
        sidecar.stop()
        asked = scene.sidecar(sink_url="blackhole:", admin_address="127.0.0.1:9401", name="asked")
        assert asked.wait(20) == 2
    assert "TIDEGATE_ADMIN_ADDRESS: 127.0.0.1:9401 is in use" in asked.stderr
