"""Time goes wrong around one member of a group: it stays a member, and its counts stay right.

The wall clock is put on and back, the event loop stands still for several times max.poll.interval.ms, the processor is
taken away, nobody reads the log. In each the group's generation must stay what it was: that is, no rebalance.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime

import pytest

from faults.flow import longest_pause, require_conserved, stream, wait_flowing
from faults.rows import ROUNDS, Matrix
from harness.commits import generations
from harness.healing import catch_up
from harness.parallel import side_by_side
from harness.produce import shop_events
from harness.scene import Broker, event_class
from harness.sidecar import Sidecar
from harness.throttle import Quota, turns
from harness.wallclock import WallClock
from harness.watched import WatchedScene, WatchedScenes

HOUR_SECONDS = 3600.0
STEP_SECONDS = 2.0 * min(ROUNDS, 15)
STALL_SECONDS = 12.0 if ROUNDS == 1 else 60.0
MAX_POLL_SECONDS = STALL_SECONDS / 6
QUOTA = 0.2
BATCH, CONCURRENCY = 40, 4
END_SECONDS = 12.0
EXPECTED = "a member all the time: no rebalance; nothing lost, nothing twice; counts add up"
TEST = "test_time.py::test_time_that_goes_wrong"


def settled_in(scene: WatchedScene) -> list[int]:
    """The group's generations so far; asked when there will be no more of them."""
    return generations(scene.commits())


def finish(
    scene: WatchedScene,
    sidecar: Sidecar,
    matrix: Matrix,
    fault: str,
    before: list[int],
    seconds: float,
    timed: str,
    twice: int = 0,
) -> None:
    """No generation more than ``before``, everything settled and at most ``twice`` come again: the row."""
    scene.wait_settled(sidecar, 30)
    assert generations(scene.commits()) == before, f"{scene.group}: a rebalance\n{sidecar.tail()}"
    sidecar.stop(END_SECONDS)
    require_conserved(sidecar)
    report = scene.judge(duplicates=twice, classes=event_class)
    expected = EXPECTED if not twice else EXPECTED.replace("nothing twice", "twice at most what was in flight")
    fault = f"{fault} ({scene.protocol} protocol)"
    matrix.add(TEST, fault, expected, report, exposed=twice, seconds=seconds, timed=timed)


def wall_clock(scene: WatchedScene, matrix: Matrix) -> Callable[[], None]:
    """Steps of an hour, forth and back and back and forth."""

    def job() -> None:
        clock = WallClock(scene.directory)
        scene.environment = clock.environment
        sidecar = scene.sidecar("--summary")
        with stream(scene):
            wait_flowing(scene, sidecar)
            time.sleep(1.5)
            before, begun = settled_in(scene), time.time_ns()
            for offset in (HOUR_SECONDS, 0, -HOUR_SECONDS, 0, HOUR_SECONDS):
                clock.set(offset)
                time.sleep(STEP_SECONDS)
                wait_flowing(scene, sidecar)
            ended = time.time_ns()
        pause = longest_pause(scene.app.requests(), begun, ended)
        finish(scene, sidecar, matrix, "the wall clock is put 1 h on and back", before, pause, "longest pause")
        # By its own log it did live an hour ahead.
        said = re.findall(r'"time": "([^"]+)Z"', sidecar.stderr)[-1]
        ahead = datetime.fromisoformat(said + "+00:00").timestamp() - time.time()
        assert HOUR_SECONDS - 60 < ahead < HOUR_SECONDS + 60

    return job


