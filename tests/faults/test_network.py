"""A bad network between tidegate and the broker: everything passes through a proxy, the advertised listener too."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from faults.conftest import Proxied
from faults.flow import EVENTS_PER_SECOND
from faults.rows import Matrix
from faults.test_app import NETWORK, phases
from harness.fixtures import Scenes


@pytest.mark.kafka
def test_a_bad_network_to_the_broker(proxied: Proxied, scenes: Scenes, matrix: Matrix) -> None:
    proxy = proxied.proxies["BROKEN"]
    scene = scenes(proxied.broker, name="broker-network")
    # A fault may outlast the session: then what was not committed comes again, a second of flow and what is late.
    settings: dict[str, Any] = {
        "kafka_bootstrap_servers": f"127.0.0.1:{proxy.port}",
        "kafka_reconnect_backoff_max_ms": 500,
        "batch_max_records": 50,
    }
    sidecar = scene.sidecar("--summary", **settings)
    orders = {f"to the broker: {name}": partial(proxy.set, fault) for name, fault in NETWORK.items()}
    test = "test_network.py::test_a_bad_network_to_the_broker"
    phases(scene, sidecar, matrix, test, orders, proxy.set, lambda faults: 3 * EVENTS_PER_SECOND * faults)
