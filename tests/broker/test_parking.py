"""The parking topic at the start: made as its sources need it, and refused where it would lose what is parked."""

from __future__ import annotations

import itertools
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ResourcePatternType,
)
from confluent_kafka.cimpl import NewTopic
from hypothesis import given
from hypothesis import strategies as st

from harness.fixtures import require_java
from harness.kafka import KafkaServer
from harness.ports import free_ports
from harness.topics import create_topic, delete_topic
from tidegate.broker.admin import Cluster, NoAnswerError
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.broker.parking import (
    DEFAULT_MESSAGE_BYTES,
    ENVELOPE_ROOM_BYTES,
    ParkingTopic,
    Source,
    ensure,
    judge,
    planned,
)
from tidegate.broker.parking_words import command, for_how_long
from tidegate.config import Settings, load
from tidegate.errors import ConfigError

WEEK_MS = 7 * 24 * 3600 * 1000
_numbers = itertools.count()


def unique(name: str) -> str:
    return f"{name}-{os.getpid()}-{next(_numbers)}"


def settings(servers: str, topics: str, group: str | None = None, **more: str) -> Settings:
    environ = {"kafka_bootstrap_servers": servers, "topics": topics, "group_id": group or unique("group")} | more
    return load({f"TIDEGATE_{name.upper()}": value for name, value in environ.items()})


def made(chosen: Settings, seconds: float = 20) -> ParkingTopic:
    found = ensure(chosen, seconds=seconds)
    assert found is not None
    return found


def config_of(servers: str, topic: str) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": servers})
    (answer,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
    return {name: entry.value for name, entry in answer.result(20).items()}


def partitions_of(servers: str, topic: str) -> int:
    return len(AdminClient({"bootstrap.servers": servers}).list_topics(timeout=10).topics[topic].partitions)


# ---- made ----


def test_it_is_made_as_the_sources_need_it(kafka: str) -> None:
    narrow, wide = unique("narrow"), unique("wide")
    create_topic(kafka, narrow, 1, {"retention.ms": str(9 * WEEK_MS), "max.message.bytes": "5000"})
    create_topic(kafka, wide, 5, {"retention.ms": "60000", "max.message.bytes": "3000000"})
    chosen = settings(kafka, f"{narrow},{wide},{unique('not-there')}")
    found = made(chosen)
    name = chosen.parking_topic_name
    assert name is not None
    assert found == ParkingTopic(name, 5, 9 * WEEK_MS / 1000, 3_000_000 + ENVELOPE_ROOM_BYTES, created=True)
    config = config_of(kafka, name)
    assert config["cleanup.policy"] == "delete"
    assert config["retention.ms"] == str(9 * WEEK_MS)
    assert config["max.message.bytes"] == str(3_000_000 + ENVELOPE_ROOM_BYTES)
    assert partitions_of(kafka, name) == 5
    again = made(chosen)
    assert (again.created, again.partitions, again.warnings) == (False, 5, ())


def test_an_expression_stands_for_what_it_matches_now(kafka: str) -> None:
    prefix = unique("shop")
    create_topic(kafka, f"{prefix}.a", 2, {"retention.ms": "-1"})
    create_topic(kafka, f"{prefix}.b", 3)
    create_topic(kafka, unique(f"other-{prefix}"), 7, {"max.message.bytes": "9000000"})
    found = made(settings(kafka, rf"^{prefix}\.[ab]$"))
    assert (found.partitions, found.retention_seconds) == (3, None)
    assert found.max_message_bytes == DEFAULT_MESSAGE_BYTES + ENVELOPE_ROOM_BYTES


def test_sources_may_come_later(kafka: str) -> None:
    found = made(settings(kafka, f"{unique('later')},^{unique('matches-nothing')}"))
    assert found.created
    assert found.partitions == 1, "the broker's default"
    assert found.retention_seconds == WEEK_MS / 1000
    assert not found.warnings


def test_a_name_of_ones_own(kafka: str) -> None:
    name = unique("my-own")
    assert made(settings(kafka, unique("orders"), parking_topic=name)).name == name
    assert config_of(kafka, name)["cleanup.policy"] == "delete"


def test_several_replicas_make_it_at_once(kafka: str) -> None:
    source = unique("source")
    create_topic(kafka, source, 3)
    chosen = settings(kafka, source)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: made(chosen), range(6)))
    assert sum(one.created for one in found) == 1
    assert {(one.name, one.partitions, one.retention_seconds, one.warnings) for one in found} == {
        (chosen.parking_topic_name, 3, WEEK_MS / 1000, ())
    }


