"""A real Apache Kafka, one node, in a process of its own: starts in seconds, can be killed and started again."""

from __future__ import annotations

import base64
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from harness.node import JVM_OPTIONS, Node, Started
from harness.ports import free_ports
from harness.topics import create_topic

GROUP_SESSION_MS = 4_000  # of members with the new protocol: the broker decides; classic ones may go down to 1 s

_SECURITY = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
PROPERTIES = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "3",
    "num.recovery.threads.per.data.dir": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A member that was killed is missed after its session: tests that kill wait for exactly that.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": str(GROUP_SESSION_MS),
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
    # After kill -9 the same node may register again once its old session is over.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # Compaction soon, and in little memory.
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "1000",
}


def new_cluster_id() -> str:
    """A cluster id as StorageTool takes it."""
    return "T" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # no leading "-": not an option


class KafkaServer(Started):
    """One broker on one data directory, on ports that it keeps over restarts.

    ``properties`` are added to ``server.properties``; ``jvm_options`` follow the defaults. ``listeners`` are more of
    them beside the plain one, security protocol to port on 127.0.0.1, with their settings among ``properties``; a name
    that is no security protocol is a plain one. ``advertised`` gives the port that clients of a listener are told
    where it is another one: that of a proxy in between (toxiproxy.py).
    ``port`` is the plain listener's, where it is not to be any free one.
    Without ``data_dir`` the data lives in a temporary directory that ``close`` removes. A process that is killed takes
    its broker with it.
    Raises KafkaUnavailableError without Java or Maven, RuntimeError with the end of the log where it does not start.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        heap_mb: int = 320,
        properties: Mapping[str, str] | None = None,
        listeners: Mapping[str, int] | None = None,
        advertised: Mapping[str, int] | None = None,
        jvm_options: Sequence[str] = JVM_OPTIONS,
        port: int | None = None,
    ) -> None:
        self._temporary = data_dir is None
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="tidegate-kafka-"))
        self._node = Node(self.data_dir, heap_mb, jvm_options)
        self._more = dict(properties or {})
        self._listeners = dict(listeners or {})
        self._advertised = dict(advertised or {})
        self._port = 0
        self._wanted_port = port

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def log_path(self) -> Path:
        return self._node.log_path

    @property
    def pid(self) -> int | None:
        """Process id of the broker while it runs."""
        return self._node.pid

    def start(self, timeout: float = 90) -> Self:
        """Starts (the first time: also formats the storage) and returns when the broker answers."""
        for attempt in range(3):
            fresh = self._port == 0
            if fresh:
                self._format()
            try:
                self._node.launch()
                self._node.wait(timeout)
            except RuntimeError:
                taken = b"Address already in use" in self.log_path.read_bytes()
                if not (fresh and taken and attempt < 2) or self._wanted_port is not None:
                    raise
                self._port = 0
                shutil.rmtree(self.data_dir / "data", ignore_errors=True)
            else:
                break
        return self

    def stop(self, timeout: float = 30) -> None:
        """An orderly shutdown; the data stays."""
        self._node.stop(timeout)

    def kill(self) -> None:
        """kill -9; the data stays as it is."""
        self._node.kill()

    def freeze(self) -> None:
        """SIGSTOP: its ports still take connections, and nobody answers."""
        self._node.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._node.thaw()

    def restart(self, timeout: float = 90) -> None:
        """Starts again on the same data and ports, after ``stop`` or ``kill`` (or kills first)."""
        self.kill()
        self.start(timeout)

    def close(self) -> None:
        """Ends the broker at once and removes a temporary data directory."""
        self.kill()
        if self._temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def create_topic(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
        """Creates a topic and waits until its partitions have leaders."""
        create_topic(self.bootstrap_servers, name, partitions, config)

    def log_tail(self, lines: int = 40) -> str:
        """The end of the broker's log."""
        return self._node.log_tail(lines)

    def _format(self) -> None:
        self._port, controller = free_ports(2)
        self._port = self._wanted_port or self._port
        clients = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self._clients())
        told = ",".join(f"{n}://127.0.0.1:{self._advertised.get(n, port)}" for n, port in self._clients())
        protocols = ",".join(f"{n}:{n if n in _SECURITY else 'PLAINTEXT'}" for n, _ in self._clients())
        own = {
            "node.id": "1",
            "listeners": f"{clients},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": told,
            "listener.security.protocol.map": f"{protocols},CONTROLLER:PLAINTEXT",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        }
        self._node.format(self.bootstrap_servers, PROPERTIES | own | self._more, new_cluster_id())

    def _clients(self) -> list[tuple[str, int]]:
        return [("PLAINTEXT", self._port), *self._listeners.items()]
