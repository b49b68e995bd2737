"""An app over HTTP in a process of its own, with orders to misbehave: the receiving end of every end-to-end test."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from harness import applog
from harness.leash import leashed

TESTS = Path(__file__).parent.parent
_START_SECONDS = 60


class App:
    """Starts the double (app_server.py) on a free port; ``log_path`` receives what it gets.

    Use as a context manager. ``mode`` gives orders, ``requests`` reads the log, ``wait_events`` waits for it.
    """

    def __init__(self, log_path: Path, *, fsync: bool = False) -> None:
        self.log_path = log_path
        command = [sys.executable, "-m", "harness.app_server", str(log_path), *(["--fsync"] if fsync else [])]
        environment = os.environ | {"PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(leashed(command), stdout=subprocess.PIPE, env=environment)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START_SECONDS)
        first = self._process.stdout.readline() if ready else b""
        if not first:
            self.close()
            raise RuntimeError(f"the app double said no ports within {_START_SECONDS} s: {self._process.returncode}")
        ports = json.loads(first)
        self.port: int = ports["port"]
        self.url = f"http://127.0.0.1:{self.port}/events"
        self._control = f"http://127.0.0.1:{ports['control']}"

    def mode(self, name: str = "ok", **more: Any) -> None:
        """Changes the behaviour from the next request on; see app_server.Mode for names and fields."""
        self._ask("/mode", {"name": name} | more)

    def stats(self) -> dict[str, int]:
        """``requests`` (any), ``events`` acknowledged, ``distinct`` ones of them, ``busy`` and ``max_busy`` now."""
        answer: dict[str, int] = self._ask("/stats")
        return answer

    def begin(self, log_path: Path) -> None:
        """As if started anew, with another log: statistics at 0, mode ``ok``, every connection closed."""
        self._ask("/log", {"path": str(log_path)})
        self.log_path = log_path

    def requests(self) -> list[applog.Request]:
        """Everything logged so far."""
        return list(applog.read(self.log_path))

    def wait(
        self, done: Callable[[dict[str, int]], bool], timeout: float = 30, alive: Callable[[], object] = int
    ) -> None:
        """Waits until ``done`` of the statistics; ``alive`` may raise to end the waiting early. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while not done(stats := self.stats()):
            alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout} s the app has only {stats}")
            time.sleep(0.03)

    def close(self) -> None:
        """Ends the process; the log stays."""
        self._process.kill()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, path: str, order: dict[str, Any] | None = None) -> Any:
        body = None if order is None else json.dumps(order).encode()
        with urllib.request.urlopen(urllib.request.Request(self._control + path, body), timeout=20) as answer:
            return json.load(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AppPool:
    """App doubles to borrow: starting one costs half a second of a core, beginning anew next to nothing."""

    def __init__(self) -> None:
        self._free: list[App] = []
        self._all: list[App] = []

    @contextmanager
    def lend(self, log_path: Path) -> Iterator[App]:
        """An app as new that logs to ``log_path``."""
        if self._free:
            app = self._free.pop()
            app.begin(log_path)
        else:
            app = App(log_path)
            self._all.append(app)
        yield app
        self._free.append(app)

    def close(self) -> None:
        """Ends all of them."""
        for app in self._all:
            app.close()
