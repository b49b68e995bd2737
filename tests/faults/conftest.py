"""``matrix`` collects the rows of a run; where ``TIDEGATE_TEST_FAULT_ROWS`` names a file, they are left there.

Every scene here is watched: memory, books, liveness, ends and all commits (harness/watched.py). ``counted`` is a broker
behind ways that count what was fetched, ``cluster`` three brokers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # makes tests/faults the package ``faults``

from faults.rows import Matrix
from harness import fixtures
from harness.apps import AppPool
from harness.cluster import KafkaCluster
from harness.fixtures import Scenes, made_scenes, real_broker
from harness.kafka import KafkaServer
from harness.ports import free_ports
from harness.scene import Broker
from harness.toxiproxy import Link, Toxiproxy
from harness.watched import WatchedScene


@pytest.fixture
def scenes(tmp_path: Path, apps: AppPool) -> Iterator[Scenes]:
    """As everywhere, but watched."""
    with made_scenes(tmp_path, apps, WatchedScene) as make:
        yield make


@pytest.fixture(scope="session")
def matrix() -> Iterator[Matrix]:
    """The run's rows."""
    made = Matrix()
    yield made
    target = os.environ.get("TIDEGATE_TEST_FAULT_ROWS")
    if target:
        made.write(Path(target))


@dataclass(frozen=True)
class Counted:
    """A broker, and ways to it that count their bytes; whoever takes one stays on it."""

    broker: Broker
    links: tuple[Link, Link]


@pytest.fixture(scope="module")
def counted() -> Iterator[Counted]:
    """A real broker for the tests of one file."""
    fixtures.require_java()
    fixtures.require_toxiproxy()
    targets, ports = free_ports(2), free_ports(2)
    names = ("COUNTED-A", "COUNTED-B")  # as listeners
    listeners, advertised = dict(zip(names, targets, strict=True)), dict(zip(names, ports, strict=True))
    with Toxiproxy() as toxic, KafkaServer(listeners=listeners, advertised=advertised) as server:
        a, b = (toxic.link(*way) for way in zip(names, targets, ports, strict=True))
        yield Counted(real_broker(server.bootstrap_servers), (a, b))


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """Three brokers for the tests of one file: four JVMs beside each other would slow all others down."""
    fixtures.require_java()
    with KafkaCluster() as running:
        yield running
