"""The whole demo, as a user starts it: every event accounted for, and nothing left behind however it ends."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

import pytest

from tidegate.demo import main, stage
from tidegate.demo.children import Child
from tidegate.demo.options import DemoOptions
from tidegate.demo.plan import Plan
from tidegate.errors import TidegateError

from .lossy_shop import LOSES_EVERY
from .process import PROCESSES, Demo, needs_proc

COUNTERS = {"polled", "delivered", "deferred", "sampled", "expired", "dead_lettered", "discarded"}


class Sink:
    """Somebody's app: takes envelopes as lines."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        events = self.events

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                events.extend(json.loads(line) for line in body.splitlines())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def summary_of(out: str) -> dict[str, Any]:
    lines = out.splitlines()
    assert len(lines) == 1, "with --json, stdout is the summary alone"
    summary: dict[str, Any] = json.loads(lines[0])
    return summary


@needs_proc
def test_json_accounts_for_every_event(demos: list[Demo]) -> None:
    demos.append(demo := Demo("--seconds", "6", "--json", "--seed", "7"))
    begun = time.monotonic()
    code, out, err = demo.end()
    assert code == 0, err
    assert time.monotonic() - begun < 6 + 20  # 10, and a busy machine
    summary = summary_of(out)
    assert {"records", "seconds", "cpu_seconds", "peak_rss_bytes", "classes"} == set(summary) - {"replayed", "plain"}
    classes = summary["classes"]
    assert list(classes) == ["critical", "high", "normal", "bulk"]
    for row in classes.values():
        assert set(row) == COUNTERS | {"offered", "held", "p50_ms", "p99_ms"}
        assert row["offered"] == row["delivered"] + row["held"]
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    # The plan's, and the one that opens the shop.
    assert sum(row["offered"] for row in classes.values()) == Plan(6, 300, 10).total + 1
    assert list(summary["plain"]) == list(classes)
    for label, row in summary["plain"].items():
        assert classes[label]["offered"] == row["delivered"] + row["waiting"]
    # The point of it all, far from any limit that a busy machine could reach.
    assert classes["critical"]["held"] == 0
    assert classes["critical"]["p99_ms"] < classes["bulk"]["p99_ms"] / 2
    assert "max age" in err
    assert all(len(line) <= 80 for line in err.splitlines())
    assert demo.processes() == set()


@needs_proc
def test_the_whole_story_is_told(demos: list[Demo]) -> None:
    """As `make run` shows it: page views are parked in the surge, orders go on, and what was parked comes back."""
    demos.append(demo := Demo("--json"))
    code, out, err = demo.end(seconds=45 + 30)
    assert code == 0, err
    summary = summary_of(out)
    classes = summary["classes"]
    lines = err.splitlines()
    assert all(len(line) <= 80 for line in lines)
    rungs = [line for line in lines if line.startswith("rung ")]
    assert rungs[0].startswith("rung DEFER: ")
    assert "page views" in rungs[0]
    column = [line[40:48].strip() for line in lines if re.match(r" *\d+ s  ", line)]
    parked = [int(text.replace(",", "")) for text in column if text != "-"]  # no answer from tidegate yet
    assert parked[0] == 0
    assert max(parked) > 500
    # A machine that is too busy for the shop may leave some; it is said, and every one is accounted for.
    assert summary["replayed"] > 0
    left = sum(row["deferred"] for row in classes.values())
    words = " ".join(err.split())
    assert ("of them are still there" if left else "all of them were delivered after the rush") in words
    assert any(line.startswith("rung NORMAL: ") for line in rungs)
    assert summary["replayed"] + left >= max(parked)
    for row in classes.values():
        assert row["offered"] == row["delivered"] + row["held"]
        assert row["deferred"] <= row["held"]
    assert classes["critical"]["deferred"] == classes["critical"]["held"] == 0
    assert classes["critical"]["p99_ms"] < classes["bulk"]["p99_ms"] / 4
    assert classes["critical"]["p99_ms"] < summary["plain"]["critical"]["p99_ms"] / 4
    assert "In the plain loop" in words


@needs_proc
def test_what_is_still_parked_at_the_end_is_held(demos: list[Demo]) -> None:
    demos.append(demo := Demo("--json"))
    while int(demo.line_of_progress()[40:48].replace(",", "").replace("-", "0")) == 0:
        pass
    demo.process.send_signal(signal.SIGINT)
    code, out, err = demo.end()
    assert code == 0, err
    classes = summary_of(out)["classes"]
    for row in classes.values():
        assert row["offered"] == row["delivered"] + row["held"]
        assert row["deferred"] <= row["held"]  # tidegate's word, and the audit's
    parked = sum(row["deferred"] for row in classes.values())
    assert parked > 100
    words = " ".join(err.split())
    assert "; all of them are still there." in words
    assert f"still in Kafka, {parked:,} of them parked, not committed" in words


@needs_proc
def test_what_the_shop_cannot_take_in_time_is_held_in_kafka(demos: list[Demo]) -> None:
    # Eighty times the usual stream for half a second: fifteen seconds of work, and the demo ends after nine.
    demos.append(demo := Demo("--seconds", "3", "--json", "--surge", "80", "--rate", "100"))
    code, out, err = demo.end()
    assert code == 0, err
    classes = summary_of(out)["classes"]
    assert classes["bulk"]["held"] > 100
    for row in classes.values():
        assert row["offered"] == row["delivered"] + row["held"]
    assert "still in Kafka" in " ".join(err.split())
    assert "LOST" not in err


