"""Three brokers that are one Kafka: replication 3, two in-sync replicas needed, each of them also a controller."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import PartitionMetadata

from harness.commits import TOPIC, place_of
from harness.kafka import PROPERTIES, new_cluster_id
from harness.node import Node, Started
from harness.ports import free_ports

BROKER_SESSION_SECONDS = 2  # a broker that says nothing for so long is fenced, and its partitions get other leaders
_SIZE = 3
_REPLICATED = {
    "default.replication.factor": str(_SIZE),
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": str(_SIZE),
    "transaction.state.log.replication.factor": str(_SIZE),
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": str(_SIZE),
    "auto.leader.rebalance.enable": "false",  # leaders move when a test says so
    "broker.session.timeout.ms": str(BROKER_SESSION_SECONDS * 1000),
    "broker.heartbeat.interval.ms": "300",
}


class KafkaCluster(Started):
    """Nodes 1 to 3. Use as a context manager; the data goes with it.

    Raises KafkaUnavailableError without Java or Maven, RuntimeError with the end of a log where a node does not start.
    """

    def __init__(self, heap_mb: int = 256) -> None:
        self.data_dir = Path(tempfile.mkdtemp(prefix="tidegate-cluster-"))
        self.nodes = {number: Node(self.data_dir / str(number), heap_mb) for number in range(1, _SIZE + 1)}

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(node.bootstrap_servers for node in self.nodes.values())

    def start(self) -> Self:
        """Formats and starts all of them, and returns when all are one."""
        ports = free_ports(2 * _SIZE)
        voters = ",".join(f"{number}@127.0.0.1:{ports[_SIZE + number - 1]}" for number in self.nodes)
        name = new_cluster_id()

        def form(number: int, node: Node) -> None:
            client, controller = ports[number - 1], ports[_SIZE + number - 1]
            own = {
                "node.id": str(number),
                "listeners": f"PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{client}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "controller.quorum.voters": voters,
            }
            node.format(f"127.0.0.1:{client}", PROPERTIES | _REPLICATED | own, name)

        with ThreadPoolExecutor(_SIZE) as pool:
            for done in [pool.submit(form, *each) for each in self.nodes.items()]:
                done.result(120)
        for node in self.nodes.values():
            node.launch()
        for node in self.nodes.values():
            node.wait()
        self.wait_whole()
        return self

    def restart(self, number: int) -> None:
        """Starts a node that was stopped or killed, and waits until it is in sync again."""
        self.nodes[number].launch()
        self.nodes[number].wait()
        self.wait_whole()

    def leader(self, topic: str, partition: int = 0) -> int:
        """The node that leads a partition. Raises TimeoutError where there is none."""
        found = [-1]

        def led() -> bool:
            found[0] = self._partitions(topic)[partition].leader
            return found[0] > 0

        self._wait(led, 30, f"a leader of {topic}[{partition}]")
        return found[0]

    def coordinator(self, group: str) -> int:
        """The node that coordinates a group; the group need not exist, ``__consumer_offsets`` must."""
        return self.leader(TOPIC, place_of(group, len(self._partitions(TOPIC))))

    def wait_led(self, without: int, timeout: float = 30) -> None:
        """Waits until every partition is led by another than ``without``. Raises TimeoutError."""
        self._wait(
            lambda: all(p.leader not in (-1, without) for p in self._all()), timeout, f"leaders other than {without}"
        )

    def wait_whole(self, timeout: float = 60) -> None:
        """Waits until every node is known and every replica in sync. Raises TimeoutError."""

        def whole() -> bool:
            admin = AdminClient({"bootstrap.servers": self._running(), "socket.timeout.ms": 5000})
            known = admin.list_topics(timeout=5)
            parts = [p for topic in known.topics.values() for p in topic.partitions.values()]
            return len(known.brokers) == _SIZE and all(len(p.isrs) == len(p.replicas) and p.leader > 0 for p in parts)

        self._wait(whole, timeout, "every replica in sync")

    def close(self) -> None:
        """Ends all nodes and removes their data."""
        for node in self.nodes.values():
            node.kill()
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def _running(self) -> str:
        return ",".join(node.bootstrap_servers for node in self.nodes.values() if node.pid is not None)

    def _partitions(self, topic: str) -> dict[int, PartitionMetadata]:
        admin = AdminClient({"bootstrap.servers": self._running(), "socket.timeout.ms": 5000})
        return admin.list_topics(topic, timeout=10).topics[topic].partitions

    def _all(self) -> list[PartitionMetadata]:
        admin = AdminClient({"bootstrap.servers": self._running(), "socket.timeout.ms": 5000})
        return [p for topic in admin.list_topics(timeout=5).topics.values() for p in topic.partitions.values()]

    def _wait(self, done: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                if done():
                    return
            except KafkaException:
                pass  # it asked one that is away, or frozen
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- node {n}\n{node.log_tail(8)}" for n, node in self.nodes.items())
                raise TimeoutError(f"the cluster has not within {timeout} s: {what}\n{logs}")
            time.sleep(0.1)