def test_it_is_made_anew_after_it_was_deleted(kafka: str) -> None:
    chosen = settings(kafka, unique("source"))
    assert made(chosen).created
    delete_topic(kafka, chosen.parking_topic_name or "")
    deadline = time.monotonic() + 20
    while not made(chosen).created:  # the broker hears of it a little later
        assert time.monotonic() < deadline


def test_parking_that_is_off_asks_nobody() -> None:
    assert ensure(settings("127.0.0.1:1", "a", parking_topic="none"), seconds=0) is None


def test_the_embedded_broker_makes_it_by_being_asked() -> None:
    """It knows neither CreateTopics nor DescribeConfigs, and an admin client waits in vain for its controller."""
    with EmbeddedBroker({"source": 9}) as broker:
        chosen = settings(broker.bootstrap_servers, "source")
        begun = time.monotonic()
        found = made(chosen)
        assert time.monotonic() - begun < 1.5
        assert found == ParkingTopic(chosen.parking_topic_name or "", 4, None, DEFAULT_MESSAGE_BYTES)
        assert partitions_of(broker.bootstrap_servers, found.name) == 4
        broker.create_topic("mine", 2)
        assert made(settings(broker.bootstrap_servers, "source", parking_topic="mine")).partitions == 2


# ---- refused ----


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_compaction_is_refused(kafka: str, policy: str) -> None:
    name = unique("compacted")
    create_topic(kafka, name, 1, {"cleanup.policy": policy})
    with pytest.raises(ConfigError, match=f"{name} has cleanup.policy=.*compact") as caught:
        made(settings(kafka, unique("source"), parking_topic=name))
    assert caught.value.code == "parking-topic-unfit"
    assert caught.value.exit_code == 2
    assert f"Set cleanup.policy=delete for {name}" in str(caught.value)
    assert "TIDEGATE_PARKING_TOPIC=none" in str(caught.value)


def test_a_retention_shorter_than_a_sources_is_refused(kafka: str) -> None:
    name, source = unique("short"), unique("source")
    create_topic(kafka, source, 1, {"retention.ms": "7200001"})
    create_topic(kafka, name, 1, {"retention.ms": "7200000"})
    chosen = settings(kafka, source, parking_topic=name)
    with pytest.raises(ConfigError) as caught:
        made(chosen)
    assert f"{name} keeps records for 2 hours (retention.ms=7200000)" in str(caught.value)
    assert f"its source {source} for 7200001 ms (7200001)" in str(caught.value)
    assert f"Set retention.ms={WEEK_MS} for {name}" in str(caught.value)
    assert made(settings(kafka, unique("another"), parking_topic=name)).retention_seconds == 7200


def test_what_is_unwise_is_warned_of(kafka: str) -> None:
    name, source = unique("tight"), unique("source")
    create_topic(kafka, source, 1)
    create_topic(kafka, name, 1, {"retention.bytes": "1000000", "max.message.bytes": "900000"})
    found = made(settings(kafka, source, parking_topic=name))
    assert len(found.warnings) == 2
    assert f"{name} has retention.bytes=1000000" in found.warnings[0]
    assert "max.message.bytes=900000, its sources up to 1048588" in found.warnings[1]


@pytest.fixture(scope="module")
def strict() -> Iterator[str]:
    """A broker that wants three replicas where it has one, and denies everyone some things by topic."""
    require_java()
    authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    properties = {
        "default.replication.factor": "3",
        "authorizer.class.name": authorizer,
        "allow.everyone.if.no.acl.found": "true",
    }
    with KafkaServer(properties=properties) as server:
        yield server.bootstrap_servers


