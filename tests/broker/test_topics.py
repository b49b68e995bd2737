"""How many topics a subscription reads."""

from __future__ import annotations

import pytest

from tidegate.broker.embedded import EmbeddedBroker
from tidegate.broker.topics import ASSUMED_MATCHES, count_lanes


def test_names_count_one_each_and_nobody_is_asked() -> None:
    assert count_lanes(["a", "b"], {"bootstrap.servers": "127.0.0.1:1"}) == 2
    assert count_lanes([], {}) == 1


def test_an_expression_counts_what_it_matches() -> None:
    with EmbeddedBroker({"shop.a": 1, "shop.b": 1, "other": 1}) as broker:
        properties = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "debug": ""}
        assert count_lanes(["^shop\\..*", "other"], properties) == 3


def test_a_broker_that_is_away_is_assumed_and_not_complained_of(capfd: pytest.CaptureFixture[str]) -> None:
    """librdkafka's own lines would stand between the log's: twenty a second."""
    assert count_lanes(["^a", "b"], {"bootstrap.servers": "127.0.0.1:1"}) == ASSUMED_MATCHES + 1
    assert capfd.readouterr().err == ""
