"""The example app as a user starts it: uvicorn, behind a real sidecar and a real Kafka."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.ports import free_ports
from harness.produce import Event, send
from harness.programs import Program, plain_environment
from harness.scene import Broker
from harness.sidecar import Sidecar
from harness.topics import committed, ends, partitions_of
from tidegate.demo.events import CLASS_OF, Visitors

EXAMPLES = Path(__file__).parents[2] / "examples"
PARTITIONS = 3


class App:
    """The app on a port and a database that it keeps over restarts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = directory / "events.db"
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.program: Program | None = None

    def start(self, **settings: object) -> None:
        environ = plain_environment(APP_DATABASE=str(self.database), **{k: str(v) for k, v in settings.items()})
        command = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(EXAMPLES / "fastapi_app")]
        output = self.directory / "app.out"
        output.unlink(missing_ok=True)
        self.program = Program([*command, "--port", str(self.port)], output, environ, self.directory)
        self.program.wait_for("Uvicorn running on")

    def kill(self) -> None:
        assert self.program is not None
        self.program.kill()

    def post(self, body: bytes, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"{self.url}/events", body, named), timeout=30
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/stats", timeout=30) as answer:
            return dict(json.load(answer))

    def rows(self) -> dict[str, tuple[str, bytes]]:
        """What is on disk: class and body by id."""
        with sqlite3.connect(self.database) as db:
            return {row[0]: (row[1], row[2]) for row in db.execute("SELECT id, class, body FROM events")}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path)
    yield made
    if made.program is not None:
        print(made.program.output[-4000:])
        if made.program.process.poll() is None:
            made.program.close()


def test_a_batch_is_stored_once_however_often_it_comes(app: App) -> None:
    app.start()
    headers = {
        "Idempotency_Key": "k1",
        "X_Tidegate_Class": "critical",
        "X_Tidegate_Records": "3",
        "X_Tidegate_Offsets": "orders/0:7x2,+3",
    }
    body = b'{"n":7}\n{"n":8}\r\n{"n":11}\n'
    assert [app.post(body, **headers) for _ in range(2)] == [204, 204]
    assert app.stats()["classes"] == {"critical": {"events": 3, "weight": 3, "replayed": 0}}
    # The sidecar was killed before it had committed: other batches, some of the same events.
    more = headers | {"Idempotency_Key": "k2", "X_Tidegate_Offsets": "orders/0:8;orders/1:1", "X_Tidegate_Records": "2"}
    assert app.post(b'{"n":8}\n{"n":1}\n', **more) == 204
    assert app.rows() == {
        "orders/0/7": ("critical", b'{"n":7}'),
        "orders/0/8": ("critical", b'{"n":8}\r'),
        "orders/0/11": ("critical", b'{"n":11}'),
        "orders/1/1": ("critical", b'{"n":1}'),
    }
    assert (app.stats()["batches"], app.stats()["again"]) == (3, 4)


def test_weights_and_every_form_are_understood(app: App) -> None:
    app.start()
    bulk = {"X_Tidegate_Class": "bulk"}
    assert (
        app.post(b"1\n2\n", X_Tidegate_Weight="1.5", X_Tidegate_Offsets="v/0:1x2", X_Tidegate_Records="2", **bulk)
        == 204
    )
    replayed = {"X_Tidegate_Replayed": "true"}
    assert app.post(b"[3,{}]", X_Tidegate_Format="json", X_Tidegate_Offsets="v/0:3x2", **bulk, **replayed) == 204
    line = b'{"id":"v/0/9","class":"bulk","weight":4,"ts":1,"key":"k","headers":{},"value":{"a":1}}\n'
    assert app.post(line, X_Tidegate_Format="envelope", X_Tidegate_Offsets="v/0:9", **bulk) == 204
    assert app.post(b"\xff\n\n", X_Tidegate_Format="opaque", X_Tidegate_Offsets="v/0:10", **bulk) == 204
    assert app.stats()["classes"] == {"bulk": {"events": 6, "weight": 10, "replayed": 2}}
    assert app.rows()["v/0/10"] == ("bulk", b"\xff\n\n")
    assert app.post(b'{"by":"hand"}') == 204, "without any header"
    assert app.post(b"not json", X_Tidegate_Format="envelope") == 500, "nothing is acknowledged that is not stored"
    assert len(app.rows()) == 7


