"""The processes of a turn beside the broker's: the app, the contender, the generator. None outlives its block."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from confluent_kafka import Producer

from benchmarks.e2e.rates import free_port
from benchmarks.e2e.runner import ROOT, Contender
from benchmarks.surge import payloads
from benchmarks.surge.notes import Notes
from benchmarks.surge.schedule import Schedule
from harness.leash import leashed

READY_SECONDS = 60.0


class App:
    """The app's process; it writes its notes to `file`, which is removed with it."""

    def __init__(self, workers: int, service_us: float, file: Path) -> None:
        port = free_port()
        self.url, self.file = f"http://127.0.0.1:{port}", file
        command = [sys.executable, "-m", "benchmarks.surge.app", str(port), str(workers), str(service_us)]
        self.process = subprocess.Popen(leashed([*command, str(file)]), cwd=ROOT)
        try:
            patiently(self.stats, "the app does not answer", 20)
        except RuntimeError:
            self.close()
            raise

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(urllib.request.urlopen(self.url, timeout=20).read())
        return answer

    def order(self, halved: tuple[float, float], before: int) -> None:
        body = json.dumps({"halved": halved, "before": before}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/order", body), timeout=20).close()

    def finish(self) -> Notes:
        """Ends it; what it noted."""
        self.process.terminate()
        self.process.wait(60)
        return Notes.read(self.file)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.file.unlink(missing_ok=True)


def patiently(ask: Callable[[], Any], what: str, seconds: float) -> Any:
    """The first true answer. Raises RuntimeError."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if answer := ask():
                return answer
        if time.monotonic() > deadline:
            raise RuntimeError(what)
        time.sleep(0.1)


@contextmanager
def running(contender: Contender, values: dict[str, str], errors: Path) -> Iterator[subprocess.Popen[str]]:
    """The contender's process, in a process group of its own, of which nothing is left afterwards."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    env |= {name.upper(): value for name, value in values.items()}
    env |= {name: value.format(**values) for name, value in contender.env.items()}
    command = leashed([part.format(**values) for part in contender.command])
    with errors.open("w") as log:
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def knock(bootstrap: str, topic: str, app: App, process: subprocess.Popen[str]) -> int:
    """Sends events that are no part of the stream until the first has come through. Returns how many.

    Raises RuntimeError where the contender ends, or lets none through in time.
    """
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    _, middle = payloads.pool()[0][0]
    sent = 0

    def arrived() -> bool:
        nonlocal sent
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}")
        producer.produce(topic, payloads.value(payloads.stamp(time.time()), middle, payloads.PROBE + sent))
        producer.flush(5)
        sent += 1
        return bool(app.stats()["probes"])

    patiently(arrived, "it let nothing through", READY_SECONDS)
    patiently(lambda: app.stats()["probes"] >= sent, "it lost events before it began", READY_SECONDS)
    return sent


@contextmanager
def stream(bootstrap: str, topic: str, begin: float, schedule: Schedule) -> Iterator[subprocess.Popen[str]]:
    """The generator's process, killed with the block."""
    command = [sys.executable, "-m", "benchmarks.surge.generator", bootstrap, topic, str(begin)]
    command.append(json.dumps(asdict(schedule)))
    process = subprocess.Popen(leashed(command), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def finish(generator: subprocess.Popen[str]) -> dict[str, Any]:
    """Ends the stream; what the generator counted."""
    generator.terminate()
    output: IO[str] | None = generator.stdout
    assert output is not None
    killer = threading.Timer(90, generator.kill)
    killer.start()
    try:
        lines = output.read().splitlines()
    finally:
        killer.cancel()
    if not lines:
        raise RuntimeError("the generator told nothing")
    made: dict[str, Any] = json.loads(lines[-1])
    return made
