"""The parking topic at the start: found or made, and fit to keep what is parked for as long as its sources would have.

A record that is parked is settled in its source: from then on this topic is the only place that has it. So compaction
and a retention below the sources' are refused. A topic that can neither be found nor made ends the process with the
command that makes it. A broker that does not answer is neither: tidegate starts without one and waits, so that is
told apart (`NoAnswerError`), to be asked again later; until then nothing can be parked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate import values
from tidegate.broker import acls
from tidegate.broker.admin import Cluster, words
from tidegate.broker.parking_words import OFF, command, for_how_long, refusal
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.broker.trouble import Trouble
    from tidegate.config import Settings

SECONDS = 5.0
MOST_PARTITIONS = 64
# The envelope is 56 bytes at most, the topic's name and eight bytes a header (csrc/tg_parked.h), where Kafka's own
# framing of a header has two. So this is for thousands of them.
ENVELOPE_ROOM_BYTES = 64 << 10
DEFAULT_MESSAGE_BYTES = 1_048_588  # Kafka's own, where nothing is known
UNLIMITED = -1
_LEAST_RETENTION_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class ParkingTopic:
    """What is known of it.

    Attributes:
        retention_seconds: None is unlimited, or not known.
        max_message_bytes: the largest record batch that it takes; where not known, Kafka's default.
        created: by this call.
        warnings: what the operator should know, a sentence each without its full stop.
    """

    name: str
    partitions: int
    retention_seconds: float | None
    max_message_bytes: int
    created: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A topic that is read: how many partitions it has, and its configuration, empty where it cannot be read."""

    partitions: int
    config: Mapping[str, str]

    @property
    def retention_ms(self) -> int | None:
        """-1: for ever, as where only compaction ever deletes; None: not known."""
        if not self.config:
            return None
        if "delete" not in self.config.get("cleanup.policy", "delete"):
            return UNLIMITED
        return int(self.config["retention.ms"]) if "retention.ms" in self.config else None

    @property
    def max_message_bytes(self) -> int:
        return int(self.config.get("max.message.bytes", DEFAULT_MESSAGE_BYTES))


@dataclass(frozen=True, slots=True)
class Plan:
    """How the topic is made. `partitions` -1: the brokers' default."""

    partitions: int
    config: Mapping[str, str]


def ensure(
    settings: Settings,
    *,
    seconds: float = SECONDS,
    unwanted: Callable[[], bool] = lambda: False,
    tell: Callable[[Trouble], None] | None = None,
) -> ParkingTopic | None:
    """Finds or makes the parking topic and checks it; None: parking is switched off. Blocks for little more than
    `seconds`, and only for the question under way once it is `unwanted`. For `tell` see `Cluster`.

    Topics that do not exist yet, and those that an expression does not match yet, are of no account.

    Raises:
        ConfigError: it cannot be made, or is not fit for parking; the operator has to act.
        NoAnswerError: no broker answers; the same call may succeed later.
        KafkaClientError: librdkafka makes no client of its properties.
    """
    from confluent_kafka import KafkaError

    name = settings.parking_topic_name
    if name is None:
        return None
    cluster = Cluster(settings, seconds, unwanted, tell)
    known = cluster.topics()
    if cluster.embedded:
        known |= {} if name in known else cluster.topics(name)
        return ParkingTopic(name, known.get(name, 1), None, DEFAULT_MESSAGE_BYTES)
    read = [
        topic
        for topic in known
        if topic != name and any(values.matches_topic(entry, topic) for entry in settings.topics)
    ]
    configs, silent = cluster.configs(read)
    sources = {topic: Source(known[topic], configs.get(topic, {})) for topic in read}
    missing = name not in known
    created = missing and _create(cluster, settings, name, planned(sources))
    if missing:
        known = _appear(cluster, name)
    own, own_silent = cluster.configs([name], (KafkaError.UNKNOWN_TOPIC_OR_PART,))  # not every broker knows it at once
    warnings = []
    if not own:
        must = "cleanup.policy must be delete, and the retention not shorter than the sources'"
        warnings.append(_unreadable(name, own_silent[name], must))
    if silent:
        topic, why = next(iter(silent.items()))
        warnings.append(_unreadable(topic, why, f"the retention of {name} must not be shorter", len(silent) - 1))
    config = own.get(name, {})
    warnings += judge(name, config, sources) if config else []
    retention_ms = int(config.get("retention.ms", UNLIMITED))
    return ParkingTopic(
        name,
        known[name],
        None if retention_ms < 0 else retention_ms / 1000,
        int(config.get("max.message.bytes", DEFAULT_MESSAGE_BYTES)),
        created,
        tuple(warnings),
    )


