"""The rights that tidegate needs, as the commands that give them: Kafka's own tool, for a shell of an administrator."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.config import Settings

SOURCE = ("Read", "Describe", "DescribeConfigs")
GROUP = ("Read",)
PARKING = ("Create", "Read", "Write", "Describe", "DescribeConfigs")


def command(settings: Settings, kind: str, names: Iterable[str], operations: tuple[str, ...]) -> str:
    """One line for a shell, as it stands.

    Args:
        kind: ``"topic"`` or ``"group"``.
        operations: one of those above.
    """
    parts = ["kafka-acls.sh", "--bootstrap-server", (settings.kafka_bootstrap_servers or "").split(",")[0]]
    if "security.protocol" in settings.kafka:
        parts += ["--command-config", "admin.properties"]
    parts += ["--add", "--allow-principal", principal(settings)]
    for operation in operations:
        parts += ["--operation", operation]
    for name in names:
        parts += [f"--{kind}", name]
    return shlex.join(parts)


def principal(settings: Settings) -> str:
    """Who this client is to Kafka. With a certificate that is its subject, which is not looked into."""
    user = settings.kafka.get("sasl.username")
    if user is not None:
        return f"User:{user.get_secret_value()}"
    protocol = settings.kafka.get("security.protocol")
    named = protocol is not None and protocol.get_secret_value().lower().startswith("sasl")
    if named or "ssl.certificate.location" in settings.kafka or "ssl.keystore.location" in settings.kafka:
        return "User:<this client's name>"
    return "User:ANONYMOUS"
