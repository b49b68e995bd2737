"""librdkafka's properties, by client: what was measured as right, what the budget gives, what the operator says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate import kafka_names
from tidegate.config_checks import MAX_POLL_INTERVAL_MS, SESSION_TIMEOUT_MS
from tidegate.errors import KafkaClientError

if TYPE_CHECKING:
    from tidegate.config import Settings

_FETCH_MAX_BYTES = 8 << 20
_MESSAGE_MAX_BYTES = 1_000_000  # librdkafka's default
_RECEIVE_MESSAGE_MAX_BYTES = 100_000_000  # librdkafka's default
_RESPONSE_OVERHEAD_BYTES = 512  # librdkafka asks for this much between a fetch and what it accepts to receive
_MOST_MESSAGE_BYTES = 1_000_000_000  # of message.max.bytes in librdkafka
_LOOKING_BYTES = 16 << 20
# An idempotent producer may have five at most, and is refused with more.
_NOT_THE_PRODUCERS = ("max.in.flight.requests.per.connection",)


def consumer_properties(settings: Settings, lanes: int) -> dict[str, str]:
    """Properties for one consumer handle, to be set in this order.

    Args:
        settings: with ``kafka_bootstrap_servers`` set. What the operator passes through stands over the defaults;
            properties that tidegate owns were refused when the settings were read.
        lanes: over all handles of the process: the prefetch budget is divided among them.

    Returns:
        Plain texts, secrets included: never log them.
    """
    given = {name: value.get_secret_value() for name, value in settings.kafka.items()}
    properties = {
        "bootstrap.servers": settings.kafka_bootstrap_servers or "",
        "client.id": "tidegate",
        "group.id": settings.group_id,
        "group.protocol": settings.group_protocol,
        "max.poll.interval.ms": str(MAX_POLL_INTERVAL_MS),
        # Only what the target acknowledged is stored; storing is what makes auto-commit at-least-once.
        "enable.auto.offset.store": "false",
        "enable.auto.commit": "true",
        "auto.commit.interval.ms": "1000",
        # Starting offsets are resolved at assignment; anything librdkafka would decide alone is a silent jump.
        "auto.offset.reset": "error",
        "enable.partition.eof": "true",
        "isolation.level": "read_committed",
        "check.crcs": "true",
        "fetch.queue.backoff.ms": "10",  # 1000, the default, halves throughput
        "fetch.min.bytes": "1",
        "fetch.message.max.bytes": str(settings.budget.fetch_bytes(lanes)),
        "queued.min.messages": str(settings.budget.queued_messages(lanes)),  # for usual records the bytes govern
        "queued.max.messages.kbytes": str(settings.budget.queued_kbytes(lanes)),
        "topic.metadata.refresh.interval.ms": "60000",
        "statistics.interval.ms": "0",
        "log.queue": "true",
    }
    if settings.group_instance_id is not None:
        properties["group.instance.id"] = settings.group_instance_id
    if settings.group_protocol == "classic":
        # With the consumer protocol both are the broker's, and librdkafka refuses to start with them.
        properties["partition.assignment.strategy"] = "cooperative-sticky"
        properties["session.timeout.ms"] = str(SESSION_TIMEOUT_MS)
        # A member learns by it that the group rebalances: partitions stand still for as long. 3000 is the default.
        properties["heartbeat.interval.ms"] = "1000"
    properties |= _fetch_limits(settings.budget.prefetch, given)
    return properties | given


def producer_properties(settings: Settings, message_max_bytes: int = 0) -> dict[str, str]:
    """Properties for `core.producer.Producer`, over its own defaults: where the brokers are and how they are spoken to.

    Args:
        settings: as for `consumer_properties`. What it passes through for consumers alone is left out.
        message_max_bytes: the largest message that the topic takes, where that is known.

    Returns:
        Plain texts, secrets included: never log them.
    """
    properties = _connection(settings)
    for name in _NOT_THE_PRODUCERS:
        properties.pop(name, None)
    if message_max_bytes:
        largest = max(message_max_bytes, int(properties.get("message.max.bytes", 0)))
        properties["message.max.bytes"] = str(min(largest, _MOST_MESSAGE_BYTES))
    return properties


def tool_properties(settings: Settings) -> dict[str, str]:
    """Properties for confluent-kafka's clients that ask a question and end. Not shown: secrets are among them.

    librdkafka would write to stderr by itself, and each of these clients says what it meets in an error of its own.
    """
    properties = _connection(settings) | {"log_level": "0"}
    properties.pop("debug", None)
    return properties


def looking_properties(settings: Settings) -> dict[str, str]:
    """`tool_properties` for a consumer that reads a topic and takes nothing from the group.

    It may run in the sidecar's own container, and so with little memory: half a MiB is fetched ahead by partition.
    """
    properties = tool_properties(settings)
    limits = _fetch_limits(_LOOKING_BYTES, properties)
    return (
        properties
        | limits
        | {
            "group.id": settings.group_id,
            "enable.auto.commit": "false",
            "enable.auto.offset.store": "false",
            "auto.offset.reset": "earliest",  # what retention took meanwhile is not there to be seen
            "enable.partition.eof": "true",
            "isolation.level": "read_committed",
            "check.crcs": "true",
            "fetch.queue.backoff.ms": "10",
            "fetch.message.max.bytes": "65536",
            "queued.max.messages.kbytes": "512",
        }
    )


def _connection(settings: Settings) -> dict[str, str]:
    given = {name: value.get_secret_value() for name, value in settings.kafka.items()}
    # Both kinds of client have them: addresses, TLS, SASL, sockets, and little else.
    shared = {known.name for known in kafka_names.catalogue().values() if known.scope == "*"} if given else set()
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers or "",
        "client.id": "tidegate",
    } | {name: value for name, value in given.items() if name in shared}


def check(settings: Settings) -> None:
    """Whether librdkafka makes a consumer of the properties, without connecting to anything.

    Raises:
        KafkaClientError: properties that are each right do not go together, or a file that they name cannot be used.
    """
    properties = consumer_properties(settings, lanes=1)
    del properties["bootstrap.servers"]
    words = kafka_names.check_together(properties.items())
    if words is not None:
        raise KafkaClientError(words)


def _fetch_limits(prefetch_bytes: int, given: dict[str, str]) -> dict[str, str]:
    """Limits that librdkafka wants in order: message.max ≤ fetch.max ≤ receive.max − 512."""
    message_max = int(given.get("message.max.bytes", _MESSAGE_MAX_BYTES))
    # One response is in hand beyond the queues' limits: a quarter of the prefetch budget at most, where records allow.
    fetch_max = max(message_max, min(_FETCH_MAX_BYTES, prefetch_bytes // 4))
    fetch_max = int(given.get("fetch.max.bytes", fetch_max))
    limits = {"fetch.max.bytes": str(fetch_max)}
    if fetch_max + _RESPONSE_OVERHEAD_BYTES > _RECEIVE_MESSAGE_MAX_BYTES:
        limits["receive.message.max.bytes"] = str(fetch_max + _RESPONSE_OVERHEAD_BYTES)
    return limits