def deny(servers: str, operation: AclOperation, topic: str | None = None) -> None:
    """Denied to everyone from now on: the operation on a topic, or on the cluster."""
    admin = AdminClient({"bootstrap.servers": servers})
    bindings = [
        AclBinding(
            ConfigResource.Type.BROKER if topic is None else ConfigResource.Type.TOPIC,
            topic or "kafka-cluster",
            ResourcePatternType.LITERAL,
            "User:ANONYMOUS",
            "*",
            *one,
        )
        for one in ((AclOperation.ALL, AclPermissionType.ALLOW), (operation, AclPermissionType.DENY))
    ]
    for answer in admin.create_acls(bindings).values():
        answer.result(20)
    time.sleep(0.5)  # until the authorizer has it


def create_single(servers: str, topic: str, config: Mapping[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, 2, 1, config=dict(config))])[topic].result(20)


def test_what_cannot_be_made_is_told_with_the_command_that_makes_it(strict: str) -> None:
    source = unique("source")
    create_topic(strict, source, 2)
    chosen = settings(strict, source)
    begun = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        made(chosen, seconds=1)
    assert 1 <= time.monotonic() - begun < 4, "brokers of a cluster that starts come one by one"
    error, name = caught.value, chosen.parking_topic_name
    assert (error.code, error.exit_code) == ("parking-topic-missing", 2)
    assert "replication factor of 3" in error.message
    assert "TIDEGATE_PARKING_TOPIC=none switches parking off" in str(error)
    (line,) = (line for line in str(error).splitlines() if "kafka-topics.sh" in line)
    assert shlex.split(line) == [
        "kafka-topics.sh", "--create", "--topic", name, "--bootstrap-server", strict,
        "--partitions", "2", "--replication-factor", "1", "--config", "cleanup.policy=delete",
        "--config", f"retention.ms={WEEK_MS}",
        "--config", f"max.message.bytes={DEFAULT_MESSAGE_BYTES + ENVELOPE_ROOM_BYTES}",
    ]  # fmt: skip
    given = [part.partition("=") for part in shlex.split(line) if "=" in part]
    create_single(strict, name or "", {key: value for key, _, value in given})
    assert made(chosen).warnings == ()


def test_what_may_not_be_read_is_warned_of_and_parked_in(strict: str) -> None:
    name, source, other = unique("veiled"), unique("source"), unique("source")
    for topic in (name, source, other):
        create_single(strict, topic, {"cleanup.policy": "compact"} if topic == name else {})
        deny(strict, AclOperation.DESCRIBE_CONFIGS, topic)
    found = made(settings(strict, f"{source},{other}", parking_topic=name))
    assert (found.partitions, found.retention_seconds) == (2, None)
    assert len(found.warnings) == 2
    assert f"the configuration of {name} cannot be read: Topic authorization failed; unchecked" in found.warnings[0]
    assert "(nor of 1 other topics) cannot be read" in found.warnings[1]


def test_what_may_not_be_seen_is_refused(strict: str) -> None:
    name = unique("hidden")
    create_single(strict, name, {})
    deny(strict, AclOperation.DESCRIBE, name)
    with pytest.raises(ConfigError, match="exists, but this client is not allowed to see it") as caught:
        made(settings(strict, "source", parking_topic=name), seconds=1)
    assert caught.value.exit_code == 2


def test_what_may_not_be_made_is_refused_at_once(strict: str) -> None:
    name = unique("forbidden")
    deny(strict, AclOperation.CREATE)
    deny(strict, AclOperation.CREATE, name)
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=r"cannot be created: .*uthorization failed") as caught:
        made(settings(strict, "source", parking_topic=name), seconds=20)
    assert time.monotonic() - begun < 5
    assert "kafka-topics.sh --create" in str(caught.value)
    assert "--replication-factor" not in str(caught.value)


# ---- nobody there ----


def test_a_broker_that_is_away_is_another_thing_than_a_refusal() -> None:
    (port,) = free_ports(1)
    begun = time.monotonic()
    with pytest.raises(NoAnswerError) as caught:
        made(settings(f"127.0.0.1:{port}", "a"), seconds=1)
    assert 1 <= time.monotonic() - begun < 4
    assert (caught.value.code, caught.value.exit_code) == ("kafka-unreachable", 1)
    assert "connection refused" in caught.value.message


