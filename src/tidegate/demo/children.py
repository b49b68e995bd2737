"""The demo's other processes: started on a leash, watched, and ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tidegate.errors import ConfigError, TidegateError

_LEASH = str(Path(__file__).with_name("leash.py"))
_LOG_LINES = 6
_LOG_BYTES = 1 << 16
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Child:
    """``python -m MODULE…`` in a process group of its own, so that a Ctrl-C at the terminal is the demo's to handle.

    stdout is kept for ``line`` and ``end``; stderr goes to a file of which errors show the end.
    """

    def __init__(self, name: str, module: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        # -P: files in the current directory must not stand in for modules.
        command = [sys.executable, "-P", "-m", *module]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _LEASH, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
            env=environment,
        )

    def check(self) -> None:
        """Raises TidegateError when it has ended; ConfigError when that is what it did not like."""
        if self._process.poll() is not None:
            raise self.failure(f"{self.name} ended unexpectedly (exit code {self._process.returncode})")

    def logged(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Where the beginning of its log matches."""
        # Not by reading on: the offset of the file is the one that the child writes at.
        said = os.pread(self._log.fileno(), _LOG_BYTES, 0)
        return pattern.search(_ESCAPES.sub("", said.decode(errors="replace")))

    def failure(self, message: str) -> TidegateError:
        """An error that shows the last lines of its log."""
        kind = ConfigError if self._process.poll() == ConfigError.exit_code else TidegateError
        self._log.seek(0)
        lines = _ESCAPES.sub("", self._log.read().decode(errors="replace")).splitlines()[-_LOG_LINES:]
        if lines:
            message += "; its last words:\n" + "\n".join(f"  | {line}" for line in lines)
        return kind(message, code="demo-child-failed")

    def line(self, seconds: float, pause: Callable[[float], None]) -> str:
        """The first line of its stdout. ``pause`` sleeps between looks. Raises TidegateError after ``seconds``."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while not select.select([self._process.stdout], [], [], 0)[0]:
            self.check()
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name} did not start within {seconds:g} s")
            pause(0.02)
        text = self._process.stdout.readline().decode()
        if not text:
            self._process.wait(1)
            self.check()
        return text

    def end(self, seconds: float) -> str:
        """SIGTERM, and what it printed until it ended. Raises TidegateError when it fails or takes longer."""
        self._process.send_signal(signal.SIGTERM)
        try:
            output, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise self.failure(f"{self.name} did not stop within {seconds:g} s") from None
        if self._process.returncode != 0:
            raise self.failure(f"{self.name} failed at its end (exit code {self._process.returncode})")
        return output.decode()

    def close(self) -> None:
        """Ends it and everything it started at once. May be called again."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
