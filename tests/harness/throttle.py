"""A process that gets only a share of one core: by a CPU quota where cgroups may be made, or by turns of SIGSTOP."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_SECONDS = 0.1
_ROOT = Path("/sys/fs/cgroup")


class Quota:
    """A CPU quota of ``share`` cores on process ``pid``. Raises OSError where this may not make one."""

    def __init__(self, pid: int, share: float) -> None:
        period, quota = int(PERIOD_SECONDS * 1e6), int(PERIOD_SECONDS * 1e6 * share)
        old = (_ROOT / "cpu").is_dir()
        parent = _ROOT / "cpu" if old else _ROOT
        self._home = parent / "cgroup.procs"
        self._group = parent / f"tidegate-test-{os.getpid()}-{pid}"
        self._group.mkdir()
        try:
            if old:
                (self._group / "cpu.cfs_period_us").write_text(str(period))
                (self._group / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (self._group / "cpu.max").write_text(f"{quota} {period}")
            (self._group / "cgroup.procs").write_text(str(pid))
        except OSError:
            self._group.rmdir()
            raise

    def throttled(self) -> int:
        """Periods in which it wanted more."""
        lines = (self._group / "cpu.stat").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("nr_throttled"))

    def close(self) -> None:
        """Lifts it."""
        for pid in (self._group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                self._home.write_text(pid)
        self._group.rmdir()


@contextmanager
def turns(pid: int, share: float) -> Iterator[None]:
    """Lets process ``pid`` run for ``share`` of each period."""
    done = threading.Event()

    def take_turns() -> None:
        with contextlib.suppress(ProcessLookupError):
            while not done.is_set():
                os.kill(pid, signal.SIGSTOP)
                time.sleep(PERIOD_SECONDS * (1 - share))
                os.kill(pid, signal.SIGCONT)
                time.sleep(PERIOD_SECONDS * share)

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
