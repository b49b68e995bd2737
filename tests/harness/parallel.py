"""Several slow things side by side: most of what they do is wait for sessions to end."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence


class _Job(threading.Thread):
    """A job in a thread of its own; a daemon, so that one that is stuck cannot keep the run from ending."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as e:  # also pytest's own outcomes, which are no Exception
            self.error = e

    def where(self) -> str:
        """What it waits for, as a stack."""
        frame = sys._current_frames().get(self.ident or 0)
        return "".join(traceback.format_stack(frame)[-8:]) if frame is not None else "it has just ended"


def side_by_side(jobs: Sequence[tuple[str, Callable[[], object]]], timeout: float = 600) -> None:
    """Runs named jobs in threads of their own and waits for all, ``timeout`` seconds at most.

    Raises AssertionError that names each that failed, and each that was stuck with the place where it stands.
    Processes that a job starts must end with it (leash.py).
    """
    running = [_Job(*job) for job in jobs]
    deadline = time.monotonic() + timeout
    for job in running:
        job.join(max(0.0, deadline - time.monotonic()))
    failed = [f"== {job.name}: still runs after {timeout} s\n{job.where()}" for job in running if job.is_alive()]
    failed += [f"== {job.name}: {type(job.error).__name__}: {job.error}" for job in running if job.error is not None]
    if failed:
        raise AssertionError(f"{len(failed)} of {len(jobs)} failed\n" + "\n".join(failed))
