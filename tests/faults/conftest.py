"""``matrix`` collects the rows of a run; where ``TIDEGATE_TEST_FAULT_ROWS`` names a file, they are left there.

``proxied`` is a broker that is reached through proxies: one to break, others to count what was fetched.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # makes tests/faults the package ``faults``

from faults.rows import Matrix
from harness.fixtures import real_broker, require_java
from harness.kafka import KafkaServer
from harness.ports import free_ports
from harness.proxy import TcpProxy
from harness.scene import Broker

PROXIES = ("BROKEN", "COUNTED-A", "COUNTED-B")  # as listeners


@pytest.fixture(scope="session")
def matrix() -> Iterator[Matrix]:
    """The run's rows."""
    made = Matrix()
    yield made
    target = os.environ.get("TIDEGATE_TEST_FAULT_ROWS")
    if target:
        made.write(Path(target))


@dataclass(frozen=True)
class Proxied:
    """A broker, and the proxies of its listeners by their names."""

    broker: Broker
    proxies: dict[str, TcpProxy]


@pytest.fixture(scope="session")
def proxied() -> Iterator[Proxied]:
    """A real broker for the run; whoever comes through a proxy's port stays behind that proxy."""
    require_java()
    ports = dict(zip(PROXIES, free_ports(len(PROXIES)), strict=True))
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(TcpProxy(port)) for name, port in ports.items()}
        advertised = {name: proxy.port for name, proxy in proxies.items()}
        server = stack.enter_context(KafkaServer(listeners=ports, advertised=advertised))
        yield Proxied(real_broker(server.bootstrap_servers), proxies)
