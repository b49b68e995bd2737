"""A real Kafka with every kind of listener and an authorizer: whatever a client may get wrong, it gets wrong here."""

from __future__ import annotations

from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from harness.kafka import KafkaServer
from harness.ports import free_ports
from harness.rights import AUTHORIZER, PASSWORD, plain_login

USERS = ("shop", "stranger")


class PickyKafka(KafkaServer):
    """Plain, TLS, SASL and SASL over TLS, PLAIN only. Users may do what ``harness.rights.Rights`` allows them.

    Whoever comes without a name, by the plain or the TLS listener, is a super user. Certificates go to ``directory``.

    Attributes:
        authority: the certificate of who signed the broker's own.
        stranger_authority: of somebody else.
    """

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        own = authority.issue_cert("127.0.0.1")
        key = load_pem_private_key(own.private_key_pem.bytes(), None)
        pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # the only form that Java reads
        keystore = directory / "server.pem"
        keystore.write_bytes(pkcs8 + b"".join(pem.bytes() for pem in own.cert_chain_pems))
        self.authority = directory / "ca.pem"
        authority.cert_pem.write_to_path(self.authority)
        self.stranger_authority = directory / "stranger.pem"
        trustme.CA().cert_pem.write_to_path(self.stranger_authority)
        self._tls, self._sasl, self._both = free_ports(3)
        properties = dict(AUTHORIZER)
        for name in ("sasl_plaintext", "sasl_ssl"):
            properties[f"listener.name.{name}.plain.sasl.jaas.config"] = plain_login(*USERS)
        for name in ("ssl", "sasl_ssl"):
            properties[f"listener.name.{name}.ssl.keystore.type"] = "PEM"
            properties[f"listener.name.{name}.ssl.keystore.location"] = str(keystore)
        listeners = {"SSL": self._tls, "SASL_PLAINTEXT": self._sasl, "SASL_SSL": self._both}
        super().__init__(properties=properties, listeners=listeners)

    @property
    def tls(self) -> str:
        return f"127.0.0.1:{self._tls}"

    @property
    def sasl(self) -> str:
        return f"127.0.0.1:{self._sasl}"

    @property
    def sasl_tls(self) -> str:
        return f"127.0.0.1:{self._both}"

    def login(self, user: str, password: str = PASSWORD) -> dict[str, str]:
        """Settings of a sidecar that comes as this user, without TLS."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.sasl,
            "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password,
        }
