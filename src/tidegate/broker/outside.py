"""What `tidegate validate --connect` asks of Kafka: addresses, sign-in, topics, group, parking topic. Changes nothing.

Nothing is joined, read, committed or made. Rights are what the brokers say that this client has (KIP-430); the parking
topic, where it is missing, is asked for with `validate_only`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tidegate import values
from tidegate.broker import acls
from tidegate.broker.absent import absent, missing_topic
from tidegate.broker.admin import Cluster, NoAnswerError, words
from tidegate.broker.diagnosis import GROUP_DENIED, TOPIC_DENIED
from tidegate.broker.diagnosis import judge as judge_listener
from tidegate.broker.listener import Listener, Reached, look, split_servers
from tidegate.broker.parking import Source, judge, planned, uncreatable
from tidegate.broker.trouble import Trouble, group_denied, topic_denied
from tidegate.errors import ConfigError, TidegateError

if TYPE_CHECKING:
    from tidegate.config import Settings

SECONDS = 5.0  # for all that Kafka is asked
_MOST_SHOWN = 20  # topics that get a line, of an expression


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``todo``: sentences, and commands on lines of their own; only where not all is well."""

    what: Literal["broker", "kafka", "topic", "group", "parking", "app"]
    state: Literal["ok", "warning", "failed"]
    text: str
    todo: str = ""


def ask_kafka(settings: Settings) -> Iterator[Finding]:
    """Each finding as soon as there is one. Blocks for as long as a broker lets it wait, some seconds in all.

    Raises:
        KafkaClientError: librdkafka makes no client of the properties.
    """
    from confluent_kafka import KafkaException

    there = [look(*server) for server in split_servers(settings.kafka_bootstrap_servers or "")]
    troubles = [judge_listener(settings, one) for one in there]
    # Before it knows who asks, a listener may say nothing and be well all the same.
    hope = [one for one, trouble in zip(there, troubles, strict=True) if not trouble or one.reached is Reached.SILENT]
    cluster = Cluster(settings, SECONDS)
    known: dict[str, int] | None = None
    why: Finding | None = None
    if hope or not there:
        try:
            known = cluster.topics()
        except NoAnswerError as error:
            why = Finding("kafka", "failed", error.message, _unfolded(error))
        except KafkaException as error:
            why = Finding("kafka", "failed", f"Kafka refuses: {words(error)}")
    for one, trouble in zip(there, troubles, strict=True):
        yield _address(one, trouble, answered=known is not None)
    if known is None:
        if why is not None and (None in troubles or not troubles):  # else the addresses say it better
            yield why
        return
    count = f"{cluster.brokers} broker{'s' if cluster.brokers != 1 else ''}"
    yield Finding("kafka", "ok", f"signed in as {acls.principal(settings)}; {count}")
    cluster.afresh()
    yield from _topics(settings, cluster, known)
    if not cluster.embedded:
        yield _group(settings, cluster)
        yield from _parking(settings, cluster, known)


def _address(there: Listener, trouble: Trouble | None, *, answered: bool) -> Finding:
    """Where the client has had its answer, an address that gives none is only to be known; and one that is
    silent before a sign-in may well be the one that gave it."""
    if trouble is None:
        return Finding("broker", "ok", f"{there.address} speaks {there.protocol}")
    if answered and there.reached is Reached.SILENT:
        return Finding("broker", "ok", f"{there.address} takes connections")
    return Finding("broker", "warning" if answered else "failed", trouble.what, trouble.todo)


def _unfolded(error: TidegateError) -> str:
    return (error.hint or "").replace("\n  ", "\n")


def _topics(settings: Settings, cluster: Cluster, known: Mapping[str, int]) -> Iterator[Finding]:
    missing = absent(settings.topics, known)
    read = [topic for topic in sorted(known) if any(values.matches_topic(entry, topic) for entry in settings.topics)]
    rights = {} if cluster.embedded else cluster.topic_rights([*read, *(t for t in missing if not t.startswith("^"))])
    for topic in sorted(missing):
        denied = rights.get(topic) == TOPIC_DENIED
        trouble = topic_denied(settings, topic) if denied else missing_topic(topic, known)
        yield Finding("topic", "failed", trouble.what, trouble.todo)
    for topic in read[:_MOST_SHOWN]:
        allowed = rights.get(topic)
        count = f"{topic}, {known[topic]} partition{'s' if known[topic] != 1 else ''}"
        if allowed is None:
            yield Finding("topic", "ok", count)
        elif isinstance(allowed, int) or "READ" not in allowed:
            trouble = topic_denied(settings, topic)
            yield Finding("topic", "failed", trouble.what, trouble.todo)
        else:
            yield Finding("topic", "ok", f"{count}, may be read")
    if len(read) > _MOST_SHOWN:
        yield Finding("topic", "ok", f"and {len(read) - _MOST_SHOWN} more")


def _group(settings: Settings, cluster: Cluster) -> Finding:
    allowed = cluster.group_rights(settings.group_id)
    if allowed == GROUP_DENIED or (isinstance(allowed, frozenset) and "READ" not in allowed):
        trouble = group_denied(settings)
        return Finding("group", "failed", trouble.what, trouble.todo)
    if isinstance(allowed, frozenset):
        return Finding("group", "ok", f"{settings.group_id} may be joined")
    return Finding("group", "warning", f"{settings.group_id}: the brokers do not say whether it may be joined")


def _parking(settings: Settings, cluster: Cluster, known: Mapping[str, int]) -> Iterator[Finding]:
    from confluent_kafka import KafkaException

    name = settings.parking_topic_name
    if name is None or not any(policy.defer for policy in settings.policies):
        yield Finding("parking", "ok", "switched off")
        return
    read = [t for t in known if t != name and any(values.matches_topic(entry, t) for entry in settings.topics)]
    try:
        configs, _ = cluster.configs([*read, *([name] if name in known else [])])
        sources = {topic: Source(known[topic], configs.get(topic, {})) for topic in read}
        if name not in known:
            plan = planned(sources)
            try:
                cluster.create(name, plan.partitions, plan.config, (), only_ask=True)
            except KafkaException as error:
                raise uncreatable(cluster, settings, name, plan, error) from None
            yield Finding("parking", "ok", f"{name} may be made")
            return
        warnings = judge(name, configs[name], sources) if name in configs else []
    except (ConfigError, NoAnswerError) as error:
        yield Finding("parking", "failed", error.message, _unfolded(error))
        return
    allowed = cluster.topic_rights([name]).get(name)
    lacking = {"READ", "WRITE"} - allowed if isinstance(allowed, frozenset) else set()
    if lacking:
        text = f"{acls.principal(settings)} may not {' and '.join(sorted(lacking)).lower()} {name}"
        todo = f"An administrator allows it with:\n{acls.command(settings, 'topic', [name], acls.PARKING)}"
        yield Finding("parking", "failed", text, todo)
    elif warnings:
        yield from (Finding("parking", "warning", warning) for warning in warnings)
    else:
        yield Finding("parking", "ok", f"{name} is there and fit")
