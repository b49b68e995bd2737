"""The watchers find what is planted, and nothing where nothing is."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import healing, watch
from harness.ports import free_ports
from harness.sidecar import Sidecar
from harness.topics import Partition
from harness.watch import Watch, series

LIVE_SECONDS = 0.7

Start = Callable[..., tuple[Sidecar, Watch]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a process with a fault of faulty.py under a watch, whose budget leaves it 40 MiB in all."""
    monkeypatch.setenv("TIDEGATE_TEST_SIDECAR", f"{sys.executable} -m harness.faulty")
    monkeypatch.setattr(watch, "CLOSE_SECONDS", 0.5)
    monkeypatch.setattr(watch, "INTERVAL_SECONDS", 0.1)
    with ExitStack() as stack:

        def begin(fault: str, **more: str) -> tuple[Sidecar, Watch]:
            (port,) = free_ports(1)
            settings = {"TIDEGATE_FAULT": fault, "TIDEGATE_OPS_ADDRESS": f"127.0.0.1:{port}"} | more
            sidecar = stack.enter_context(Sidecar(settings, tmp_path))
            made = Watch(sidecar, port, budget_bytes=-(36 << 20), drain_seconds=0.2, live_seconds=LIVE_SECONDS)
            stack.callback(made.stop)
            return sidecar, made

        yield begin


def wait_found(made: Watch, kind: str, words: str) -> None:
    deadline = time.monotonic() + 10
    while not any(k == kind and words in what for k, what in made.violations):
        assert time.monotonic() < deadline, made.violations
        time.sleep(0.05)
    assert {k for k, _ in made.violations} == {kind}
    with pytest.raises(AssertionError, match=f"sidecar, {kind}: "):
        made.require()


def test_a_good_run_passes(start: Start) -> None:
    sidecar, made = start("none")
    sidecar.wait_until(lambda: made.looks >= 8, 10, "looks")
    sidecar.process.send_signal(signal.SIGSTOP)  # a process that was stopped owes no answer
    time.sleep(2 * LIVE_SECONDS)
    sidecar.process.send_signal(signal.SIGCONT)
    before = made.looks
    sidecar.wait_until(lambda: made.looks >= before + 3, 10, "looks again")
    sidecar.kill()
    sidecar.start()
    before = made.looks
    sidecar.wait_until(lambda: made.looks >= before + 3, 10, "looks at the next")
    sidecar.stop()
    made.stop()
    made.require()
    assert made.metrics['tidegate_conservation_error{class="high"}'] == 0
    assert 8 << 20 < made.peak_bytes < 32 << 20
    assert all(0 < rss <= made.peak_bytes for _, rss in made.rss)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("memory", "memory", "MiB of 40"),
        ("books", "books", 'tidegate_conservation_error{class="high"} 1'),
        ("dead", "live", "/livez says 503"),
        ("silent", "live", "timed out after 0."),
    ],
)
def test_a_fault_while_it_runs_is_found(start: Start, fault: str, kind: str, words: str) -> None:
    _, made = start(fault)
    wait_found(made, kind, words)


@pytest.mark.parametrize(
    ("fault", "words"), [("bad-end", "exit code 3 after SIGTERM"), ("slow-end", "still there 0.7 s after SIGTERM")]
)
def test_a_bad_end_is_found(start: Start, fault: str, words: str) -> None:
    sidecar, made = start(fault)
    sidecar.wait_until(lambda: made.looks, 10, "a look")
    sidecar.terminate()
    wait_found(made, "end", words)


def test_an_end_that_nobody_asked_for_is_found(start: Start) -> None:
    _, made = start("gone", TIDEGATE_CODE="1")
    wait_found(made, "end", "exit code 1")


def test_series_are_read() -> None:
    text = '# HELP a b\n# TYPE a gauge\na{class="x",topic="t"} 3.0\nb 1e+06\n'
    assert series(text) == {'a{class="x",topic="t"}': 3.0, "b": 1e6}


def test_lag_that_stays_is_found(start: Start) -> None:
    sidecar, _ = start("none")
    p0: Partition = ("t", 0)
    p1: Partition = ("t", 1)
    steps = iter([{}, {p0: 3}, {p0: 5, p1: 2}])
    assert healing.lag_gone(sidecar, {p0: 5, p1: 2}, lambda: next(steps)) < 5
    assert healing.behind({p0: 5, p1: 2}, {p0: 4}) == {p0: 1, p1: 2}
    with pytest.raises(AssertionError, match=r"0.2 s after healing still lag \{\('t', 1\): 1\}"):
        healing.lag_gone(sidecar, {p0: 5, p1: 2}, lambda: {p0: 5, p1: 1}, 0.2)
    sidecar.kill()
    with pytest.raises(AssertionError, match="ended after healing with lag"):
        healing.lag_gone(sidecar, {p0: 5}, dict, 5)
