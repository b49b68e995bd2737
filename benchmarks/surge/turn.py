"""One contender's turn: a topic, an app, the contender, the stream; then everything is counted."""

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
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from confluent_kafka import KafkaException, Producer

from benchmarks.e2e import events
from benchmarks.e2e.rates import free_port
from benchmarks.e2e.runner import ROOT, Contender
from benchmarks.surge import figures, payloads
from benchmarks.surge.account import Account
from benchmarks.surge.notes import Notes
from benchmarks.surge.schedule import Schedule
from benchmarks.surge.told import Told
from harness import topics
from harness.leash import leashed

READY_SECONDS = 60.0
STILL_SECONDS = 20.0  # without an event at the app, while some are missing: no more will come


@dataclass(frozen=True)
class Plan:
    """What all contenders meet. `limit`: seconds after the surge, at most; `calm`: at least."""

    schedule: Schedule
    workers: int = 4
    service_us: float = 800.0
    calm: float = 15.0
    limit: float = 480.0
    batch: int = 500
    concurrency: int = 8
    linger_ms: int = 20

    @property
    def capacity(self) -> float:
        """Events a second, while nothing is halved."""
        return self.workers * 1e6 / self.service_us


class App:
    """The app's process."""

    def __init__(self, plan: Plan, file: Path) -> None:
        port = free_port()
        self.url, self.file = f"http://127.0.0.1:{port}", file
        command = [sys.executable, "-m", "benchmarks.surge.app", str(port), str(plan.workers), str(plan.service_us)]
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


def stream(bootstrap: str, topic: str, begin: float, schedule: Schedule) -> subprocess.Popen[str]:
    """The generator's process."""
    command = [sys.executable, "-m", "benchmarks.surge.generator", bootstrap, topic, str(begin)]
    command.append(json.dumps(asdict(schedule)))
    return subprocess.Popen(leashed(command), cwd=ROOT, stdout=subprocess.PIPE, text=True)


def until_drained(app: App, told: Told, field: str, wanted: int, deadline: float, alive: Callable[[], bool]) -> str:
    """Waits until so many events were delivered (`field` of the app's statistics) or dropped: "drained", "limit",
    "stalled", or "ended" where the contender did."""
    most, since = -1, time.monotonic()
    while True:
        done = app.stats()[field] + sum(told.dropped().values())
        now = time.monotonic()
        if done >= wanted:
            return "drained"
        if not alive():
            return "ended"
        if done > most:
            most, since = done, now
        elif now - since > STILL_SECONDS:
            return "stalled"
        if now > deadline:
            return "limit"
        time.sleep(0.25)


def turn(contender: Contender, bootstrap: str, plan: Plan, place: Path) -> dict[str, Any]:
    """One run in a topic and a group of their own. Raises RuntimeError where it cannot be carried out."""
    schedule, mark = plan.schedule, uuid.uuid4().hex[:8]
    topic, group = f"surge-{mark}", f"surge-{mark}"
    slug = "".join(c if c.isalnum() else "-" for c in contender.name)
    topics.create_topic(bootstrap, topic, events.PARTITIONS)
    app = App(plan, place / f"{slug}.notes")
    values = {
        "bootstrap": bootstrap, "topic": topic, "group": group, "sink": app.url, "ops_port": str(free_port()),
        "batch": str(plan.batch), "concurrency": str(plan.concurrency), "conc": str(plan.concurrency),
        "linger_ms": str(plan.linger_ms), "n": "0", "mode": "push",
    }  # fmt: skip
    errors = place / f"{slug}.err"
    generator: subprocess.Popen[str] | None = None
    try:
        with running(contender, values, errors) as process:
            account = Account(process.pid)
            told = Told(process, values["ops_port"] if "TIDEGATE_OPS_ADDRESS" in contender.env else None)
            try:
                knocks = knock(bootstrap, topic, app, process)
                begin = time.time() + 2.0
                app.order((begin + schedule.halved[0], begin + schedule.halved[1]), schedule.before_calm)
                generator = stream(bootstrap, topic, begin, schedule)
                marks = []
                for at in (schedule.surge_from, schedule.surge_to):
                    sleep_until(begin + at)
                    marks.append(account.cpu_seconds)
                calm_at = time.monotonic()

                def alive() -> bool:
                    return process.poll() is None

                ended = until_drained(app, told, "before", schedule.before_calm, calm_at + plan.limit, alive)
                time.sleep(max(0.0, calm_at + plan.calm - time.monotonic()) if ended == "drained" else 0.0)
                marks.append(account.cpu_seconds)
                made = finish(generator)
                if ended == "drained":
                    ended = until_drained(app, told, "unique", made["total"], time.monotonic() + 30, alive)
                drained_seconds = time.monotonic() - calm_at
                summary = told.finish()
            finally:
                account.close()
        stored = sum(topics.ends(bootstrap, topics.partitions_of(bootstrap, [topic])).values())
        late_ms, unreadable = (app.stats()[name] for name in ("late_ms", "unreadable"))
        row = {
            "contender": contender.name,
            "ended": ended,
            **figures.of(app.finish(), plan.schedule, begin, made, told.dropped(), plan.workers),
            "calm_seconds": round(drained_seconds, 1),
            "peak_rss_mib": round(account.peak_kib / 1024, 1),
            "cpu_seconds": round(account.cpu_seconds, 2),
            "cpu_seconds_in_surge": round(marks[1] - marks[0], 2),
            "load_average": round(account.load_average, 2),
            "knocks": knocks,
            "own": summary,
            "generator": {**made, "stored": stored - knocks},
            "app": {"late_ms": late_ms, "unreadable": unreadable},
        }
        if made["refused"] == 0 and stored - knocks != made["total"]:
            raise RuntimeError(f"{made['total']} events were sent and {stored - knocks} are in Kafka")
        return row
    except RuntimeError as error:
        tail = errors.read_text(errors="replace")[-600:] if errors.exists() else ""
        raise RuntimeError(f"{contender.name}: {error}\n{tail}") from error
    finally:
        if generator is not None:
            generator.kill()
            generator.wait()
        app.close()
        for name in (topic, f"tidegate.{group}.parked"):
            with contextlib.suppress(KafkaException):
                topics.delete_topic(bootstrap, name)


def sleep_until(wall: float) -> None:
    time.sleep(max(0.0, wall - time.time()))


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
