"""What waits in the parking topic, counted without taking any of it, and dropped where the operator wants that.

A plain consumer that assigns itself the partitions and never joins: no member of the group is disturbed, and nothing is
committed. What waits are the records from the group's committed offset, or the log's beginning, to the log's end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tidegate.broker.admin import ASK_SECONDS, no_answer, transient, words
from tidegate.broker.diagnosis import diagnose
from tidegate.broker.looking import looking, patiently
from tidegate.broker.properties import tool_properties
from tidegate.core.parked import decode
from tidegate.errors import BrokerError
from tidegate.types import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer, KafkaException, Message

    from tidegate.config import Settings

SECONDS = 10.0  # without an answer or a record, and nobody is there
_BATCH = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """The records of one partition that wait: offsets from `start` to `end`, without it."""

    partition: int
    start: int
    end: int

    @property
    def records(self) -> int:
        return self.end - self.start


@dataclass(slots=True)
class Tally:
    """Some parked records. `bytes` are those of keys and envelopes, before compression; the times are the original
    timestamps in ms, None where no record has one."""

    records: int = 0
    bytes: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None

    def add(self, size: int, timestamp_ms: int) -> None:
        """One more record; a negative timestamp is none."""
        self.records += 1
        self.bytes += size
        if timestamp_ms >= 0:
            self.oldest_ms = timestamp_ms if self.oldest_ms is None else min(self.oldest_ms, timestamp_ms)
            self.newest_ms = timestamp_ms if self.newest_ms is None else max(self.newest_ms, timestamp_ms)


@dataclass(slots=True)
class Listing:
    """What waits.

    Attributes:
        ranges: by partition; they are exact, whatever of them was read.
        read: how many of the records were looked at.
        classes, topics: of the envelopes that were read, by class label and by the topic they came from.
        foreign: what else was read, by the reason why it is no envelope (`core.parked.decode`).
    """

    topic: str
    group: str
    ranges: tuple[Range, ...]
    read: int = 0
    complete: bool = True
    classes: dict[str, Tally] = field(default_factory=dict)
    topics: dict[str, Tally] = field(default_factory=dict)
    foreign: dict[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Records that wait, by their offsets."""
        return sum(one.records for one in self.ranges)

    def add(self, key: bytes | None, value: bytes | None) -> None:
        """One record of the topic."""
        self.read += 1
        status, record = decode(value or b"")
        if record is None:
            self.foreign[status] = self.foreign.get(status, 0) + 1
            return
        size = len(key or b"") + len(value or b"")
        # A name that somebody else wrote may hold what a terminal obeys, or no encoding has.
        origin = "".join(c if c.isprintable() else "?" for c in record.topic)
        for table, name in ((self.classes, CLASSES[record.klass].label), (self.topics, origin)):
            table.setdefault(name, Tally()).add(size, record.timestamp_ms)


def listing(settings: Settings, limit: int) -> Listing:
    """What waits, of which at most `limit` records are read, the oldest of each partition first. Blocks.

    Args:
        settings: with brokers, and parking not switched off.

    Raises:
        BrokerError: there is no such topic, it may not be read, or (`NoAnswerError`) no broker answers.
        KafkaClientError: librdkafka makes no client of the properties.
    """
    topic = settings.parking_topic_name
    assert topic is not None
    with looking(settings) as consumer:
        found = Listing(topic, settings.group_id, _ranges(settings, consumer, topic))
        left = {one.partition: one for one in found.ranges if one.records}
        _read(settings, consumer, found, left, limit)
        found.complete = not left
        return found


