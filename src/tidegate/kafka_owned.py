"""librdkafka properties that are not the operator's, as tidegate's guarantees rest on them: why, and what instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tidegate.kafka_names import Property

_COMMITS = (
    "tidegate commits by itself, and only what the target has acknowledged",
    "Remove it; how often is TIDEGATE_KAFKA_AUTO_COMMIT_INTERVAL_MS.",
)
_BUDGET = ("follows from the memory budget", "Set TIDEGATE_MEMORY_BYTES instead.")
_EVENTS = ("is how tidegate hears from librdkafka", "Remove it.")

# property → (why it is refused, what to do)
OWNED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "metadata.broker.list": ("has a setting of its own", "Set TIDEGATE_KAFKA_BOOTSTRAP_SERVERS instead."),
        "group.id": ("has a setting of its own", "Set TIDEGATE_GROUP_ID instead."),
        "group.instance.id": ("has a setting of its own", "Set TIDEGATE_GROUP_INSTANCE_ID instead."),
        "group.protocol": ("has a setting of its own", "Set TIDEGATE_GROUP_PROTOCOL instead."),
        "group.protocol.type": ("cannot be other than consumer", "Remove it."),
        "auto.offset.reset": (
            "tidegate resolves starting offsets itself, so that lost records are counted",
            "Set TIDEGATE_START instead.",
        ),
        "enable.auto.commit": _COMMITS,
        "auto.commit.enable": _COMMITS,
        "enable.auto.offset.store": _COMMITS,
        "offset.store.method": _COMMITS,
        "offset.store.path": _COMMITS,
        "offset.store.sync.interval.ms": _COMMITS,
        "enable.partition.eof": ("is how tidegate knows the end of a partition", "Remove it."),
        "queued.min.messages": _BUDGET,
        "queued.max.messages.kbytes": _BUDGET,
        "log.queue": _EVENTS,
        "enabled_events": _EVENTS,
        "statistics.interval.ms": ("is not used", "tidegate's figures are at /metrics on TIDEGATE_OPS_ADDRESS."),
    }
)

# With group.protocol=consumer these are the broker's, and librdkafka refuses to start with them: what to do instead.
_BROKERS_OWN = {
    "session.timeout.ms": "set group.consumer.session.timeout.ms on the brokers",
    "heartbeat.interval.ms": "set group.consumer.heartbeat.interval.ms on the brokers",
    "partition.assignment.strategy": "choose one of the brokers' with TIDEGATE_KAFKA_GROUP_REMOTE_ASSIGNOR",
}


def refusal(found: Property) -> tuple[str, str] | None:
    """Why this property cannot be set whatever else is configured, and what to do; None when it can."""
    if found.name in OWNED:
        why, todo = OWNED[found.name]
        return f"cannot be set: {found.name} {why}" if not why.startswith("tidegate") else f"cannot be set: {why}", todo
    if found.scope == "P":
        return f"has no effect: {found.name} is a producer's property, and tidegate consumes", "Remove it."
    return None


def refused_by_protocol(protocol: str, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Which of the properties ``names`` do not go with this group protocol: name → (why, what to do)."""
    if protocol == "consumer":
        why = "belongs to the broker with TIDEGATE_GROUP_PROTOCOL=consumer, and librdkafka refuses it"
        return {n: (why, f"Remove it, or {_BROKERS_OWN[n]}.") for n in names if n in _BROKERS_OWN}
    why = "has no effect with TIDEGATE_GROUP_PROTOCOL=classic"
    return {
        n: (why, "Remove it, or set TIDEGATE_GROUP_PROTOCOL=consumer.") for n in names if n == "group.remote.assignor"
    }
