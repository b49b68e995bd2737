"""An app that is not there, or has no such path: tidegate runs, holds, says what to do, and goes on by itself."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from errors.processes import lines, one_screen
from harness.fixtures import Scenes, embedded_broker
from harness.ports import free_ports
from tidegate.broker.embedded import EmbeddedBroker

ANSWERS = [
    (404, "target down", "http-404", "Correct the path in TIDEGATE_SINK_URL"),
    (401, "target down", "http-401", "Set TIDEGATE_SINK_AUTHORIZATION"),
    (415, "batches refused", None, "set TIDEGATE_FORMAT"),
]


@pytest.mark.parametrize(("status", "event", "reason", "todo"), ANSWERS)
def test_an_answer_that_helps_nobody_comes_with_what_to_do(
    scenes: Scenes, status: int, event: str, reason: str | None, todo: str
) -> None:
    with EmbeddedBroker() as embedded:
        scene = scenes(embedded_broker(embedded))
        scene.app.mode("refuse", status=status)
        scene.produce(50)
        one = scene.sidecar()
        one.wait_until(lambda: lines(one, event=event), 20, event)
        told = lines(one, event=event)[0]
        assert todo in told["hint"], told
        assert scene.app.url in told["target"]
        assert told.get("reason") == reason
        assert "none is lost" in told["hint"]
        scene.app.mode()
        scene.wait_settled(one)
        one.stop(15)
        scene.judge()


def test_an_app_that_is_not_there_yet(scenes: Scenes) -> None:
    with EmbeddedBroker() as embedded:
        scene = scenes(embedded_broker(embedded))
        (port,) = free_ports(1)
        url = f"http://127.0.0.1:{port}/events"
        scene.produce(50)
        one = scene.sidecar(sink_url=url, ops_address="127.0.0.1:0")
        one.wait_until(lambda: lines(one, event="target down"), 20, "down")
        (told,) = lines(one, event="target down")
        assert (told["reason"], url in told["target"]) == ("connect-refused", True)
        assert "Start the app, or correct host and port in TIDEGATE_SINK_URL" in told["hint"]
        one.wait_until(lambda: lines(one, event="ops endpoints are there"), 20, "probes")
        (there,) = lines(one, event="ops endpoints are there")
        for probe in ("livez", "readyz"):  # a new process would find the app no better
            with urllib.request.urlopen(f"http://{there['address']}/{probe}", timeout=5) as answer:
                assert answer.status == 200
        one.stop(15)


def test_on_a_console_the_warning_fits_a_terminal(scenes: Scenes, tmp_path: Path) -> None:
    with EmbeddedBroker() as embedded:
        scene = scenes(embedded_broker(embedded))
        scene.produce(50)
        one = scene.sidecar(sink_url=f"http://127.0.0.1:{free_ports(1)[0]}/events", log_format="console")
        one.wait_log("Start the app", 20)
        one_screen(one.stderr)
        below = [line for line in one.stderr.splitlines() if line.startswith("    ")]
        assert below
        assert max(map(len, below)) <= 80
        one.stop(15)