def drop(settings: Settings, ranges: tuple[Range, ...]) -> int:
    """Deletes what waits, up to the ends that were seen, and returns how many records that were. Blocks.

    Raises:
        BrokerError: a partition's were not deleted; the words say of how many records that is.
        KafkaClientError: librdkafka makes no client of the properties.
    """
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka.admin import AdminClient

    topic = settings.parking_topic_name
    assert topic is not None
    wanted = {one.partition: one for one in ranges if one.records}
    if not wanted:
        return 0
    admin = AdminClient(dict[str, str | int | float | bool](tool_properties(settings)))
    asked = [TopicPartition(topic, one.partition, one.end) for one in wanted.values()]
    gone, failed = 0, ""
    answers = admin.delete_records(asked, request_timeout=SECONDS, operation_timeout=SECONDS)
    for at, answer in answers.items():
        try:
            answer.result(2 * SECONDS)
            gone += wanted[at.partition].records
        except (KafkaException, TimeoutError) as error:
            failed = words(error) if isinstance(error, KafkaException) else "no answer"
    if failed:
        raise BrokerError(
            f"{gone} of {sum(one.records for one in wanted.values())} records were dropped from {topic}: {failed}",
            code="not-dropped",
            hint=f"This client has to be allowed to DELETE records of {topic}, and its cleanup.policy to be delete.",
        )
    return gone


def _ranges(settings: Settings, consumer: Consumer, topic: str) -> tuple[Range, ...]:
    from confluent_kafka import KafkaException, TopicPartition

    known = _patiently(settings, topic, lambda: consumer.list_topics(timeout=ASK_SECONDS)).topics.get(topic)
    if known is None:
        raise BrokerError(
            f"there is no topic {topic}, or this client is not allowed to see it",
            code="no-topic",
            hint="tidegate makes it when it starts; TIDEGATE_GROUP_ID or TIDEGATE_PARKING_TOPIC must be the same here.",
        )
    places = [TopicPartition(topic, number) for number in sorted(known.partitions)]
    committed = _patiently(settings, topic, lambda: consumer.committed(places, timeout=ASK_SECONDS))
    found = []
    for place in committed:
        if place.error is not None:
            raise _refused(KafkaException(place.error), topic)
        ask = partial(consumer.get_watermark_offsets, TopicPartition(topic, place.partition), timeout=ASK_SECONDS)
        low, end = _patiently(settings, topic, ask)
        # Beyond the end it is of a topic that was here before.
        start = max(low, place.offset) if 0 <= place.offset <= end else low
        found.append(Range(place.partition, start, end))
    return tuple(found)


def _read(settings: Settings, consumer: Consumer, found: Listing, left: dict[int, Range], limit: int) -> None:
    """Adds records to `found` until each of the ranges has reached its end, and is taken out of `left`, or `limit`."""
    from confluent_kafka import KafkaError, KafkaException, TopicPartition

    if not left or limit <= 0:
        return
    consumer.assign([TopicPartition(found.topic, one.partition, one.start) for one in left.values()])
    deadline = time.monotonic() + SECONDS
    while left and found.read < limit:
        messages: list[Message] = consumer.consume(min(_BATCH, limit - found.read), 0.5)
        if time.monotonic() > deadline:
            raise no_answer(settings.kafka_bootstrap_servers or "", SECONDS, diagnose(settings))
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                if not transient(error):
                    raise _refused(KafkaException(error), found.topic)
                continue
            deadline = time.monotonic() + SECONDS
            partition, offset = message.partition(), message.offset()
            one = left.get(partition) if partition is not None else None
            if one is None or offset is None:
                continue  # what came after the end
            if error is None and offset < one.end:
                found.add(message.key(), message.value())
            if offset >= one.end - (error is None):
                del left[one.partition]


def _patiently(settings: Settings, topic: str, ask: Callable[[], T]) -> T:
    from confluent_kafka import KafkaException

    try:
        return patiently(settings, SECONDS, ask)
    except KafkaException as error:
        raise _refused(error, topic) from None


def _refused(error: KafkaException, topic: str) -> BrokerError:
    return BrokerError(
        f"the parking topic {topic} cannot be read: {words(error)}",
        code="not-readable",
        hint=f"This client has to be allowed to DESCRIBE and READ {topic}, and to DESCRIBE the group.",
    )