def test_a_loss_would_be_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def child(name: str, module: list[str], *more: Any) -> Child:
        return Child(name, ["lossy_shop", *module[1:]] if module[0] == "tidegate.demo.shop" else module, *more)

    monkeypatch.setattr(stage, "Child", child)
    monkeypatch.setattr(main, "GRACE_SECONDS", 2.0)  # it waits for events that never come
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert main.run(DemoOptions(seconds=2, surge=3, json=True)) == 1
    out, err = capsys.readouterr()
    total = 0
    for row in summary_of(out)["classes"].values():
        assert row["held"] == 0
        total += row["offered"] - row["delivered"]
    assert total == (Plan(2, 300, 3).total + 1) // LOSES_EVERY
    assert "events were LOST" in err


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_brings_the_table_early(demos: list[Demo], number: signal.Signals) -> None:
    demos.append(demo := Demo("--seconds", "60"))
    demo.wait_for(PROCESSES)
    assert demo.process.stdout is not None
    while b" s  calm" not in (line := demo.process.stdout.readline()):  # the first line of progress
        assert line, "ended by itself"
    demo.process.send_signal(number)
    begun = time.monotonic()
    code, out, err = demo.end()
    assert time.monotonic() - begun < 15
    assert (code, err) == (0, "")
    assert "max age" in out
    assert demo.processes() == set()


@needs_proc
@pytest.mark.parametrize("delay", [0.4, 0.8, 1.2, 1.6])
def test_ctrl_c_while_it_starts_ends_it_in_silence(demos: list[Demo], delay: float) -> None:
    demos.append(demo := Demo("--seconds", "60"))
    time.sleep(delay)
    demo.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    demo.process.send_signal(signal.SIGINT)  # impatient
    _, out, err = demo.end()
    assert "Traceback" not in out + err
    assert demo.processes() == set()


@needs_proc
def test_kill_9_leaves_no_orphans(demos: list[Demo]) -> None:
    demos.append(demo := Demo("--seconds", "60"))
    demo.wait_for(PROCESSES)
    demo.process.kill()
    demo.process.wait()
    demo.wait_for(0, seconds=5)


def test_an_error_is_one_clear_screen(demos: list[Demo]) -> None:
    demos.append(demo := Demo("--seconds", "6", TIDEGATE_BATCH_MAX_RECORDS="lots"))
    code, _, err = demo.end()
    assert code == 2
    assert "TIDEGATE_BATCH_MAX_RECORDS=lots is not a whole number" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) < 10


def test_a_closed_pipe_is_no_fault(demos: list[Demo]) -> None:
    demos.append(demo := Demo("--seconds", "3"))
    assert demo.process.stdout is not None
    demo.process.stdout.readline()
    demo.process.stdout.close()
    assert demo.process.stderr is not None
    assert b"Traceback" not in demo.process.stderr.read()


@needs_proc
def test_a_report_is_one_file_that_needs_nothing(demos: list[Demo], tmp_path: Path) -> None:
    place = tmp_path / "out.html"
    demos.append(demo := Demo("--seconds", "4", "--report", str(place)))
    code, out, err = demo.end()
    assert (code, err) == (0, "")
    assert f"The pictures are in {place}." in " ".join(out.split())
    text = place.read_text()
    assert text.count("<svg") == 5
    assert not re.search(r"<script|<link|\ssrc=|href=", text)
    assert "purchases" in text
    assert "--seconds 4 --surge 10 --seed 1 --rate 300" in text
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
        assert "no data" not in svg


def test_a_report_that_cannot_be_written_is_said_before_the_run(demos: list[Demo], tmp_path: Path) -> None:
    for path, words in [("out.png", "neither a page nor a picture"), (str(tmp_path / "no" / "o.html"), "No such file")]:
        demos.append(demo := Demo("--report", path))
        code, _, err = demo.end(seconds=15)
        assert code == 2
        assert words in err
        assert "Traceback" not in err


@needs_proc
def test_an_app_of_one_s_own_and_topics_of_one_s_own(demos: list[Demo]) -> None:
    with Sink() as app:
        url = f"http://127.0.0.1:{app.port}/mine"
        options = ("--seconds", "4", "--json", "--topics", "orders,clicks", "--sink-url", url)
        demos.append(demo := Demo(*options, TIDEGATE_FORMAT="envelope"))
        code, out, err = demo.end()
    assert code == 0, err
    summary = summary_of(out)
    assert "plain" not in summary
    total = Plan(4, 300, 10).total + 1
    assert sum(row["delivered"] for row in summary["classes"].values()) == total
    assert len(app.events) == total
    assert {event["id"].split("/")[0] for event in app.events} == {"orders", "clicks"}
    assert {event["id"].split("/")[0] for event in app.events if event["class"] == "critical"} == {"orders"}
    assert {event["id"].split("/")[0] for event in app.events if event["class"] != "critical"} == {"clicks"}
    words = " ".join(err.split())
    assert f"They go to {url}" in words
    assert f"The app has acknowledged {total:,} events." in words


@needs_proc
def test_an_app_that_is_not_there_is_said(demos: list[Demo], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "START_SECONDS", 3.0)
    with pytest.raises(TidegateError, match=r"no event reached http://127\.0\.0\.1:9/events within 3 s"):
        main.run(DemoOptions(seconds=2, sink_url="http://127.0.0.1:9/events", json=True))
