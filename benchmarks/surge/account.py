"""What a contender's whole process tree costs: CPU and peak memory, by the kernel's own account (Linux)."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY_SECONDS = 0.2


def tree(pid: int) -> list[int]:
    """The process and all that descend from it, as far as they live."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
    return found


def usage(pid: int) -> tuple[float, int]:
    """(CPU seconds, sum of VmHWM in KiB) of a tree; of its dead, the CPU of those that were waited for."""
    cpu, kib = 0.0, 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            cpu += sum(map(int, fields[11:15])) / _TICKS
            if peak := re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{one}/status").read_text()):
                kib += int(peak[1])
    return cpu, kib


class Account(threading.Thread):
    """Follows a tree until `close`, or until it has ended.

    Attributes:
        cpu_seconds: so far.
        peak_kib: largest sum of the living processes' peaks; pages that they share count once for each.
        load_average: the machine's largest one-minute load so far.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._closed = threading.Event()
        self.cpu_seconds, self.peak_kib, self.load_average = 0.0, 0, 0.0
        self.start()

    def run(self) -> None:
        while not self._closed.is_set():
            cpu, kib = usage(self._pid)
            self.cpu_seconds, self.peak_kib = max(self.cpu_seconds, cpu), max(self.peak_kib, kib)
            self.load_average = max(self.load_average, os.getloadavg()[0])
            time.sleep(_EVERY_SECONDS)

    def close(self) -> None:
        self._closed.set()
        self.join()
