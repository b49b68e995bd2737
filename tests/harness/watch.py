"""Watchers beside a sidecar process through a whole run: what an end's verdict cannot see.

* memory (I7): VmHWM never above the budget and what the libraries take (decision 6);
* books (I3): ``tidegate_conservation_error`` is 0 for every class at every scrape;
* live (I12): from its first 200 on, /livez never says anything else and never keeps a prober waiting for long;
* end (I10): after SIGTERM within the drain's deadline and the client's, with exit code 0; a process that was not
  killed never ends otherwise.

The figures of the first and the last come from the kernel; the two others are tidegate's own word, held to itself.
"""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness.sidecar import Sidecar

LIBRARIES_BYTES = 64 << 20  # RSS beyond TIDEGATE_MEMORY_BYTES
SMALL_BYTES, SMALL_EXCESS_BYTES = 64 << 20, 12 << 20  # below that budget, so much more (docs/adr/0009)
CLOSE_SECONDS = 14.0  # to commit, to leave the group and to end, beyond the drain's own deadline
LIVE_SECONDS = 10.0  # an answer takes no longer on a machine with other work on it
INTERVAL_SECONDS = 0.3
_SCRAPE_SECONDS = 1.0
_SERIES = re.compile(r"^(\w+)(\{[^}]*\})? (\S+)$", re.MULTILINE)
_KEPT = 5  # violations of a kind


def memory(pid: int) -> tuple[int, int]:
    """(VmRSS, VmHWM) in bytes. Raises OSError where there is no such process, LookupError where it has just ended."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = {name: int(kib) << 10 for name, kib in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", text, re.MULTILINE)}
    return found["VmRSS"], found["VmHWM"]


def stopped(pid: int) -> bool:
    """Whether SIGSTOP holds it; also when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] in "TZ"
    except OSError:
        return True


def series(text: str) -> dict[str, float]:
    """Prometheus text to ``name{labels}`` → value."""
    return {name + labels: float(value) for name, labels, value in _SERIES.findall(text)}


class Watch:
    """Watches ``sidecar``, which listens on ``port`` for probes, over its restarts until ``stop``.

    ``rss``: (monotonic seconds, VmRSS in bytes) at each look; ``peak_bytes``: the highest VmHWM; ``metrics``: the last
    scrape; ``looks``: answers of /livez and scrapes so far, so that nobody takes a watcher that saw nothing for a good
    run; ``violations``: (kind, what), at most a few of each kind.
    """

    def __init__(
        self,
        sidecar: Sidecar,
        port: int,
        *,
        budget_bytes: int,
        drain_seconds: float,
        live_seconds: float = LIVE_SECONDS,
    ) -> None:
        self.rss: list[tuple[float, int]] = []
        self.peak_bytes = 0
        self.metrics: dict[str, float] = {}
        self.looks = 0
        self.violations: list[tuple[str, str]] = []
        self._sidecar = sidecar
        self._base = f"http://127.0.0.1:{port}"
        self._limit_bytes = budget_bytes + LIBRARIES_BYTES + (SMALL_EXCESS_BYTES if budget_bytes < SMALL_BYTES else 0)
        self._end_seconds = drain_seconds + CLOSE_SECONDS
        self._live_seconds = live_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._was_live = self._ended = False
        self._scraped = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{sidecar.name}", daemon=True)
        self._thread.start()

    @property
    def live(self) -> bool:
        """Whether the process that runs now has said so."""
        return self._was_live and self._process is self._sidecar.process

    def require(self) -> None:
        """Raises AssertionError with what was found so far."""
        if self.violations:
            raise AssertionError("\n".join(f"{self._sidecar.name}, {kind}: {what}" for kind, what in self.violations))

    def stop(self) -> None:
        """Ends the watching."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            self._look()
        self._look()  # the end itself, where that is when it was stopped

    def _look(self) -> None:
        process = self._sidecar.process
        if process is not self._process:
            if self._process is not None and not self._ended:
                self._judge_end(self._process, None)
            self._process, self._was_live, self._ended = process, False, False
        told = self._sidecar.terminated_at
        if process.poll() is not None:
            if not self._ended:
                self._ended = True
                self._judge_end(process, told)
            return
        if told is not None and time.monotonic() - told > self._end_seconds and not stopped(process.pid):
            self._found("end", f"still there {self._end_seconds} s after SIGTERM")
        self._look_at_memory(process.pid)
        self._probe(process)
        if self._was_live and time.monotonic() - self._scraped >= _SCRAPE_SECONDS:
            self._scraped = time.monotonic()
            self._scrape()

    def _judge_end(self, process: subprocess.Popen[bytes], told: float | None) -> None:
        code = process.returncode
        early = code == -signal.SIGTERM and not self._was_live  # before Python itself could hear it
        if code not in (0, -signal.SIGKILL) and not early:  # who sends SIGKILL knows
            self._found("end", f"exit code {code}" + ("" if told is None else " after SIGTERM"))
        if code == 0 and told is not None and time.monotonic() - told > self._end_seconds + INTERVAL_SECONDS:
            self._found("end", f"took {time.monotonic() - told:.1f} s after SIGTERM")

    def _look_at_memory(self, pid: int) -> None:
        try:
            rss, peak = memory(pid)
        except (OSError, LookupError):
            return
        self.rss.append((time.monotonic(), rss))
        self.peak_bytes = max(self.peak_bytes, peak)
        if peak > self._limit_bytes:
            self._found("memory", f"VmHWM {peak / (1 << 20):.1f} MiB of {self._limit_bytes / (1 << 20):.0f}")

    def _probe(self, process: subprocess.Popen[bytes]) -> None:
        excused = stopped(process.pid)
        begun = time.monotonic()
        try:
            self._get("/livez")
            self._was_live = True
            self.looks += 1
            return
        except urllib.error.HTTPError as error:
            what = f"/livez says {error.code}: {error.read()[:80]!r}"
        except OSError as error:
            what = f"/livez: {error} after {time.monotonic() - begun:.1f} s"
            if self._was_live:
                time.sleep(0.5)  # a process that is killed loses its sockets before its number
        gone = process.poll() is not None or process is not self._sidecar.process
        ending = self._sidecar.terminated_at is not None
        if self._was_live and not (excused or gone or ending or stopped(process.pid)):
            self._found("live", what)

    def _scrape(self) -> None:
        try:
            self.metrics = series(self._get("/metrics"))
        except OSError:
            return  # /livez is there to notice
        self.looks += 1
        for name, value in self.metrics.items():
            if name.startswith("tidegate_conservation_error") and value != 0:
                self._found("books", f"{name} {value:g}")

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(self._base + path, timeout=self._live_seconds) as answer:
            text: str = answer.read().decode()
            return text

    def _found(self, kind: str, what: str) -> None:
        if sum(k == kind for k, _ in self.violations) < _KEPT:
            self.violations.append((kind, what))
