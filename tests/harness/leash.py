"""Runs a command that must not outlive its parent: ``python leash.py PARENT_PID COMMAND…`` becomes COMMAND.

Tests are killed too (a time limit, Ctrl-C twice), and a broker or a sidecar left behind would disturb the next run.
The kernel sends SIGKILL when the *thread* that started the process ends, so start processes from a thread that lives
as long as they shall: in tests, the main thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def leashed(command: Sequence[str]) -> list[str]:
    """The command line that runs ``command`` bound to this process."""
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), *command]


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
