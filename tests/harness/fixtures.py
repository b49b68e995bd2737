"""pytest fixtures: ``kafka`` (a real one for the whole run), ``broker`` (each kind in turn), ``scenes``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import install
from harness.apps import AppPool
from harness.kafka import KafkaServer
from harness.scene import Broker, Scene
from harness.topics import create_topic
from tidegate.broker.embedded import EmbeddedBroker

Scenes = Callable[..., Scene]

REAL = pytest.param("kafka", marks=pytest.mark.kafka)


def require_java() -> None:
    """Skips a test that needs its own broker where there cannot be one; in CI that is a failure."""
    require(install.unavailable())


def require_toxiproxy() -> None:
    """Skips a test that needs a bad network where there cannot be one; in CI that is a failure."""
    require(install.toxiproxy_unavailable())


def require(reason: str | None) -> None:
    """Skips for this reason, if there is one; in CI that is a failure."""
    if reason is not None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"CI=true, but {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a real Kafka: ``TIDEGATE_TEST_KAFKA`` where it is set, else one started for this run."""
    running = os.environ.get("TIDEGATE_TEST_KAFKA")
    if running:
        yield running
        return
    require_java()
    with KafkaServer() as server:
        yield server.bootstrap_servers


def real_broker(servers: str, replicas: int = 1) -> Broker:
    """The ``Broker`` face of a real Kafka; its topics have so many replicas."""

    def create(name: str, partitions: int, config: Mapping[str, str]) -> None:
        create_topic(servers, name, partitions, config, replicas)

    return Broker(servers, True, create)


def embedded_broker(embedded: EmbeddedBroker) -> Broker:
    """The ``Broker`` face of an embedded one."""
    return Broker(embedded.bootstrap_servers, False, lambda name, count, _: embedded.create_topic(name, count))


@pytest.fixture
def kafka_broker(kafka: str) -> Broker:
    """The real broker, for tests that the embedded one cannot serve."""
    return real_broker(kafka)


@pytest.fixture(params=["embedded", REAL])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Each kind of broker in turn: the same test on both."""
    if request.param == "kafka":
        yield real_broker(request.getfixturevalue("kafka"))
        return
    with EmbeddedBroker() as embedded:
        yield embedded_broker(embedded)


@pytest.fixture(scope="session")
def apps() -> Iterator[AppPool]:
    """App doubles for the whole run."""
    pool = AppPool()
    yield pool
    pool.close()


@pytest.fixture
def scenes(tmp_path: Path, apps: AppPool) -> Iterator[Scenes]:
    """Makes scenes that end with the test. What their sidecars said last is shown when the test fails."""
    with made_scenes(tmp_path, apps, Scene) as make:
        yield make


@contextmanager
def made_scenes(directory: Path, apps: AppPool, kind: type[Scene]) -> Iterator[Scenes]:
    """Makes scenes of a kind below ``directory`` that end with the block, and prints what their sidecars said last."""
    with ExitStack() as stack:
        made: list[Path] = []

        def make(broker: Broker, **more: Any) -> Scene:
            place = directory / str(len(made))
            made.append(place)
            place.mkdir()
            return stack.enter_context(kind(broker, place, apps, **more))

        yield make
        for place in made:
            for path in sorted(place.glob("*.err")) + sorted(place.glob("*.out")):
                lines = path.read_text(errors="replace").splitlines()[-40:]
                print("\n".join([f"--- {place.name}/{path.name}", *lines]))
