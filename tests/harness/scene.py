"""One run's parts together: a broker, topics, an app, sidecars of one group, and the verdict at the end."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness import checker, parked, produce, topics
from harness.apps import AppPool
from harness.checker import Record, Report
from harness.parked import Parking
from harness.produce import Event
from harness.sidecar import Sidecar

_numbers = itertools.count()

# The classes of the produced events, said by settings so that no test leans on a default vocabulary.
TYPES = {"purchase": "critical", "cart": "high", "view": "bulk"}


@dataclass(frozen=True)
class Broker:
    """A broker of either kind. ``real``: Apache Kafka, with all that the embedded one cannot do."""

    bootstrap_servers: str
    real: bool
    create: Callable[[str, int, Mapping[str, str]], None]


def event_class(record: Record) -> str:
    """The class label that a shop event belongs to under ``TYPES``."""
    found = re.search(rb'"event_type":"(\w+)"', record.value or b"")
    return TYPES[found[1].decode()] if found else "high"


def not_critical(record: Record) -> bool:
    """Whether a shop event may be parked at all."""
    return event_class(record) != "critical"


class Scene:
    """Fresh names for topic and group on ``broker``, an app of ``apps`` that logs into ``directory``, everything's end.

    ``protocol`` is the group protocol: ``classic`` (cooperative-sticky), ``range`` or ``consumer`` (KIP-848).
    ``partitions`` is the topic's count, ``config`` its configuration. ``parking``: sidecars may park, in a topic of the
    scene's own that they make, and the verdict looks into it.
    """

    def __init__(
        self,
        broker: Broker,
        directory: Path,
        apps: AppPool,
        *,
        partitions: int = 4,
        protocol: str = "classic",
        config: Mapping[str, str] | None = None,
        name: str = "shop",
        parking: bool = False,
    ) -> None:
        self.broker = broker
        self.servers = broker.bootstrap_servers
        self.directory = directory
        self.protocol = protocol
        self.partitions = partitions
        unique = f"{name}-{os.getpid()}-{next(_numbers)}"
        self.topic = f"{unique}.events"
        self.group = f"{unique}.group"
        self.topics = [self.topic]
        self.parking = f"{self.topic}.parked" if parking else None
        self._stack = ExitStack()
        broker.create(self.topic, partitions, config or {})
        self.app = self._stack.enter_context(apps.lend(directory / f"{unique}.app.log"))

    def settings(self, **more: Any) -> dict[str, str]:
        """Settings for a sidecar of this scene; ``more`` by their names without ``TIDEGATE_``, in lower case.

        Sessions are short, so that a member that was killed is missed soon; real deployments must not do that.
        """
        settings: dict[str, object] = {
            "kafka_bootstrap_servers": self.servers,
            "topics": self.topic,
            "group_id": self.group,
            "sink_url": self.app.url,
            "group_protocol": "consumer" if self.protocol == "consumer" else "classic",
            "ops_address": "none",
            "admin_address": "none",
            "log_format": "json",
            "drain_seconds": 2,
            "parking_topic": self.parking or "none",  # a topic more in each scene costs minutes
            "type_fields": "json:/event_type",
            "critical": "purchase",
            "high": "cart",
            "normal": "search",
            "bulk": "view",
        }
        if self.protocol != "consumer":  # with the new protocol these are the broker's
            settings |= {"kafka_session_timeout_ms": 3000, "kafka_heartbeat_interval_ms": 500}
        if self.protocol == "range":  # eager: a rebalance takes everything from everyone
            settings["kafka_partition_assignment_strategy"] = "range"
        settings |= more
        return {f"TIDEGATE_{name.upper()}": str(value) for name, value in settings.items()}

    def sidecar(self, *arguments: str, name: str = "sidecar", **more: Any) -> Sidecar:
        """A sidecar of this scene, started; killed at the end if it still runs."""
        made = Sidecar(self.settings(**more), self.directory, *arguments, name=name)
        self._stack.callback(made.close)
        return made.start()

    def produce(self, count: int, codec: str = "none", **more: Any) -> list[Event]:
        """Produces shop events and returns them."""
        events = list(produce.shop_events(count, self.partitions, **more))
        self.send(events, codec)
        return events

    def send(self, events: Iterable[Event], codec: str = "none", **more: str | int) -> None:
        """Produces events."""
        produce.send(self.servers, self.topic, events, codec, **more)

    def committed(self) -> dict[topics.Partition, int]:
        """The group's committed offsets."""
        return topics.committed(self.servers, self.group, topics.partitions_of(self.servers, self.topics))

    def ends(self) -> dict[topics.Partition, int]:
        """The topics' ends for a read_committed reader."""
        return topics.ends(self.servers, topics.partitions_of(self.servers, self.topics))

    def wait_settled(self, sidecar: Sidecar, timeout: float = 40) -> None:
        """Waits until the group has committed every partition's end."""
        ends = {p: end for p, end in self.ends().items() if end}
        assert ends, "nothing was produced"
        sidecar.wait_until(lambda: self.committed() == ends, timeout, f"committed offsets {ends}")

    def wait_emptied(self, sidecar: Sidecar, timeout: float = 60) -> None:
        """Waits until the group has settled everything in the topics, and everything that was parked."""

        def emptied() -> bool:
            ends = {p: end for p, end in self.ends().items() if end}
            return self.committed() == ends and not self.parked().lag  # asked last: what is settled may be parked

        sidecar.wait_until(emptied, timeout, "nothing is behind, and nothing is parked")

    def wait_events(self, sidecar: Sidecar, count: int, timeout: float = 30) -> None:
        """Waits until the app has acknowledged ``count`` different events."""
        sidecar.wait_until(lambda: self.app.stats()["distinct"] >= count, timeout, f"{count} events at the app")

    def exposed(self) -> int:
        """How many records come again after a restart: what a kill costs. Ask between the two.

        Waits until the app is through with what it had in hand: it may log that after the sidecar is gone.
        """
        self.app.wait(lambda stats: stats["busy"] == 0)
        committed = self.committed()
        records, _ = self.read()
        return checker.exposed(records, self.app.requests(), committed, self.read_parked())

    def read(self) -> tuple[list[Record], dict[topics.Partition, int]]:
        """The topics' records and ends, by an independent reader."""
        isolation = "read_committed" if self.broker.real else "read_uncommitted"
        return checker.read_topic(self.servers, self.topics, isolation=isolation)

    def parked(self) -> Parking:
        """The parking topic's ends and the group's offsets in it, without its records; without a topic, nothing."""
        if self.parking is None:
            return Parking("")
        try:
            partitions = topics.partitions_of(self.servers, [self.parking])
        except KeyError:  # nobody made it yet
            return Parking(self.parking)
        committed = topics.committed(self.servers, self.group, partitions)
        return Parking(self.parking, [], committed, topics.ends(self.servers, partitions))

    def read_parked(self) -> Parking | None:
        """The parking topic with its records, by an independent reader; None: the scene has none."""
        if self.parking is None:
            return None
        found = self.parked()  # what is committed first: so each that has moved on is still there to be seen
        if found.ends:
            isolation = "read_committed" if self.broker.real else "read_uncommitted"
            records, found.ends = checker.read_topic(self.servers, [self.parking], isolation=isolation)
            found.copies = [parked.copy_of(record) for record in records]
        return found

    def judge(self, **expectations: Any) -> Report:
        """The checker's verdict on everything so far; raises AssertionError with all violations.

        What is critical must never have been parked.
        """
        committed, parking, requests = self.committed(), self.read_parked(), self.app.requests()
        records, ends = self.read()
        rules = {"parking": parking, "parkable": not_critical}
        return checker.judge(records, requests, committed, ends, **rules | expectations).require()

    def close(self) -> None:
        """Ends sidecars and app."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