def test_one_that_comes_in_time_is_waited_for() -> None:
    with EmbeddedBroker({"source": 1}) as broker, ThreadPoolExecutor(1) as pool:
        broker.set_broker_down(1)
        asked = pool.submit(made, settings(broker.bootstrap_servers, "source"), 20)
        time.sleep(0.5)
        broker.set_broker_up(1)
        assert asked.result(20).partitions == 4


def test_one_that_goes_away_amid_it_is_no_refusal() -> None:
    """What a source is like must be known before the topic is made after it."""
    require_java()
    with KafkaServer() as server:
        chosen = settings(server.bootstrap_servers, "source")
        create_topic(server.bootstrap_servers, "source", 1)
        asked = Cluster(chosen, 1)
        assert asked.topics() == {"source": 1}
        server.kill()
        with pytest.raises(NoAnswerError):
            asked.configs(["source"])
        with pytest.raises(NoAnswerError):
            asked.create("parked", 1, {}, ())
        with pytest.raises(NoAnswerError):
            asked.topics()


# ---- decided ----

RETENTIONS = st.one_of(st.just(-1), st.integers(0, 1 << 40))
SOURCES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(
        lambda partitions, retention, size, policy: Source(
            partitions,
            {"cleanup.policy": policy, "retention.ms": str(retention), "max.message.bytes": str(size)},
        ),
        st.integers(1, 200),
        RETENTIONS,
        st.integers(0, (1 << 31) - 1),
        st.sampled_from(["delete", "compact", "compact,delete"]),
    ),
)


@given(SOURCES)
def test_what_is_planned_is_fit(sources: dict[str, Source]) -> None:
    plan = planned(sources)
    assert plan.partitions == (min(64, max(one.partitions for one in sources.values())) if sources else -1)
    assert judge("p", plan.config, sources) == []
    retention = int(plan.config["retention.ms"])
    assert retention == -1 or retention >= WEEK_MS


@given(SOURCES, RETENTIONS)
def test_it_is_refused_exactly_where_a_source_keeps_longer(sources: dict[str, Source], own: int) -> None:
    def kept(source: Source) -> float:
        for_ever = source.config["cleanup.policy"] == "compact" or source.config["retention.ms"] == "-1"
        return float("inf") if for_ever else int(source.config["retention.ms"])

    config: dict[str, Any] = {"cleanup.policy": "delete", "retention.ms": str(own)}
    longest = max(map(kept, sources.values()), default=0)
    if longest <= (float("inf") if own == -1 else own):
        judge("p", config, sources)
    else:
        with pytest.raises(ConfigError, match="would be lost earlier"):
            judge("p", config, sources)


@pytest.mark.parametrize(
    ("policy", "retention", "kept_ms"),
    [
        ("delete", "5", 5),
        ("delete", "-1", -1),
        ("compact", "5", -1),
        ("compact,delete", "5", 5),
        ("delete,compact", "-1", -1),
    ],
)
def test_how_long_a_source_keeps_its_records(policy: str, retention: str, kept_ms: int) -> None:
    assert Source(1, {"cleanup.policy": policy, "retention.ms": retention}).retention_ms == kept_ms


def test_a_source_whose_configuration_is_not_known_decides_nothing() -> None:
    silent = {"a": Source(3, {})}
    assert planned(silent).config["retention.ms"] == str(WEEK_MS)
    assert judge("p", {"cleanup.policy": "delete", "retention.ms": "1"}, silent) == []


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (-1, "ever"),
        (WEEK_MS, "7 days"),
        (86_400_000, "1 day"),
        (5_400_000, "90 minutes"),
        (1001, "1001 ms"),
        (1, "1 ms"),
    ],
)
def test_times_in_words(milliseconds: int, words: str) -> None:
    assert for_how_long(milliseconds) == words


def test_the_command_is_for_the_brokers_that_are_configured() -> None:
    chosen = settings("a:1,b:2", "x", kafka_security_protocol="ssl")
    assert command(chosen, "parked", -1, {"retention.ms": "-1"}, None) == (
        "kafka-topics.sh --create --topic parked --bootstrap-server a:1,b:2 --config retention.ms=-1"
        " --command-config client.properties"
    )
