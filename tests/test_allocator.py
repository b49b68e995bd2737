"""`tidegate run` on mimalloc: in place, left alone where it should be, and no signal lost on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate import allocator

pytestmark = pytest.mark.skipif(allocator.library() is None, reason="mimalloc is not installed")


def start(**more: str) -> subprocess.Popen[bytes]:
    """`tidegate run` with a broker that is not there."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("TIDEGATE_") and n != "LD_PRELOAD"}
    environment |= {
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "TIDEGATE_TOPICS": "t",
        "TIDEGATE_SINK_URL": "blackhole:",
        "TIDEGATE_OPS_ADDRESS": "none",
        "TIDEGATE_ADMIN_ADDRESS": "none",
        **more,
    }
    # pytest's own handlers and mask are not inherited; an ignored SIGINT of a job in the background would be.
    return subprocess.Popen(
        [sys.executable, "-m", "tidegate", "run"],
        env=environment,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_started(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if b'"started"' in line:
            return
    raise AssertionError("it did not start")


def mapped(process: subprocess.Popen[bytes]) -> bool:
    return "libmimalloc" in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.mark.parametrize(("more", "expected"), [({}, True), ({"TIDEGATE_ALLOCATOR": "system"}, False)])
def test_it_is_in_place_unless_the_systems_is_wanted(more: dict[str, str], expected: bool) -> None:
    with start(**more) as process:
        wait_started(process)
        assert mapped(process) is expected
        process.terminate()
        assert process.wait(20) == 0


def test_an_operators_preload_is_left_alone() -> None:
    with start(LD_PRELOAD="libm.so.6") as process:
        wait_started(process)
        assert not mapped(process)
        assert b"LD_PRELOAD=libm.so.6" in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        process.terminate()
        assert process.wait(20) == 0


def test_what_it_starts_does_not_inherit_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TIDEGATE_PRELOADED", "1")
    monkeypatch.setenv("LD_PRELOAD", "x")
    allocator.begin_again()
    assert not {"LD_PRELOAD", "_TIDEGATE_PRELOADED"} & set(os.environ)


def test_an_unknown_choice_is_told() -> None:
    with start(TIDEGATE_ALLOCATOR="jemalloc") as process:
        _, told = process.communicate(timeout=20)
    assert process.returncode == 2
    assert b"TIDEGATE_ALLOCATOR=jemalloc" in told


def test_a_stop_while_it_begins_again_is_not_lost() -> None:
    """From when Python runs our first line, SIGTERM is a clean end; before that it is the system's."""
    dice = random.Random(1)
    for _ in range(12):
        with start() as process:
            deadline = time.monotonic() + 20
            # Begun again: the second image has the mark in its environment.
            while b"_TIDEGATE_PRELOADED" not in Path(f"/proc/{process.pid}/environ").read_bytes():
                assert time.monotonic() < deadline
            time.sleep(dice.random() * 0.3)
            process.terminate()
            try:
                assert process.wait(20) == 0
            finally:
                process.kill()  # or leaving the block would wait for it for ever


def test_a_stop_whose_exception_was_lost_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "stop_asked", False)
    with pytest.raises(SystemExit):
        allocator.stop_early()
    assert allocator.stop_asked
