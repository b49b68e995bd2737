"""The whole demo, as a user starts it: every event accounted for, and nothing left behind however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.demo import main
from tidegate.demo.children import Child

from .lossy_shop import LOSES_EVERY

COUNTERS = {"polled", "delivered", "deferred", "sampled", "expired", "dead_lettered", "discarded"}
MARK = "TEST_DEMO_MARK"  # in the environment of the demo and of everything it starts


class Demo:
    """``tidegate demo`` as a process; ``processes`` are its own and all that descend from it, however detached."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.mark = os.urandom(8).hex()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tidegate", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {MARK: self.mark, "COLUMNS": "80"} | environment,
            start_new_session=True,
        )

    def processes(self) -> set[int]:
        wanted = f"{MARK}={self.mark}".encode()
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        found.add(int(entry.name))
                except OSError:  # ended, or not ours
                    continue
        return found

    def wait_for(self, processes: int, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while len(self.processes()) != processes:
            assert time.monotonic() < deadline, f"{self.processes()}, {processes} expected"
            time.sleep(0.02)

    def line_of_progress(self) -> str:
        """The next one on stderr, with --json."""
        assert self.process.stderr is not None
        while re.match(r" *\d+ s  ", line := self.process.stderr.readline().decode()) is None:
            assert line, "ended by itself"
        return line

    def end(self, seconds: float = 40) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out.decode(), err.decode()

    def close(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.close()


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


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
    assert {"records", "seconds", "cpu_seconds", "peak_rss_bytes", "classes"} == set(summary) - {"replayed"}
    classes = summary["classes"]
    assert list(classes) == ["critical", "high", "normal", "bulk"]
    for row in classes.values():
        assert set(row) == COUNTERS | {"offered", "held", "p50_ms", "p99_ms"}
        assert row["offered"] == row["delivered"] + row["held"]
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    # 5 s at 300 and 1 s at 3,000, and the one that opens the shop.
    assert sum(row["offered"] for row in classes.values()) == 4501
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
    code, out, err = demo.end(seconds=30 + 30)
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
    assert ("of them are still there" if left else "all of them were delivered after the surge") in words
    assert any(line.startswith("rung NORMAL: ") for line in rungs)
    assert summary["replayed"] + left >= max(parked)
    for row in classes.values():
        assert row["offered"] == row["delivered"] + row["held"]
        assert row["deferred"] <= row["held"]
    assert classes["critical"]["deferred"] == classes["critical"]["held"] == 0
    assert classes["critical"]["p99_ms"] < classes["bulk"]["p99_ms"] / 4


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

    monkeypatch.setattr(main, "Child", child)
    monkeypatch.setattr(main, "GRACE_SECONDS", 2.0)  # it waits for events that never come
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert main.run(main.DemoOptions(seconds=2, surge=3, json=True)) == 1
    out, err = capsys.readouterr()
    total = 0
    for row in summary_of(out)["classes"].values():
        assert row["held"] == 0
        total += row["offered"] - row["delivered"]
    assert total == (300 * 2 + 200 + 1) // LOSES_EVERY
    assert "events were LOST" in err


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_brings_the_table_early(demos: list[Demo], number: signal.Signals) -> None:
    demos.append(demo := Demo("--seconds", "60"))
    demo.wait_for(3)
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
    demo.wait_for(3)
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
