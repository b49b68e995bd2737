"""How many events when; how many partitions for them; what the sidecar is started with."""

from __future__ import annotations

import pytest

from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, PARTITION_CAPACITY_RECORDS
from tidegate.config import load
from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.demo.events import LARGEST_BYTES
from tidegate.demo.generator import Plan
from tidegate.demo.scene import PARKED, TOPIC, partitions_for, sidecar_environment
from tidegate.errors import ConfigError

PLAN = Plan(seconds=30, rate=300, surge=10)


def test_calm_surge_calm() -> None:
    assert [PLAN.phase(at) for at in (0, 4.9, 5.1, 9.9, 10.1, 29.9, 30)] == [
        *("calm", "calm", "surge x10", "surge x10", "calm", "calm", "after")
    ]
    assert PLAN.due(5) == 300 * 5
    assert PLAN.due(6) - PLAN.due(5) == PLAN.peak == 3000
    assert PLAN.due(30) - PLAN.due(29) == 300
    assert PLAN.due(-1) == 0
    assert PLAN.due(31) == PLAN.total == 300 * 25 + 3000 * 5


def test_the_rate_never_runs_backwards() -> None:
    due = [PLAN.due(at / 100) for at in range(3100)]
    assert due == sorted(due)


@pytest.mark.parametrize("plan", [PLAN, Plan(1, 1, 1), Plan(120, 500, 10), Plan(30, 4000, 4)])
def test_everything_fits_into_half_of_the_broker_s_capacity(plan: Plan) -> None:
    each = plan.total / partitions_for(plan)
    assert each * LARGEST_BYTES <= PARTITION_CAPACITY_BYTES / 2 + LARGEST_BYTES
    assert each <= PARTITION_CAPACITY_RECORDS / 2


@pytest.mark.parametrize("plan", [PLAN, Plan(30, 4000, 4)])
def test_all_of_it_could_be_parked(plan: Plan) -> None:
    largest = Parked(TOPIC, 9, 1 << 40, 1_700_000_000_000, 1, 3, 0, 0, (), bytes(LARGEST_BYTES))
    each = plan.total / partitions_for(plan)
    # Sessions are keys, and not all of one length: some partitions get more than others.
    assert 1.5 * each * (len(encode(largest)) + 70) < PARTITION_CAPACITY_BYTES  # 70: a batch of one, at worst


def test_too_much_is_refused() -> None:
    with pytest.raises(ConfigError, match="--seconds"):
        partitions_for(Plan(3600, 1000, 10))


def test_the_sidecar_gets_the_demo_s_settings_and_few_of_the_user_s() -> None:
    user = {
        "PATH": "/bin",
        "TIDEGATE_BATCH_MAX_RECORDS": "500",
        "TIDEGATE_TOPICS": "mine",
        "TIDEGATE_KAFKA_SASL_PASSWORD": "mine",
        "TIDEGATE_FORMAT": "envelope",
    }
    environment = sidecar_environment(user, "127.0.0.1:1", "http://127.0.0.1:2/events")
    assert environment["PATH"] == "/bin"
    settings = load(environment, running=True)
    assert settings.topics == (TOPIC,)
    assert settings.batch_max_records == 500
    assert settings.concurrency == 4
    assert settings.parking_topic_name == PARKED
    assert settings.format == "ndjson"
    assert "sasl.password" not in settings.kafka
    assert settings.ops_listener is None or settings.ops_listener[0] == "127.0.0.1"
