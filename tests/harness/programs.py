"""Programs as a user starts them in a terminal: output in a file, ended by Ctrl-C, with all that they started."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self


class Program:
    """A command in a process group of its own; stdout and stderr go to one file, as to a terminal.

    ``environ`` is all of its environment. Ends with the ``with`` block.
    """

    def __init__(self, command: Sequence[str], output: Path, environ: Mapping[str, str], cwd: Path) -> None:
        self.output_path = output
        with open(output, "ab") as file:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self.output_path.read_text(errors="replace")

    def wait_for(self, pattern: str, timeout: float = 60) -> re.Match[str]:
        """Waits until the output has a match. Raises AssertionError when time is up or the program has ended."""
        deadline = time.monotonic() + timeout
        while (found := re.search(pattern, self.output)) is None:
            code = self.process.poll()
            assert code is None, f"it ended with {code}, without {pattern!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {pattern!r} within {timeout} s:\n{self.output}"
            time.sleep(0.05)
        return found

    def interrupt(self, timeout: float = 60) -> int:
        """Ctrl-C, and the exit code. Raises AssertionError when it does not end."""
        self._signal(signal.SIGINT)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs {timeout} s after Ctrl-C:\n{self.output}") from None

    def kill(self) -> None:
        """kill -9, it and all that it started."""
        self._signal(signal.SIGKILL)
        self.process.wait(10)

    def close(self) -> None:
        """Ends it, at the latest by kill -9."""
        try:
            self.interrupt(30)
        finally:
            self._signal(signal.SIGKILL)  # what it left behind
            self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _signal(self, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, what)


def plain_environment(**more: str) -> dict[str, str]:
    """This process's environment as a user's shell would have it: without tidegate's settings and make's variables."""
    unwanted = ("TIDEGATE_", "MAKE", "MFLAGS", "PYTEST_")
    wanted = ("TIDEGATE_DEBUG", "TIDEGATE_TEST_")  # of the build and the harness, which the settings leave alone
    kept = {k: v for k, v in os.environ.items() if k.startswith(wanted) or not k.startswith(unwanted)}
    return kept | more
