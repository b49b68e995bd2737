"""The demo's processes, and how they hang together: started in their order, watched, and closed in the opposite one.

    generator ──► embedded broker ──┬──► tidegate run ──HTTP──► slow shop
    (a thread)    (this process)    └──► plain loop   ──HTTP──► another like it

With an app of the user's own there is neither shop nor plain loop: nobody's app should get everything twice.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import Final

import orjson

from tidegate.broker.embedded import EmbeddedBroker
from tidegate.demo.children import Child
from tidegate.demo.client import ShopClient
from tidegate.demo.gauge import Gauge
from tidegate.demo.generator import Generator
from tidegate.demo.plan import Plan
from tidegate.demo.scene import (
    BATCH_RECORDS,
    EMBEDDED_FETCH_WAIT_MS,
    PARKED,
    PLAIN_GROUP,
    WORKERS,
    partitions_for,
    sidecar_environment,
)
from tidegate.demo.witness import AppWitness, Witness
from tidegate.errors import BrokerError
from tidegate.types import EventClass

START_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.05


class Stage:
    """Everything that runs. ``stack`` closes it, last started first.

    Attributes:
        witness: who says what has come to the app.
        plain: who says it of the plain loop's shop; None: none runs.
        gauge: tidegate's own word.
        topics: how many partitions each topic has.

    Raises:
        TidegateError: a part does not start.
    """

    def __init__(
        self,
        plan: Plan,
        seed: int,
        topics: dict[EventClass, str],
        sink_url: str | None,
        capacity: float,
        stack: ExitStack,
    ) -> None:
        partitions = partitions_for(plan)
        self.topics = dict.fromkeys(topics.values(), partitions)
        self._stack = stack
        self.broker = stack.enter_context(EmbeddedBroker({**self.topics, PARKED: partitions}))
        self._sink_url = sink_url
        self._children: list[Child] = []
        names, servers = list(self.topics), self.broker.bootstrap_servers
        shops = [] if sink_url is not None else [self._shop(name, capacity) for name in ("shop", "plain loop's shop")]
        clients = [self._client(shop) for shop in shops]
        url = sink_url if sink_url is not None else clients[0].url
        environment = sidecar_environment(os.environ, servers, url, names, own_app=sink_url is not None)
        self.tidegate = self._child("tidegate", ["tidegate", "run", "--summary"], environment)
        self.gauge = Gauge(self.tidegate)
        self.plain: Witness | None = None
        self.witness: Witness = clients[0] if clients else AppWitness(self.gauge)
        if clients:
            self._plain_loop(servers, names, clients[1].url)
            self.plain = clients[1]
        self.generator = Generator(plan, seed, servers, topics)
        stack.callback(self.generator.join)
        stack.callback(self.generator.stop)

    def open(self) -> None:
        """One page view all the way to each shop: the sale is to show tidegate, not the start of seven programs."""
        self.generator.start()
        deadline = time.monotonic() + START_SECONDS
        waited_for = [self.witness, *([self.plain] if self.plain is not None else [])]
        while not all(delivered(witness) for witness in waited_for):
            self.check()
            if time.monotonic() > deadline:
                where = self._sink_url or "the shop"
                raise self.tidegate.failure(f"no event reached {where} within {START_SECONDS:g} s")
            self.gauge.look()
            time.sleep(_LOOK_SECONDS)
        self.generator.go()

    def check(self) -> None:
        """Raises TidegateError where a part has given up."""
        for child in self._children:
            child.check()
        if self.generator.error is not None:
            raise BrokerError(f"the demo's generator cannot go on: {self.generator.error}", code="demo-generator")

    def _shop(self, name: str, capacity: float) -> Child:
        arguments = ["--workers", str(WORKERS), "--service-ms", f"{WORKERS / capacity * 1e3:.6f}"]
        return self._child(f"the demo's {name}", ["tidegate.demo.shop", *arguments])

    def _client(self, shop: Child) -> ShopClient:
        client = ShopClient(orjson.loads(shop.line(START_SECONDS, time.sleep))["port"])
        self._stack.callback(client.close)
        return client

    def _plain_loop(self, servers: str, names: list[str], url: str) -> None:
        arguments = ["--servers", servers, "--topics", ",".join(names), "--group", PLAIN_GROUP, "--url", url]
        arguments += ["--batch", str(BATCH_RECORDS), "--concurrency", str(WORKERS)]
        arguments += ["--fetch-wait-ms", str(EMBEDDED_FETCH_WAIT_MS)]
        self._child("the plain loop", ["tidegate.demo.plain", *arguments])

    def _child(self, name: str, module: list[str], environment: dict[str, str] | None = None) -> Child:
        child = Child(name, module, environment)
        self._stack.callback(child.close)
        self._children.append(child)
        return child


def delivered(witness: Witness) -> int:
    """Events that the app has worked off so far."""
    return sum(row["delivered"] for row in witness.stats()["classes"].values())
