"""librdkafka's properties, checked by librdkafka itself: what comes out must start a real consumer."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from tidegate import kafka_names
from tidegate.broker.properties import (
    check,
    consumer_properties,
    looking_properties,
    producer_properties,
    tool_properties,
)
from tidegate.config import Settings, load
from tidegate.core.ledger import Ledger
from tidegate.core.producer import Producer
from tidegate.errors import ConfigError, KafkaClientError
from tidegate.kafka_owned import OWNED

BROKER = {"TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


def properties(environ: dict[str, str], lanes: int = 1) -> dict[str, str]:
    return consumer_properties(load(BROKER | environ), lanes)


def starts(given: dict[str, str]) -> None:
    Consumer(given | {"log_level": "0"}).close()


def test_the_defaults_are_the_decided_ones() -> None:
    found = properties({})
    decided = {
        "fetch.queue.backoff.ms": "10",
        "queued.min.messages": str((17 << 20) // 340),
        "queued.max.messages.kbytes": str(17 * 1024 * 4 // 10),
        "fetch.message.max.bytes": "262144",
        "fetch.min.bytes": "1",
        "fetch.max.bytes": str((17 << 20) // 4),
        "enable.auto.offset.store": "false",
        "enable.auto.commit": "true",
        "auto.commit.interval.ms": "1000",
        "check.crcs": "true",
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": "45000",
        "heartbeat.interval.ms": "1000",
        "max.poll.interval.ms": "300000",
        "enable.partition.eof": "true",
        "auto.offset.reset": "error",
        "topic.metadata.refresh.interval.ms": "60000",
        "client.id": "tidegate",
        "log.queue": "true",
        "group.id": "tidegate",
        "bootstrap.servers": "127.0.0.1:1",
    }
    assert found | decided == found
    starts(found)


@pytest.mark.parametrize("memory", ["16MiB", "96MiB", "8GiB"])
@pytest.mark.parametrize("lanes", [1, 4, 64])
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_real_consumer_starts_with_them(memory: str, lanes: int, protocol: str) -> None:
    environ = {"TIDEGATE_MEMORY_BYTES": memory, "TIDEGATE_GROUP_PROTOCOL": protocol, "TIDEGATE_GROUP_INSTANCE_ID": "a"}
    found = properties(environ, lanes)
    assert int(found["queued.max.messages.kbytes"]) >= 32
    starts(found)


@pytest.mark.parametrize(
    "environ",
    [
        {"TIDEGATE_KAFKA_MESSAGE_MAX_BYTES": "20000000"},
        {"TIDEGATE_KAFKA_MESSAGE_MAX_BYTES": "200000000"},
        {"TIDEGATE_KAFKA_FETCH_MAX_BYTES": "150000000"},
        {"TIDEGATE_KAFKA_SESSION_TIMEOUT_MS": "60000", "TIDEGATE_KAFKA_HEARTBEAT_INTERVAL_MS": "5000"},
        {"TIDEGATE_GROUP_PROTOCOL": "consumer", "TIDEGATE_KAFKA_GROUP_REMOTE_ASSIGNOR": "range"},
        {"TIDEGATE_KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "range,roundrobin"},
        {"TIDEGATE_KAFKA_CHECK_CRCS": "false", "TIDEGATE_KAFKA_CLIENT_RACK": "a", "TIDEGATE_KAFKA_LOG_LEVEL": "0"},
        {"TIDEGATE_KAFKA_SECURITY_PROTOCOL": "sasl_ssl", "TIDEGATE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
         "TIDEGATE_KAFKA_SASL_USERNAME": "u", "TIDEGATE_KAFKA_SASL_PASSWORD": "p"},
    ],
)  # fmt: skip
def test_what_the_operator_passes_through_goes_together(environ: dict[str, str]) -> None:
    starts(properties(environ))


def test_the_operator_wins_over_defaults_whatever_the_spelling() -> None:
    found = properties({"TIDEGATE_KAFKA_MAX_PARTITION_FETCH_BYTES": "1048576", "TIDEGATE_KAFKA_CLIENT_ID": "shop"})
    assert found["fetch.message.max.bytes"] == "1048576"
    assert "max.partition.fetch.bytes" not in found
    assert found["client.id"] == "shop"


def test_names_with_dots_and_underscores_resolve() -> None:
    table = kafka_names.catalogue()
    assert table["SSL_CA_LOCATION"].name == "ssl.ca.location"
    assert table["LOG_LEVEL"].name == "log_level"
    assert table["SASL_MECHANISM"].name == table["SASL_MECHANISMS"].name == "sasl.mechanisms"
    assert len(table) > 150


def test_a_property_that_ends_in_file_is_not_taken_for_a_path(tmp_path: pytest.TempPathFactory) -> None:
    found = properties({"TIDEGATE_KAFKA_SASL_OAUTHBEARER_ASSERTION_FILE": "/run/assertion"})
    assert found["sasl.oauthbearer.assertion.file"] == "/run/assertion"


@pytest.mark.parametrize("name", sorted(OWNED))
def test_owned_properties_are_refused_with_a_reason(name: str) -> None:
    assert kafka_names.environment_name(name) in kafka_names.catalogue(), "librdkafka still has it"
    with pytest.raises(ConfigError, match="cannot be set") as caught:
        properties({f"TIDEGATE_KAFKA_{kafka_names.environment_name(name)}": "1"})
    assert caught.value.hint


def test_no_default_can_be_both_owned_and_overridden() -> None:
    fixed = {"group.id", "group.protocol", "enable.auto.commit", "enable.auto.offset.store"}
    assert fixed <= set(OWNED)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TIDEGATE_KAFKA_SSL_CA_LOCATOIN": "x"}, "Did you mean TIDEGATE_KAFKA_SSL_CA_LOCATION"),
        ({"TIDEGATE_KAFKA_LINGER_MS": "5"}, "a producer's property"),
        ({"TIDEGATE_KAFKA_METADATA_BROKER_LIST": "x"}, "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS"),
        ({"TIDEGATE_KAFKA_FETCH_WAIT_MAX_MS": "abc"}, "not a plain whole number"),
        ({"TIDEGATE_KAFKA_FETCH_WAIT_MAX_MS": "-5"}, "refused by librdkafka"),
        ({"TIDEGATE_KAFKA_FETCH_WAIT_MAX_MS": "-5"}, "-5 is outside allowed range 0..300000.\n"),
        ({"TIDEGATE_KAFKA_SESSION_TIMEOUT_MS": "45s"}, "not a plain whole number"),
        ({"TIDEGATE_KAFKA_FETCH_MAX_BYTES": "0x100000"}, "not a plain whole number"),
        ({"TIDEGATE_KAFKA_MESSAGE_MAX_BYTES": "010"}, "not a plain whole number"),
        ({"TIDEGATE_KAFKA_SECURITY_PROTOCOL": "tls"}, "refused by librdkafka"),
        ({"TIDEGATE_KAFKA_REBALANCE_CB": "x"}, "refused by librdkafka"),
        ({"TIDEGATE_KAFKA_GROUP_REMOTE_ASSIGNOR": "range"}, "no effect with TIDEGATE_GROUP_PROTOCOL=classic"),
        ({"TIDEGATE_KAFKA_MAX_PARTITION_FETCH_BYTES": "1", "TIDEGATE_KAFKA_FETCH_MESSAGE_MAX_BYTES": "1"}, "both set"),
        (
            {"TIDEGATE_GROUP_PROTOCOL": "consumer", "TIDEGATE_KAFKA_SESSION_TIMEOUT_MS": "45000"},
            "belongs to the broker",
        ),
        ({"TIDEGATE_GROUP_PROTOCOL": "consumer", "TIDEGATE_KAFKA_HEARTBEAT_INTERVAL_MS": "1"}, "belongs to the broker"),
        (
            {"TIDEGATE_GROUP_PROTOCOL": "consumer", "TIDEGATE_KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "range"},
            "TIDEGATE_KAFKA_GROUP_REMOTE_ASSIGNOR",
        ),
    ],
)
def test_what_cannot_work_is_refused(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        properties(environ)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"FETCH_MAX_BYTES": "1000"}, "`fetch.max.bytes` must be >= `message.max.bytes`"),
        ({"PARTITION_ASSIGNMENT_STRATEGY": "range,cooperative-sticky"}, "must have the same protocol type"),
        ({"SECURITY_PROTOCOL": "sasl_ssl"}, "No provider for SASL mechanism GSSAPI"),
        ({"SECURITY_PROTOCOL": "ssl", "SSL_CA_LOCATION": "/nowhere"}, "ssl.ca.location failed"),
        ({"SECURITY_PROTOCOL": "ssl", "SSL_KEY_PEM": "geheim-3141"}, "ssl.key.pem failed"),
    ],
)
def test_what_does_not_go_together_is_found_without_a_broker(environ: dict[str, str], words: str) -> None:
    settings = load({f"TIDEGATE_KAFKA_{name}": value for name, value in environ.items()})
    with pytest.raises(KafkaClientError) as caught:
        check(settings)
    assert words in str(caught.value)
    assert "geheim" not in str(caught.value)
    check(load({}))


def test_secret_properties_are_known() -> None:
    secret = {p.name for p in kafka_names.catalogue().values() if kafka_names.is_secret(p.name)}
    assert secret >= {
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
    }
    assert not secret & {"ssl.ca.location", "ssl.key.location", "sasl.username", "bootstrap.servers"}


def test_settings_built_directly_serve_as_well() -> None:
    starts(consumer_properties(Settings(kafka_bootstrap_servers="127.0.0.1:1"), lanes=2))


CONSUMERS_ALONE = {
    "TIDEGATE_KAFKA_SESSION_TIMEOUT_MS": "60000",
    "TIDEGATE_KAFKA_FETCH_MAX_BYTES": "150000000",
    "TIDEGATE_KAFKA_CHECK_CRCS": "false",
    "TIDEGATE_KAFKA_MAX_IN_FLIGHT": "9",
}
SHARED = {
    "TIDEGATE_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "TIDEGATE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "TIDEGATE_KAFKA_SASL_USERNAME": "u",
    "TIDEGATE_KAFKA_SASL_PASSWORD": "p",
    "TIDEGATE_KAFKA_SOCKET_KEEPALIVE_ENABLE": "true",
    "TIDEGATE_KAFKA_CLIENT_ID": "shop",
}


def test_a_producer_speaks_to_the_brokers_as_the_consumer_does() -> None:
    found = producer_properties(load(BROKER | CONSUMERS_ALONE | SHARED))
    assert found == {
        "bootstrap.servers": "127.0.0.1:1",
        "client.id": "shop",
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": "p",
        "socket.keepalive.enable": "true",
    }
    Producer(found | {"log_level": "0"}, "parked", Ledger()).close(0)
    assert producer_properties(load(BROKER)) == {"bootstrap.servers": "127.0.0.1:1", "client.id": "tidegate"}


@pytest.mark.parametrize(
    ("given", "of_topic", "largest"),
    [(None, 0, None), (None, 1_114_124, "1114124"), ("2000000", 1_114_124, "2000000"), ("2000000", 0, "2000000"),
     ("2000", 3000, "3000"), (None, (1 << 31) - 1, "1000000000")],
)  # fmt: skip
def test_a_producer_sends_what_the_topic_takes(given: str | None, of_topic: int, largest: str | None) -> None:
    environ = {"TIDEGATE_KAFKA_MESSAGE_MAX_BYTES": given} if given else {}
    found = producer_properties(load(BROKER | environ), of_topic)
    assert found.get("message.max.bytes") == largest
    Producer(found | {"log_level": "0"}, "parked", Ledger()).close(0)


def test_tools_say_nothing_by_themselves(capfd: pytest.CaptureFixture[str]) -> None:
    found = tool_properties(load(BROKER | CONSUMERS_ALONE | SHARED | {"TIDEGATE_KAFKA_DEBUG": "all"}))
    assert found["sasl.password"] == "p"
    assert "debug" not in found
    assert not {"session.timeout.ms", "fetch.max.bytes", "check.crcs"} & found.keys()
    AdminClient(dict[str, str | int | float | bool](found)).poll(0.2)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("largest", [{}, {"TIDEGATE_KAFKA_MESSAGE_MAX_BYTES": "200000000"}])
def test_who_looks_takes_nothing_and_fetches_little(largest: dict[str, str]) -> None:
    found = looking_properties(load(BROKER | CONSUMERS_ALONE | SHARED | largest | {"TIDEGATE_GROUP_ID": "shop"}))
    expected = {"group.id": "shop", "enable.auto.commit": "false", "queued.max.messages.kbytes": "512"}
    expected |= {"fetch.message.max.bytes": "65536", "isolation.level": "read_committed", "check.crcs": "true"}
    assert found | expected == found
    starts(found)
