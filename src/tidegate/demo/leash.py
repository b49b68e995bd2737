"""Runs a command that does not outlive its parent: ``python leash.py PARENT_PID COMMAND…`` becomes COMMAND.

Even ``kill -9`` of the demo must leave nothing behind. The kernel (Linux) sends SIGKILL when the *thread* that started
the process ends, so children are started from the main thread. Standard library only: it is run by its path.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Binds this process to its parent and becomes the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
