"""A sidecar on the embedded broker whose ops endpoints can be asked."""

from __future__ import annotations

import asyncio
import http.client
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from harness.fixtures import Scenes, embedded_broker
from harness.scene import Scene
from harness.sidecar import Sidecar
from tidegate.broker.embedded import EmbeddedBroker

Labels = tuple[tuple[str, str], ...]
Figures = dict[str, dict[Labels, float]]  # sample name → labels, sorted → value


def parse(text: str) -> Figures:
    """Prometheus text by prometheus_client's own parser; a series that stands there twice fails."""
    figures: Figures = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series = figures.setdefault(sample.name, {})
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in series, f"{sample.name}{labels} twice"
            series[labels] = sample.value
    return figures


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the sidecar runs on."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True)
class Ops:
    """Asks one ops listener."""

    port: int
    host: str = "127.0.0.1"

    def ask(self, path: str, method: str = "GET", timeout: float = 5.0, body: bytes | None = None) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode())
        finally:
            connection.close()

    def figures(self) -> Figures:
        answer = self.ask("/metrics")
        assert answer.status == 200, answer
        return parse(answer.text)


def ops_of(sidecar: Sidecar) -> Ops:
    """Waits until the sidecar says where its endpoints are."""
    sidecar.wait_log("ops endpoints are there")
    found = re.search(r'"address": "127.0.0.1:(\d+)", "event": "ops endpoints are there"', sidecar.stderr)
    assert found, sidecar.tail()
    return Ops(int(found[1]))


@pytest.fixture
def scene(scenes: Scenes) -> Iterator[Scene]:
    """Topic, app and group on an embedded broker."""
    with EmbeddedBroker() as embedded:
        yield scenes(embedded_broker(embedded))
