"""How many events when; how many partitions for them; what the sidecar is started with."""

from __future__ import annotations

import pytest

from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, PARTITION_CAPACITY_RECORDS
from tidegate.config import load
from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.demo.events import LARGEST_BYTES
from tidegate.demo.options import TOPIC
from tidegate.demo.plan import Plan
from tidegate.demo.scene import PARKED, partitions_for, sidecar_environment, topics_by_class
from tidegate.errors import ConfigError

PLAN = Plan(seconds=30, rate=300, surge=10)


def test_calm_sale_calm() -> None:
    assert [PLAN.phase(at) for at in (0, 4.9, 5.1, 13.2, 13.4, 29.9, 30)] == [
        *("calm", "calm", "sale x10", "sale x10", "calm", "calm", "after")
    ]
    assert PLAN.due(5) == 300 * 5
    assert PLAN.due(8) - PLAN.due(7) == PLAN.peak == 3000
    assert PLAN.due(30) - PLAN.due(29) == pytest.approx(300, abs=2)
    assert PLAN.due(-1) == 0
    assert PLAN.due(31) == PLAN.total
    assert PLAN.rate_at(4) == 300
    assert PLAN.rate_at(7) == 3000
    assert PLAN.rate_at(31) == PLAN.rate_at(-1) == 0
    assert PLAN.sale_share(4) == 0
    assert PLAN.sale_share(7) == pytest.approx(0.9)


@pytest.mark.parametrize("plan", [PLAN, Plan(45, 300, 10), Plan(3, 77, 1), Plan(7, 10, 80)])
def test_what_is_due_is_the_integral_of_the_rate(plan: Plan) -> None:
    step = plan.seconds / 20_000
    total = 0.0
    for at in range(20_000):
        if at % 500 == 0:
            assert plan.due(at * step) == pytest.approx(total, abs=0.51 + 0.001 * total)
        total += plan.rate_at((at + 0.5) * step) * step
    assert plan.total == pytest.approx(total, abs=1)


def test_the_onset_takes_five_seconds_at_most_and_the_peak_is_reached() -> None:
    plan = Plan(45, 300, 10)
    assert plan.rate_at(plan.surge_from) == 300
    assert plan.rate_at(plan.surge_from + 5) == pytest.approx(3000)
    assert max(plan.rate_at(at / 10) for at in range(450)) == pytest.approx(plan.peak)
    assert plan.seconds_above(3000.1, 45) == 0
    assert 8 < plan.seconds_above(1200, 45) < 11
    assert plan.seconds_above(1200, plan.surge_from) == 0


@pytest.mark.parametrize("number", [1, 299, 1500, 9000, 12_000])
def test_a_number_s_moment_is_when_it_is_due(number: int) -> None:
    at = PLAN.when(number)
    assert PLAN.due(at - PLAN.seconds / 1000) < number <= PLAN.due(at)


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


def test_an_app_of_the_user_s_own_is_met_as_in_earnest() -> None:
    user = {
        "TIDEGATE_FORMAT": "envelope",
        "TIDEGATE_CONCURRENCY": "2",
        "TIDEGATE_SINK_URL_FILE": "/run/secrets/url",
        "TIDEGATE_KAFKA_SECURITY_PROTOCOL": "ssl",
        "TIDEGATE_TOPICS": "mine",
    }
    url = "http://127.0.0.1:2/mine"
    environment = sidecar_environment(user, "127.0.0.1:1", url, ["orders", "clicks"], own_app=True)
    settings = load(environment, running=True)
    assert settings.topics == ("orders", "clicks")
    assert settings.format == "envelope"
    assert settings.concurrency == 2
    assert settings.batch_max_records == 500
    assert settings.sink_url == url
    assert "security.protocol" not in settings.kafka


@pytest.mark.parametrize(
    ("names", "topics"),
    [
        (["all"], ["all"] * 4),
        (["orders", "clicks"], ["orders", "clicks", "clicks", "clicks"]),
        (["a", "b", "c", "d"], ["a", "b", "c", "d"]),
    ],
)
def test_topics_go_by_class(names: list[str], topics: list[str]) -> None:
    assert list(topics_by_class(names).values()) == topics


@pytest.mark.parametrize("names", [[], [""], ["a", "a"], ["a", ""], list("abcde"), [PARKED]])
def test_topics_that_make_no_sense_are_refused(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="--topics"):
        topics_by_class(names)
