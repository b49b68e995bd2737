"""How many topics a subscription reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.broker.embedded import EmbeddedBroker
from tidegate.broker.topics import ASSUMED_MATCHES, LEAST_MATCHES, count_lanes, crowded
from tidegate.budget import Budget


def test_names_count_one_each_and_nobody_is_asked() -> None:
    assert count_lanes(["a", "b"], {"bootstrap.servers": "127.0.0.1:1"}) == 2
    assert count_lanes([], {}) == 1


def test_an_expression_counts_twice_what_it_matches() -> None:
    topics = {f"shop.{number}": 1 for number in range(6)}
    with EmbeddedBroker({**topics, "other": 1}) as broker:
        properties = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "debug": ""}
        assert count_lanes(["^shop\\..*", "other"], properties) == 13
        assert count_lanes(["^other", "shop.1"], properties) == LEAST_MATCHES + 1


def test_too_many_topics_are_warned_of() -> None:
    budget = Budget.from_bytes(96 << 20)
    assert budget.most_lanes == 49
    assert crowded(49, 49, budget) is None
    assert "TIDEGATE_MEMORY_BYTES=97MiB" in str(crowded(50, 50, budget))
    assert "started again" in str(crowded(9, 8, budget))


@given(st.integers(1, 5000))
def test_what_is_advised_is_enough(lanes: int) -> None:
    assert Budget.from_bytes(Budget.total_for(lanes)).most_lanes >= lanes
    assert Budget.total_for(lanes) % (1 << 20) == 0


def test_a_broker_that_is_away_is_assumed_and_not_complained_of(capfd: pytest.CaptureFixture[str]) -> None:
    """librdkafka's own lines would stand between the log's: twenty a second."""
    assert count_lanes(["^a", "b"], {"bootstrap.servers": "127.0.0.1:1"}) == ASSUMED_MATCHES + 1
    assert capfd.readouterr().err == ""
