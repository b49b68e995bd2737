"""A broker that cannot be had: `tidegate run` waits, and says once what, where and what to do; then it joins."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from errors.brokers import PickyKafka
from errors.processes import lines, sidecar
from harness.ports import free_ports
from harness.rights import PASSWORD
from tidegate.broker.trouble import TROUBLES

pytestmark = pytest.mark.kafka

Settings = dict[str, object]


def tls(picky: PickyKafka, ca: Path, address: str = "") -> Settings:
    return {
        "kafka_bootstrap_servers": address or picky.tls,
        "kafka_security_protocol": "ssl",
        "kafka_ssl_ca_location": ca,
    }


# name → (settings, the code, words of the event, words of the hint)
CASES: dict[str, tuple[Callable[[PickyKafka], Settings], str, str, str]] = {
    "no such host": (
        lambda _: {"kafka_bootstrap_servers": "kafka.invalid:9092"},
        "kafka-unresolved",
        "cannot resolve kafka.invalid:9092",
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS",
    ),
    "nobody listens": (
        lambda _: {"kafka_bootstrap_servers": f"127.0.0.1:{free_ports(1)[0]}"},
        "kafka-unreachable",
        "connection refused",
        "See whether the broker is up",
    ),
    "plaintext to TLS": (
        lambda picky: {"kafka_bootstrap_servers": picky.tls},
        "kafka-protocol",
        "speaks ssl, and this client plaintext",
        "Set TIDEGATE_KAFKA_SECURITY_PROTOCOL=ssl,",
    ),
    "TLS to plaintext": (
        lambda picky: tls(picky, picky.authority, picky.bootstrap_servers),
        "kafka-protocol",
        "speaks plaintext, and this client ssl",
        "Set TIDEGATE_KAFKA_SECURITY_PROTOCOL=plaintext,",
    ),
    "no password where one is asked for": (
        lambda picky: {"kafka_bootstrap_servers": picky.sasl},
        "kafka-protocol",
        "speaks sasl_plaintext, and this client plaintext",
        "TIDEGATE_KAFKA_SASL_MECHANISM (one of PLAIN)",
    ),
    "plaintext password to TLS": (
        lambda picky: picky.login("shop") | {"kafka_bootstrap_servers": picky.sasl_tls},
        "kafka-protocol",
        "speaks sasl_ssl, and this client sasl_plaintext",
        "Set TIDEGATE_KAFKA_SECURITY_PROTOCOL=sasl_ssl,",
    ),
    "a password where none is asked for": (
        lambda picky: picky.login("shop") | {"kafka_bootstrap_servers": picky.bootstrap_servers},
        "kafka-protocol",
        "speaks plaintext, and this client sasl_plaintext",
        "Set TIDEGATE_KAFKA_SECURITY_PROTOCOL=plaintext",
    ),
    "another CA": (
        lambda picky: tls(picky, picky.stranger_authority),
        "kafka-certificate",
        "is not trusted by what",
        "TIDEGATE_KAFKA_SSL_CA_LOCATION",
    ),
    "wrong password": (
        lambda picky: picky.login("shop", "geheim-2718"),
        "kafka-credentials",
        "refuses user shop (PLAIN)",
        "TIDEGATE_KAFKA_SASL_PASSWORD",
    ),
    "wrong mechanism": (
        lambda picky: picky.login("shop") | {"kafka_sasl_mechanism": "SCRAM-SHA-256"},
        "kafka-mechanism",
        "does not take SASL mechanism SCRAM-SHA-256; it has PLAIN",
        "Set TIDEGATE_KAFKA_SASL_MECHANISM",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_why_no_broker_can_be_had_is_said_once(picky: PickyKafka, tmp_path: Path, case: str) -> None:
    settings, code, what, todo = CASES[case]
    one = sidecar(tmp_path, topics="shop.orders", **settings(picky))
    with one:
        one.wait_until(lambda: lines(one, code=code), 15, code)
        time.sleep(1.5)  # librdkafka tries thirty times meanwhile
        (told,) = lines(one, level="warning")
        assert told["code"] in TROUBLES
        assert what in told["event"], told
        assert todo in told["hint"], told
        assert "tries again all the time" in told["hint"]
        one.stop(15)
    assert "geheim" not in one.stderr + one.stdout
    assert PASSWORD not in one.stderr
    assert "Traceback" not in one.stderr


def test_while_the_parking_topic_is_looked_for_the_reason_is_said_already(tmp_path: Path) -> None:
    """The start waits five seconds for it: the reason must not."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    one = sidecar(tmp_path, topics="shop.orders", kafka_bootstrap_servers=address, parking_topic="shop.parked")
    with one:
        one.wait_until(lambda: lines(one, code="kafka-unreachable"), 15, "why")
        assert not lines(one, event="started")
        one.wait_until(lambda: lines(one, event="started"), 15, "started all the same")
        (parking,) = lines(one, event="nothing is parked until a broker answers")
        assert address in parking["reason"]
        assert len(lines(one, code="kafka-unreachable")) == 1
        one.stop(15)
