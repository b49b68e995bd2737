"""A Kafka that lets users do only what they were told to: a listener for them, rights given and taken by an admin.

Whoever comes by the plain listener is a super user, as the checker and the producers are.
"""

from __future__ import annotations

from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from harness.kafka import KafkaServer
from harness.ports import free_ports

PASSWORD = "not the shop's"


class Rights:
    """What a user may do on one broker."""

    def __init__(self, servers: str, user: str) -> None:
        self._user = user
        self._admin = AdminClient({"bootstrap.servers": servers})

    def allow(self, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """Given from now on; the authorizer has it a moment later."""
        bindings = [AclBinding(*self._binding(kind, name, operation)) for operation in operations]
        for done in self._admin.create_acls(bindings).values():
            done.result(20)

    def take(self, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """Taken back. Raises AssertionError where it was not there."""
        filters = [AclBindingFilter(*self._binding(kind, name, operation)) for operation in operations]
        for done in self._admin.delete_acls(filters).values():
            assert done.result(20), f"{operations} of {name} was not there"

    def allow_parking(self, topic: str, parking: str, group: str) -> None:
        """All that tidegate needs to read a topic and to park."""
        asks = (AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS, AclOperation.READ)
        self.allow(ResourceType.TOPIC, topic, *asks)
        self.allow(ResourceType.TOPIC, parking, *asks, AclOperation.CREATE, AclOperation.WRITE)
        self.allow(ResourceType.GROUP, group, AclOperation.READ)

    def _binding(self, kind: ResourceType, name: str, operation: AclOperation) -> tuple[Any, ...]:
        pattern, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
        return kind, name, pattern, f"User:{self._user}", "*", operation, allow


def plain_login(*users: str) -> str:
    """What a listener's ``plain.sasl.jaas.config`` has to be for these users."""
    known = " ".join(f'user_{user}="{PASSWORD}"' for user in users)
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required {known};"


# Whoever comes without a name is a super user, the others may do what they are allowed.
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "sasl.enabled.mechanisms": "PLAIN",
}


class GuardedKafka(KafkaServer):
    """A broker with an authorizer, and a listener at which users have to say who they are."""

    def __init__(self, *users: str) -> None:
        (self._guarded_port,) = free_ports(1)
        login = {"listener.name.sasl_plaintext.plain.sasl.jaas.config": plain_login(*users)}
        super().__init__(properties=AUTHORIZER | login, listeners={"SASL_PLAINTEXT": self._guarded_port})

    def settings(self, user: str) -> dict[str, str]:
        """Of a sidecar that comes as this user."""
        return {
            "kafka_bootstrap_servers": f"127.0.0.1:{self._guarded_port}",
            "kafka_security_protocol": "sasl_plaintext",
            "kafka_sasl_mechanism": "PLAIN",
            "kafka_sasl_username": user,
            "kafka_sasl_password": PASSWORD,
        }
