"""The app double does what it is told, and its log says what happened."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from harness import identity
from harness.app_server import MODES
from harness.apps import App, AppPool

NDJSON = "application/x-ndjson"


@pytest.fixture
def app(tmp_path: Path, apps: AppPool) -> Iterator[App]:
    with apps.lend(tmp_path / "app.log") as double:
        yield double


def post(
    app: App, body: bytes, kind: str = NDJSON, records: int | None = None, timeout: float = 5, **more: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=timeout)
    count = body.count(b"\n") + (not body.endswith(b"\n")) if records is None else records
    headers = {"Content-Type": kind, "X-Tidegate-Records": str(count), "X-Tidegate-Class": "bulk"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    try:
        connection.request("POST", "/events", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


def test_lines_are_acknowledged_and_logged(app: App) -> None:
    assert post(app, b'{"a":1}\n{"b": 2}\n', Idempotency_Key="k1", X_Tidegate_Offsets="t:0:1-2").status == 200
    (request,) = app.requests()
    assert request.acknowledged
    assert request.ids == [identity.line(b'{"a":1}'), identity.line(b'{"b": 2}')]
    assert (request.klass, request.key, request.offsets, request.bytes) == ("bulk", "k1", "t:0:1-2", 17)
    assert (request.errors, request.invalid) == ([], [])
    assert abs(request.time_ns - time.time_ns()) < 5e9
    assert app.stats()["distinct"] == app.stats()["events"] == 2


def test_arrays_give_the_bytes_of_each_element(app: App) -> None:
    post(app, b'[{"a":1.50}, "x" ,\nnull,[1,2]]', "application/json", 4)
    (request,) = app.requests()
    assert request.ids == [identity.line(v) for v in (b'{"a":1.50}', b'"x"', None, b"[1,2]")]
    assert request.errors == []


def test_envelopes_give_the_bytes_of_their_value(app: App) -> None:
    envelope = {"id": "t/0/7", "class": "bulk", "weight": 1, "ts": 5, "key": None, "headers": {}, "value": 0}
    text = json.dumps(envelope)[:-2] + '{"event_type" : "view"}}\n'
    post(app, text.encode(), X_Tidegate_Format="envelope")
    (request,) = app.requests()
    assert request.ids == [identity.line(b'{"event_type" : "view"}')]
    assert (request.errors, request.invalid, request.envelopes) == ([], [], ["t/0/7"])
    post(app, text.replace("bulk", "high").replace("ts", "tz").encode(), X_Tidegate_Format="envelope")
    assert len(app.requests()[1].errors) == 2  # a member missing, and the wrong class


def test_bytes_alone_are_one_event(app: App) -> None:
    post(app, b"\x00\n\xff", "application/octet-stream", 1)
    (request,) = app.requests()
    assert request.alone
    assert request.ids == [identity.exact(b"\x00\n\xff")]


@pytest.mark.parametrize("status", [429, 503])
def test_refusals_carry_both_forms_of_retry_after(app: App, status: int) -> None:
    app.mode("refuse", status=status, retry_after=2)
    answer = post(app, b"{}")
    assert (answer.status, answer.headers["Retry-After"]) == (status, "2")
    app.mode("refuse", status=status, retry_after=2, form="date")
    before = time.time()
    seconds = parsedate_to_datetime(post(app, b"{}").headers["Retry-After"]).timestamp() - before
    assert 2 <= seconds < 3.5
    app.mode("refuse", status=status)
    assert "Retry-After" not in post(app, b"{}").headers
    app.mode()
    assert post(app, b"{}").status == 200
    assert [r.status for r in app.requests()] == [status] * 3 + [200]
    assert app.stats()["events"] == 1


def test_a_mode_can_be_limited_to_requests_classes_and_contents(app: App) -> None:
    app.mode("refuse", status=500, count=2)
    assert [post(app, b"{}").status for _ in range(3)] == [500, 500, 200]
    app.mode("refuse", status=500, classes=["bulk"], count=1)
    assert post(app, b"{}", X_Tidegate_Class="critical").status == 200
    assert [post(app, b"{}").status for _ in range(2)] == [500, 200]
    app.mode("refuse", status=400, containing="poison")
    assert [post(app, body).status for body in (b"{}", b'{"poison":1}')] == [200, 400]


def test_slow_is_slow_for_everybody_together(app: App) -> None:
    app.mode(ms_per_event=20, workers=1)
    begun = time.monotonic()
    threads = [threading.Thread(target=post, args=(app, b"{}\n" * 5)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.3 <= time.monotonic() - begun < 1.5
    assert app.stats()["max_busy"] >= 2


@pytest.mark.parametrize("mode", ["reset-before", "reset-after", "cut-answer", "garbage"])
def test_connections_that_break(app: App, mode: str) -> None:
    app.mode(mode)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        post(app, b'{"a":1}\n' * 10_000)
    app.mode()
    requests = app.requests()
    if mode == "reset-before":
        assert requests == []
    else:  # the app has it, and the sidecar cannot know
        assert [(r.status, r.processed, r.acknowledged) for r in requests] == [(None, True, False)]
    assert post(app, b"{}").status == 200


@pytest.mark.parametrize("mode", ["hang-before", "hang-after"])
def test_hanging_ends_with_the_mode(app: App, mode: str) -> None:
    app.mode(mode)
    with pytest.raises(TimeoutError):
        post(app, b"{}", timeout=0.3)
    assert len(app.requests()) == (mode == "hang-after")
    app.mode()
    assert post(app, b"{}").status == 200


def test_down_refuses_connections_until_it_is_up_again_on_the_same_port(app: App) -> None:
    held = http.client.HTTPConnection("127.0.0.1", app.port, timeout=5)
    held.request("POST", "/", b"{}", {"Content-Type": NDJSON, "X-Tidegate-Records": "1"})
    held.getresponse().read()
    app.mode("down")
    with pytest.raises(ConnectionRefusedError):
        post(app, b"{}")
    assert held.sock.recv(1) == b""  # not even over the connection that was open
    held.close()
    app.mode()
    assert post(app, b"{}").status == 200


def test_every_mode_is_known_and_others_are_refused(app: App) -> None:
    for mode in MODES:
        app.mode(mode)
    with pytest.raises(OSError, match="400"):
        app.mode("nonsense")


def test_the_log_survives_kill_9(tmp_path: Path) -> None:
    with App(tmp_path / "log", fsync=True) as app:
        post(app, b'{"a":1}\n')
        app.close()
        assert len(app.requests()) == 1


def test_a_borrowed_app_knows_nothing_of_the_last_one(apps: AppPool, tmp_path: Path) -> None:
    with apps.lend(tmp_path / "1") as app:
        post(app, b'{"a":1}\n')
        app.mode("down")
        port = app.port
    with apps.lend(tmp_path / "2") as app:
        assert app.port == port
        assert app.stats() == {"requests": 0, "events": 0, "distinct": 0, "busy": 0, "max_busy": 0}
        assert post(app, b'{"b":1}\n').status == 200
        assert [r.ids for r in app.requests()] == [[identity.line(b'{"b":1}')]]
