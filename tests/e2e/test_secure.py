"""TLS and SASL through the Kafka passthrough, secrets from files: it works, fails clearly, and tells no secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from harness import fixtures
from harness.fixtures import Scenes, real_broker
from harness.kafka import KafkaServer
from harness.ports import free_ports
from harness.scene import Scene, event_class
from harness.sidecar import Sidecar
from tidegate.broker.admin import NoAnswerError
from tidegate.broker.parked_records import listing
from tidegate.broker.parking import ensure
from tidegate.config import load

USER, PASSWORD = "shop", "correct horse battery staple"

pytestmark = pytest.mark.kafka


@dataclass(frozen=True)
class Secured:
    """A Kafka with a listener for SASL over TLS, and the certificate of who signed its own."""

    server: KafkaServer
    address: str
    authority: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    fixtures.require_java()
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    keystore = directory / "server.pem"
    key = load_pem_private_key(own.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # the only form that Java reads
    keystore.write_bytes(pkcs8 + b"".join(pem.bytes() for pem in own.cert_chain_pems))
    authority.cert_pem.write_to_path(directory / "ca.pem")
    (port,) = free_ports(1)
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    properties = {
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{login} user_{USER}="{PASSWORD}";',
        "listener.name.sasl_ssl.ssl.keystore.type": "PEM",
        "listener.name.sasl_ssl.ssl.keystore.location": str(keystore),
    }
    with KafkaServer(properties=properties, listeners={"SASL_SSL": port}) as server:
        yield Secured(server, f"127.0.0.1:{port}", directory / "ca.pem")


def sidecar(scene: Scene, secured: Secured, directory: Path, password: str = PASSWORD, **more: Any) -> Sidecar:
    """A sidecar that knows the broker by its secured listener only."""
    secret = directory / "password"
    secret.write_text(password + "\n")  # as an editor leaves it
    settings: dict[str, object] = {
        "kafka_bootstrap_servers": secured.address,
        "kafka_security_protocol": "sasl_ssl",
        "kafka_sasl_mechanism": "PLAIN",
        "kafka_sasl_username": USER,
        "kafka_sasl_password_file": secret,
        "kafka_ssl_ca_location": secured.authority,
        "log_level": "debug",
    }
    return scene.sidecar(**(settings | more))


def test_events_over_tls_with_a_password_from_a_file(secured: Secured, scenes: Scenes, tmp_path: Path) -> None:
    scene = scenes(real_broker(secured.server.bootstrap_servers))
    scene.produce(1000)
    running = sidecar(scene, secured, tmp_path)
    scene.wait_settled(running)
    running.stop(15)
    scene.judge(classes=event_class)
    assert PASSWORD not in running.stderr + running.stdout


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"password": "wrong horse"}, "uthentication"),
        ({"kafka_ssl_ca_location": "another"}, "certificate"),
    ],
    ids=["password", "authority"],
)
def test_what_is_refused_is_told_and_nothing_is_lost(
    secured: Secured, scenes: Scenes, tmp_path: Path, wrong: dict[str, Any], words: str
) -> None:
    scene = scenes(real_broker(secured.server.bootstrap_servers))
    scene.produce(100)
    if "kafka_ssl_ca_location" in wrong:
        wrong["kafka_ssl_ca_location"] = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(wrong["kafka_ssl_ca_location"])
    refused = sidecar(scene, secured, tmp_path, **wrong)
    refused.wait_log(words, 20)
    assert refused.alive, refused.tail()  # a password may be about to be rotated
    refused.stop(15)
    assert "horse" not in refused.stderr
    accepted = sidecar(scene, secured, tmp_path)
    scene.wait_settled(accepted)
    accepted.stop(15)
    scene.judge(classes=event_class)


def test_the_parking_topic_is_reached_the_same_way(
    secured: Secured, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong password is as if nobody answered: it may be about to be rotated, and is no reason to end."""
    (tmp_path / "password").write_text(PASSWORD)
    environ = {
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": secured.address,
        "TIDEGATE_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "TIDEGATE_KAFKA_SASL_MECHANISM": "PLAIN",
        "TIDEGATE_KAFKA_SASL_USERNAME": USER,
        "TIDEGATE_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
        "TIDEGATE_KAFKA_SSL_CA_LOCATION": str(secured.authority),
        "TIDEGATE_GROUP_ID": "secured",
    }
    chosen = load(environ)
    found = ensure(chosen, seconds=20)
    assert found is not None
    assert (found.name, found.created) == ("tidegate.secured.parked", True)
    assert listing(chosen, 10).waiting == 0
    (tmp_path / "password").write_text("wrong horse")
    with pytest.raises(NoAnswerError) as caught:
        ensure(load(environ), seconds=1)
    assert "horse" not in str(caught.value) + "".join(capfd.readouterr())
