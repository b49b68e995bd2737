"""A sidecar process under test: started with exactly the settings given, watched, killed, asked for its summary."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from harness.leash import leashed

TESTS = Path(__file__).parent.parent
_TAIL = 30  # lines of a log that an assertion shows


def command() -> list[str]:
    """What starts a sidecar: this tree's tidegate, or ``TIDEGATE_TEST_SIDECAR`` (the harness tries itself that way)."""
    override = os.environ.get("TIDEGATE_TEST_SIDECAR")
    return shlex.split(override) if override else [sys.executable, "-m", "tidegate"]


class Sidecar:
    """``tidegate run`` with ``settings`` (full names) and nothing else of ``TIDEGATE_*``, in a process of its own.

    stdout and stderr go to files in ``directory``, appended over restarts. The process dies with the test process.
    """

    def __init__(self, settings: Mapping[str, str], directory: Path, *arguments: str, name: str = "sidecar") -> None:
        self.settings = dict(settings)
        self.arguments = list(arguments)
        self.name = name
        directory.mkdir(parents=True, exist_ok=True)
        self.stdout_path = directory / f"{name}.out"
        self.stderr_path = directory / f"{name}.err"
        self.terminated_at: float | None = None  # when SIGTERM was sent; monotonic seconds
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Starts it (again)."""
        assert not self.alive, f"{self.name} still runs"
        self.terminated_at = None
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")} | self.settings
        paths = [str(TESTS.parent / "src"), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self._process = subprocess.Popen(
                leashed([*command(), "run", *self.arguments]),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def stdout(self) -> str:
        return self.stdout_path.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    def terminate(self) -> None:
        """SIGTERM."""
        self.terminated_at = self.terminated_at or time.monotonic()
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait(10)

    def wait(self, timeout: float = 30) -> int:
        """The exit code. Raises AssertionError with the end of the log when it does not end in time."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {timeout} s\n{self.tail()}") from None

    def stop(self, timeout: float = 30) -> None:
        """SIGTERM, and a clean end. Raises AssertionError for any other exit code than 0."""
        self.terminate()
        code = self.wait(timeout)
        assert code == 0, f"{self.name} ended with {code}\n{self.tail()}"

    def finish(self, timeout: float = 60) -> dict[str, Any]:
        """Waits for a clean end by itself and returns the summary."""
        code = self.wait(timeout)
        assert code == 0, f"{self.name} ended with {code}\n{self.tail()}"
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """The JSON object on the last line of stdout."""
        lines = self.stdout.splitlines()
        assert lines, f"{self.name} printed nothing\n{self.tail()}"
        result = json.loads(lines[-1])
        assert isinstance(result, dict)
        return result

    def wait_until(self, done: Callable[[], object], timeout: float = 30, what: str = "") -> None:
        """Polls ``done`` until it is true. Raises AssertionError when time is up, or at once when the process ends."""
        deadline = time.monotonic() + timeout
        while not done():
            ended = not self.alive
            if (ended and not done()) or time.monotonic() > deadline:
                state = f"ended with {self.process.returncode}" if ended else f"has not in {timeout} s"
                raise AssertionError(f"{self.name} {state}: {what or done}\n{self.tail()}")
            time.sleep(0.03)

    def wait_log(self, pattern: str, timeout: float = 30) -> None:
        """Waits until stderr has a match of the regular expression."""
        self.wait_until(lambda: re.search(pattern, self.stderr), timeout, f"log {pattern!r}")

    def tail(self) -> str:
        """The ends of both outputs, for a person."""
        parts = []
        for path in (self.stdout_path, self.stderr_path):
            lines = path.read_text(errors="replace").splitlines()[-_TAIL:] if path.exists() else []
            parts.append("\n".join([f"--- {path.name}", *lines]))
        return "\n".join(parts)

    def close(self) -> None:
        """Kills what still runs."""
        if self.alive:
            self.kill()

    def __enter__(self) -> Self:
        return self if self.alive else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
