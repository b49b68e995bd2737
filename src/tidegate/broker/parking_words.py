"""What is said to the operator about the parking topic."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.config import Settings

OFF = "TIDEGATE_PARKING_TOPIC=none switches parking off"
_UNITS = ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1000, "seconds"), (1, "ms"))


def refusal(what: str, todo: str) -> ConfigError:
    """A topic that is there and cannot serve."""
    return ConfigError(what, code="parking-topic-unfit", hint=f"{todo}; {OFF}.")


def for_how_long(milliseconds: int) -> str:
    """``7 days``, ``90 minutes``; -1 is ``ever``, to stand behind "for"."""
    if milliseconds < 0:
        return "ever"
    size, unit = next(((size, unit) for size, unit in _UNITS if milliseconds % size == 0), _UNITS[-1])
    count = milliseconds // size
    return f"{count} {unit.removesuffix('s') if count == 1 and unit != 'ms' else unit}"


def command(settings: Settings, name: str, partitions: int, config: Mapping[str, str], replicas: int | None) -> str:
    """What makes the topic by hand, as it stands: Kafka's own tool, for a shell.

    Args:
        partitions: -1 is the brokers' default.
        replicas: None is the brokers' default.
    """
    parts = ["kafka-topics.sh", "--create", "--topic", name]
    parts += ["--bootstrap-server", settings.kafka_bootstrap_servers or ""]
    if partitions > 0:
        parts += ["--partitions", str(partitions)]
    if replicas is not None:
        parts += ["--replication-factor", str(replicas)]
    for key, value in config.items():
        parts += ["--config", f"{key}={value}"]
    if "security.protocol" in settings.kafka:
        parts += ["--command-config", "client.properties"]
    return shlex.join(parts)
