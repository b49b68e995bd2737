"""The broker at which everything can go wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from errors.brokers import PickyKafka
from harness import fixtures

TOPICS = ("shop.orders", "shop.events", "page-views")


@pytest.fixture(scope="session")
def picky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PickyKafka]:
    """One for all of these tests: they change rights only of names of their own."""
    fixtures.require_java()
    with PickyKafka(tmp_path_factory.mktemp("picky")) as server:
        for topic in TOPICS:
            server.create_topic(topic, 2)
        yield server