def stalled_loop(scene: WatchedScene, matrix: Matrix) -> Callable[[], None]:
    """The main thread stands still with the GIL in its hand."""

    def job() -> None:
        scene.live_seconds = 2 * STALL_SECONDS  # a stalled loop shows as a time-out, and to whom it may
        scene.environment = {"STALL_SECONDS": str(STALL_SECONDS)}
        limits = {"kafka_max_poll_interval_ms": int(MAX_POLL_SECONDS * 1000)}
        if scene.protocol == "classic":
            limits |= {"kafka_session_timeout_ms": int(MAX_POLL_SECONDS * 1000), "drain_seconds": 1}
        # What was in flight has timed out when it goes on, and is sent again.
        sidecar = scene.sidecar("--summary", batch_max_records=BATCH, concurrency=CONCURRENCY, **limits)
        with stream(scene):
            wait_flowing(scene, sidecar)
            begun = time.time_ns()
            time.sleep(1.5)
            before = settled_in(scene)
            sidecar.process.send_signal(signal.SIGUSR1)
            time.sleep(STALL_SECONDS)
            wait_flowing(scene, sidecar)
            seconds = catch_up(scene, sidecar)
            ended = time.time_ns()
        assert longest_pause(scene.app.requests(), begun, ended) > STALL_SECONDS - 1, "it did not stand still"
        fault = f"the event loop stands still for {STALL_SECONDS:g} s, max.poll.interval.ms {MAX_POLL_SECONDS:g} s"
        finish(scene, sidecar, matrix, fault, before, seconds, "from the stall's end to no lag", BATCH * CONCURRENCY)

    return job


def starved(scene: WatchedScene, matrix: Matrix, quota: bool) -> Callable[[], None]:
    """A fifth of a core for more work than that is good for."""

    def job() -> None:
        sidecar = scene.sidecar("--summary", batch_max_records=1)
        with stream(scene), ExitStack() as stack:
            wait_flowing(scene, sidecar)
            time.sleep(1.5)
            before = settled_in(scene)
            made = None
            if quota:
                made = Quota(sidecar.process.pid, QUOTA)
                stack.callback(made.close)
            else:
                stack.enter_context(turns(sidecar.process.pid, QUOTA))
            scene.send(shop_events(2000 * min(ROUNDS, 5), scene.partitions))
            seconds = catch_up(scene, sidecar, 90.0 * min(ROUNDS, 5))  # not healed: it has a fifth of a core
            # On a busy machine it may not even get what the quota leaves it.
            assert made is None or made.throttled() > 10 or seconds > 5, "it never wanted more than it had"
        how = "CPU quota 0.2" if quota else "SIGSTOP for 80 ms of each 100"
        finish(scene, sidecar, matrix, f"{how}, more to do than that allows", before, seconds, "until all was settled")

    return job


def unread_log(scene: WatchedScene, matrix: Matrix) -> Callable[[], None]:
    """stderr is a pipe that nobody reads, and more is logged than it holds."""

    def job() -> None:
        path = scene.directory / "sidecar.err"
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
            scene.environment = {"LOG_LINES": "4000"}
            sidecar = scene.sidecar("--summary")
            path.unlink()  # both ends are open; nobody shall wait for it
            with stream(scene):
                wait_flowing(scene, sidecar)
                time.sleep(1.5)
                before = settled_in(scene)
                dropped = "tidegate_log_lines_dropped_total"
                sidecar.wait_until(lambda: scene.watches[0].metrics.get(dropped, 0) > 1000, 40, "lines dropped")
                begun = time.monotonic()
                time.sleep(2 * ROUNDS)
                wait_flowing(scene, sidecar)
            seconds = time.monotonic() - begun
            finish(scene, sidecar, matrix, "nobody reads the log, and it is full", before, seconds, "with it full")
        finally:
            os.close(pipe)

    return job


def may_make_quotas() -> bool:
    """Whether this machine lets us."""
    try:
        Quota(os.getpid(), 1.0).close()
    except OSError:
        return False
    return True


def test_time_that_goes_wrong(
    kafka_broker: Broker, scenes: WatchedScenes, matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TEST_SIDECAR", f"{sys.executable} -m harness.disturbed")
    quota = may_make_quotas()
    jobs = []
    for protocol in ("classic", "consumer"):

        def scene(name: str, protocol: str = protocol) -> WatchedScene:
            return scenes(kafka_broker, protocol=protocol, name=f"{name}-{protocol}")

        jobs += [
            (f"wall clock, {protocol}", wall_clock(scene("wall-clock"), matrix)),
            (f"stalled loop, {protocol}", stalled_loop(scene("stalled"), matrix)),
            (f"starved, {protocol}", starved(scene("starved"), matrix, quota and protocol == "classic")),
            (f"unread log, {protocol}", unread_log(scene("unread"), matrix)),
        ]
    side_by_side(jobs)