def planned(sources: Mapping[str, Source]) -> Plan:
    """How the topic has to be made for these sources."""
    widest = max((source.partitions for source in sources.values()), default=-1)
    retentions = [source.retention_ms for source in sources.values()]
    known = [retention for retention in retentions if retention is not None]
    retention_ms = UNLIMITED if UNLIMITED in known else max([_LEAST_RETENTION_MS, *known])
    largest = max((source.max_message_bytes for source in sources.values()), default=DEFAULT_MESSAGE_BYTES)
    return Plan(
        min(widest, MOST_PARTITIONS) or -1,
        {
            "cleanup.policy": "delete",
            "retention.ms": str(retention_ms),
            "max.message.bytes": str(min(largest + ENVELOPE_ROOM_BYTES, (1 << 31) - 1)),
        },
    )


def judge(name: str, config: Mapping[str, str], sources: Mapping[str, Source]) -> list[str]:
    """Warnings about a topic of this configuration. Raises ConfigError where it would lose what is parked."""
    if "compact" in config.get("cleanup.policy", ""):
        raise refusal(
            f"the parking topic {name} has cleanup.policy={config['cleanup.policy']}: of records with the same key all"
            " but the last would be lost",
            f"Set cleanup.policy=delete for {name}",
        )
    own_ms = int(config.get("retention.ms", UNLIMITED))
    for topic, source in sources.items():
        kept_ms = source.retention_ms
        if kept_ms is not None and own_ms != UNLIMITED and (kept_ms == UNLIMITED or kept_ms > own_ms):
            raise refusal(
                f"the parking topic {name} keeps records for {for_how_long(own_ms)} (retention.ms={own_ms}), its source"
                f" {topic} for {for_how_long(kept_ms)} ({kept_ms}): what is parked would be lost earlier",
                f"Set retention.ms={planned(sources).config['retention.ms']} for {name}",
            )
    warnings = []
    if int(config.get("retention.bytes", UNLIMITED)) != UNLIMITED:
        warnings.append(
            f"the parking topic {name} has retention.bytes={config['retention.bytes']}: beyond it what is parked is"
            " lost, however new; -1 lifts it"
        )
    largest = max((source.max_message_bytes for source in sources.values()), default=0)
    own_bytes = int(config.get("max.message.bytes", DEFAULT_MESSAGE_BYTES))
    if own_bytes < largest:
        warnings.append(
            f"the parking topic {name} has max.message.bytes={own_bytes}, its sources up to {largest}: records that do"
            f" not fit are delivered instead of parked; {largest + ENVELOPE_ROOM_BYTES} is enough"
        )
    return warnings


def _create(cluster: Cluster, settings: Settings, name: str, plan: Plan) -> bool:
    """Whether this call made it, and nobody before. Raises ConfigError where it is refused, or NoAnswerError."""
    from confluent_kafka import KafkaError, KafkaException

    few = KafkaError.INVALID_REPLICATION_FACTOR  # as well while a cluster starts, and its brokers come one by one
    try:
        return cluster.create(name, plan.partitions, plan.config, (few,))
    except KafkaException as error:
        raise uncreatable(cluster, settings, name, plan, error) from None


def uncreatable(cluster: Cluster, settings: Settings, name: str, plan: Plan, error: Exception) -> ConfigError:
    """What Kafka's refusal (a KafkaException) to create the topic means, with the commands that help."""
    from confluent_kafka import KafkaError

    code = error.args[0].code()
    replicas = cluster.brokers if code == KafkaError.INVALID_REPLICATION_FACTOR else None
    create = command(settings, name, plan.partitions, plan.config, replicas)
    if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
        return ConfigError(
            f"the parking topic {name} is not to be seen and cannot be created: {words(error)} for"
            f" {acls.principal(settings)}",
            code="parking-topic-denied",
            hint=f"An administrator allows it with:\n  {acls.command(settings, 'topic', [name], acls.PARKING)}\n"
            f"  or makes the topic, which needs the same rights but Create:\n  {create}\n  {OFF}.",
        )
    return ConfigError(
        f"the parking topic {name} is not to be seen and cannot be created: {words(error)}",
        code="parking-topic-missing",
        hint=f"Create it:\n  {create}\n  or allow this client to; {OFF}.",
    )


def _appear(cluster: Cluster, name: str) -> dict[str, int]:
    """Every topic, once the one that is there by now shows. Raises ConfigError where it never will."""
    while name not in (known := cluster.topics()):
        if cluster.forbids(name):
            raise refusal(
                f"the parking topic {name} exists, but this client is not allowed to see it",
                f"Allow it to DESCRIBE, READ and WRITE {name}",
            )
        cluster.pause()
    return known


def _unreadable(topic: str, why: str, must: str, more: int = 0) -> str:
    others = f" (nor of {more} other topics)" if more else ""
    return f"the configuration of {topic}{others} cannot be read: {why.rstrip('. ')}; unchecked: {must}"
