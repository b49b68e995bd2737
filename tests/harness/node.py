"""One Kafka process on one data directory: formatted once, then started, stopped, killed, frozen on the same ports."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from harness import install
from harness.leash import leashed

# For a run of minutes the cheap compiler wins.
JVM_OPTIONS = ("-XX:TieredStopAtLevel=1",)


class Started(ABC):
    """Runs within a ``with`` block, and is closed where it does not even start."""

    @abstractmethod
    def start(self) -> Self:
        """Starts it."""

    @abstractmethod
    def close(self) -> None:
        """Ends it, however far it came."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Node:
    """The process of a broker that answers at ``bootstrap_servers`` once ``format`` has written its settings.

    Raises KafkaUnavailableError without Java or Maven.
    """

    def __init__(self, data_dir: Path, heap_mb: int, jvm_options: Sequence[str] = JVM_OPTIONS) -> None:
        self.data_dir = data_dir
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.log_path = data_dir / "server.log"
        self.bootstrap_servers = ""
        self._config = data_dir / "server.properties"
        jars = install.jars()
        self._java = [install.java(), f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
        self._java += [*jvm_options, f"-Dlog4j2.configurationFile={install.HERE / 'log4j2.properties'}"]
        self._java += ["-cp", f"{jars}/*"]
        self._dump = data_dir / "classes.jsa"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs, or is frozen."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def format(self, bootstrap_servers: str, properties: Mapping[str, str], cluster_id: str) -> None:
        """Writes the settings and an empty storage; the data is in ``data_dir / "data"``."""
        self.bootstrap_servers = bootstrap_servers
        told = {"log.dirs": str(self.data_dir / "data")}
        self._config.write_text("".join(f"{name}={value}\n" for name, value in (dict(properties) | told).items()))
        command = [
            *self._java,
            *_known_classes(),
            "kafka.tools.StorageTool",
            "format",
            "-t",
            cluster_id,
            "-c",
            str(self._config),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RuntimeError(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def launch(self) -> None:
        """Starts the process; ``wait`` tells when it answers."""
        self._log = open(self.log_path, "wb")  # noqa: SIM115 - the broker writes to it until it ends
        command = leashed(
            [
                *self._java,
                *(_known_classes() or [f"-XX:ArchiveClassesAtExit={self._dump}"]),
                "kafka.Kafka",
                str(self._config),
            ]
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, env=environment
        )

    def wait(self, timeout: float = 90) -> None:
        """Returns when the broker answers. Raises RuntimeError with the end of its log; then it has been killed."""
        deadline = time.monotonic() + timeout
        # "Connection refused" is what waiting looks like: not worth a line.
        admin = AdminClient(
            {"bootstrap.servers": self.bootstrap_servers, "reconnect.backoff.max.ms": 200, "log_level": 0}
        )
        while True:
            if self.pid is None:
                reason = f"ended with {self._process.returncode if self._process is not None else 'no start'}"
            elif time.monotonic() > deadline:
                reason = f"does not answer within {timeout} s"
            else:
                try:
                    admin.list_topics(timeout=0.5)
                    return
                except KafkaException:
                    continue
            self.kill()
            raise RuntimeError(f"Kafka {reason}; the end of its log:\n{self.log_tail()}")

    def stop(self, timeout: float = 30) -> None:
        """An orderly shutdown, killed where that takes longer; the data stays."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """kill -9; the data stays as it is."""
        self._end(signal.SIGKILL, 10)

    def freeze(self) -> None:
        """SIGSTOP: its ports still take connections, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def log_tail(self, lines: int = 40) -> str:
        """The end of the broker's log."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, what: signal.Signals) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(what)

    def _end(self, how: signal.Signals, timeout: float) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            if self._dump.exists():
                install.keep_class_archive(self._dump)
        if self._log is not None:
            self._log.close()
            self._log = None


def _known_classes() -> list[str]:
    """With the classes of an earlier run, parsed and linked, a broker starts in half the time.

    The first orderly stop on a machine leaves them. A JVM that they do not fit goes on without.
    """
    known = install.class_archive()
    return [f"-XX:SharedArchiveFile={known}"] if known.exists() else []