class Stage:
    """A topic with a shop's events, and sidecars that bring them to the app."""

    def __init__(self, broker: Broker, app: App, name: str, count: int) -> None:
        self.servers, self.app, self.name = broker.bootstrap_servers, app, f"{name}-{os.getpid()}"
        broker.create(self.name, PARTITIONS, {})
        visitors = Visitors(seed=5)
        events = [visitors.next(1.7e9) for _ in range(count)]
        send(self.servers, self.name, [Event(e.number % PARTITIONS, e.key, e.body, e.kind.name) for e in events])
        self.sent = {f"{self.name}/{e.number % PARTITIONS}/{e.number // PARTITIONS}": e for e in events}

    def sidecar(self, **more: object) -> Sidecar:
        settings: dict[str, object] = {
            "kafka_bootstrap_servers": self.servers,
            "kafka_session_timeout_ms": 3000,
            "kafka_heartbeat_interval_ms": 500,
            "topics": self.name,
            "group_id": self.name,
            "sink_url": f"{self.app.url}/events",
            "ops_address": "none",
            "admin_address": "none",
            "parking_topic": "none",
            "drain_seconds": 2,
        }
        environ = {f"TIDEGATE_{name.upper()}": str(value) for name, value in (settings | more).items()}
        return Sidecar(environ, self.app.directory)

    def settled(self) -> bool:
        places = partitions_of(self.servers, [self.name])
        return committed(self.servers, self.name, places) == ends(self.servers, places)

    def judge(self) -> None:
        """Every event is stored, once, as it is, and in the class that it has."""
        rows = self.app.rows()
        assert rows == {place: (CLASS_OF[e.kind.name].label, e.body) for place, e in self.sent.items()}


def test_events_arrive_by_class(kafka_broker: Broker, app: App) -> None:
    stage = Stage(kafka_broker, app, "arrive", 3000)
    app.start()
    with stage.sidecar() as sidecar:
        sidecar.wait_until(stage.settled)
        sidecar.stop()
    stage.judge()
    counts = Counter(CLASS_OF[event.kind.name].label for event in stage.sent.values())
    told = app.stats()
    assert {label: row["events"] for label, row in told["classes"].items()} == counts
    assert (told["refused"], told["again"]) == (0, 0)


@pytest.mark.parametrize("form", ["json", "envelope"])
def test_other_forms_arrive_as_well(kafka_broker: Broker, app: App, form: str) -> None:
    stage = Stage(kafka_broker, app, form, 400)
    app.start()
    with stage.sidecar(format=form) as sidecar:
        sidecar.wait_until(stage.settled)
    assert app.rows().keys() == stage.sent.keys()


def test_what_it_cannot_take_now_comes_later(kafka_broker: Broker, app: App) -> None:
    """More requests at once than it has room for: 429 slows them down, and none of it is lost or stored twice."""
    stage = Stage(kafka_broker, app, "busy", 600)
    app.start(APP_IN_HAND=60, APP_MS_PER_EVENT=1)
    with stage.sidecar(limiter="fixed", concurrency=6, batch_max_records=40) as sidecar:
        sidecar.wait_until(stage.settled, 90)
        sidecar.stop()
    stage.judge()
    told = app.stats()
    assert told["refused"] > 0
    assert told["refused"] < told["batches"], "Retry-After is waited for"
    assert told["again"] == 0


def test_kills_lose_nothing_and_store_nothing_twice(kafka_broker: Broker, app: App) -> None:
    stage = Stage(kafka_broker, app, "killed", 3000)
    app.start(APP_MS_PER_EVENT=1)
    sidecar = stage.sidecar(batch_max_records=50, kafka_auto_commit_interval_ms=300)
    try:
        sidecar.start()
        sidecar.wait_until(lambda: len(app.rows()) >= 300, what="the first events")
        app.kill()
        before = len(app.rows())
        assert before < len(stage.sent), "it was in the middle"
        app.start(APP_MS_PER_EVENT=1)
        sidecar.wait_until(lambda: len(app.rows()) >= before + 300, 60, "events after the restart")
        sidecar.kill()
        assert len(app.rows()) < len(stage.sent), "it was in the middle"
        sidecar.start()
        sidecar.wait_until(stage.settled, 90)
        sidecar.stop()
    finally:
        sidecar.close()
    stage.judge()


def test_ctrl_c_ends_it_when_all_is_stored(app: App) -> None:
    app.start()
    assert app.post(b"{}") == 204
    assert app.program is not None
    assert app.program.interrupt(20) in (0, 130, -2)
    assert len(app.rows()) == 1


def test_example_requirements_are_those_of_the_lock() -> None:
    """`make app` takes the versions of the tests' lock: each requirement has one there, with what it needs."""
    lock = (EXAMPLES.parent / "requirements" / "dev.txt").read_text()
    for line in (EXAMPLES / "fastapi_app" / "requirements.txt").read_text().split():
        name = line.partition(">=")[0]
        assert f"\n{name}==" in lock
