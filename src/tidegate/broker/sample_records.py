"""Records of topics to look at, for `tidegate sample`: the latest or the oldest, taken from nobody.

Of each partition a window of offsets is read, at its end or its beginning. Where offsets have no record (compaction,
aborted transactions) that brings too few, and the next window is twice as large.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from tidegate import values
from tidegate.broker.admin import ASK_SECONDS, no_answer, transient, words
from tidegate.broker.looking import looking, patiently
from tidegate.broker.windows import Range, cut, spread
from tidegate.errors import BrokerError, ConfigError
from tidegate.samples import Sample

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaException, Message

    from tidegate.config import Settings

SECONDS = 10.0  # without an answer or a record, and nobody is there
_BATCH = 500
_LOOK_SECONDS = 0.05  # librdkafka waits so long for the batch to fill
_NAMED_MOST = 10  # topics that an error lists
# confluent-kafka makes texts of header names. Where one is not UTF-8 it leaves a hole in its list, and an error that
# Python notices (SystemError) in calls from C, as this is: after a plain `message.headers()` the hole may be met, and
# that is a crash.
_HEADERS = methodcaller("headers")
T = TypeVar("T")


class Record(NamedTuple):
    """A record and where it stands.

    Attributes:
        timestamp_ms: None where it has none.
        unreadable: it has headers that are left out, as a name of theirs is not UTF-8.
    """

    sample: Sample
    partition: int
    offset: int
    timestamp_ms: int | None
    unreadable: bool = False


@dataclass(slots=True)
class Taken:
    """What came of one topic.

    Attributes:
        records: how many were handed out.
        partitions: how many the topic has.
        unreadable: records whose headers were left out.
    """

    topic: str
    records: int
    partitions: int
    unreadable: int = 0


Emit = Callable[[Sequence[Record]], None]


def sample(
    settings: Settings, entries: Sequence[str], count: int, emit: Emit, *, oldest: bool = False, wait_seconds: float = 0
) -> list[Taken]:
    """Hands `emit` up to `count` records of each topic, committed ones, a topic's in the order of their times. Blocks.

    Args:
        settings: with brokers.
        entries: topics, or expressions that begin with ^; Kafka's own topics only by name.
        oldest: the oldest that are there, not the latest.
        wait_seconds: where there are fewer, for as long as this to hand out what is written meanwhile.

    Returns:
        By topic, what was handed out.

    Raises:
        ConfigError: there is no such topic, or this client may not see it.
        BrokerError: one may not be read, or (`NoAnswerError`) no broker answers.
        KafkaClientError: librdkafka makes no client of the properties.
    """
    with looking(settings) as consumer:
        reader = _Reader(settings, consumer)
        found = []
        ends: dict[tuple[str, int], int] = {}
        for topic, partitions in reader.topics(entries).items():
            ranges = reader.ranges(topic, partitions)
            records = reader.take(topic, ranges, count, oldest=oldest)
            emit(records)
            found.append(Taken(topic, len(records), len(partitions), sum(record.unreadable for record in records)))
            ends |= {(topic, number): one.end for number, one in ranges.items()}
        if wait_seconds > 0:
            for record in reader.wait(ends, {t.topic: count - t.records for t in found}, wait_seconds):
                emit([record])
                taken = next(one for one in found if one.topic == record.sample.topic)
                taken.records += 1
                taken.unreadable += record.unreadable
        return found


class _Reader:
    """Asks and reads through one consumer."""

    def __init__(self, settings: Settings, consumer: Consumer) -> None:
        self._settings = settings
        self._consumer = consumer

    def topics(self, entries: Sequence[str]) -> dict[str, list[int]]:
        """The partitions of every topic that an entry takes in, in the order of the entries."""
        # All of them, as naming one would make it where brokers make what is named.
        known = self._ask("the list of topics", lambda: self._consumer.list_topics(timeout=ASK_SECONDS)).topics
        found: dict[str, list[int]] = {}
        for entry in entries:
            own = (name for name in sorted(known) if not name.startswith("__"))
            names = [n for n in own if values.matches_topic(entry, n)] if entry.startswith("^") else [entry]
            if not names or any(name not in known for name in names):
                raise _unknown(self._settings, entry, known)
            found |= {name: sorted(known[name].partitions) for name in names}
        return found

    def ranges(self, topic: str, partitions: Sequence[int]) -> dict[int, Range]:
        """Where each partition's log begins, and where it ends for a reader of committed records: what is of an open
        transaction, or behind one, is not there yet."""
        from confluent_kafka import TopicPartition

        found = {}
        for number in partitions:
            place = TopicPartition(topic, number)
            ask = partial(self._consumer.get_watermark_offsets, place, timeout=ASK_SECONDS)
            found[number] = Range(*self._ask(topic, ask))
        return found

    def take(self, topic: str, rest: dict[int, Range], count: int, *, oldest: bool) -> list[Record]:
        """Up to `count` records, spread over the partitions."""
        found: dict[int, list[Record]] = {number: [] for number in rest}
        asked = count
        while missing := count - sum(map(len, found.values())):
            windows, rest = cut(rest, asked, oldest=oldest)
            if not windows:
                break
            for number, records in self._read(topic, windows, missing, oldest=oldest).items():
                found[number] = found[number] + records if oldest else records + found[number]
            # A larger window may bring too many.
            for number, size in spread(count, {number: len(records) for number, records in found.items()}).items():
                found[number] = found[number][:size] if oldest else found[number][len(found[number]) - size :]
            asked *= 2
        every = [record for records in found.values() for record in records]
        return sorted(every, key=lambda record: (record.timestamp_ms or 0, record.partition, record.offset))

    def wait(self, ends: dict[tuple[str, int], int], missing: dict[str, int], seconds: float) -> Iterator[Record]:
        """What is written behind `ends`, of each topic as many as are missing."""
        from confluent_kafka import TopicPartition

        deadline = time.monotonic() + seconds
        self._consumer.assign([TopicPartition(*place, end) for place, end in ends.items() if missing[place[0]] > 0])
        while any(left > 0 for left in missing.values()) and time.monotonic() < deadline:
            for message, at_end in self._consume(_LOOK_SECONDS):
                if not at_end and missing[message.topic() or ""] > 0:
                    missing[message.topic() or ""] -= 1
                    yield _record(message)

    def _read(self, topic: str, windows: dict[int, Range], most: int, *, oldest: bool) -> dict[int, list[Record]]:
        """The records in the windows, of each the first or last `most`."""
        from confluent_kafka import TopicPartition

        found: dict[int, deque[Record]] = {number: deque(maxlen=most) for number in windows}
        left = dict(windows)
        self._consumer.assign([TopicPartition(topic, number, one.start) for number, one in windows.items()])
        deadline = time.monotonic() + SECONDS
        while left:
            messages = self._consume(_LOOK_SECONDS)
            if messages:
                deadline = time.monotonic() + SECONDS
            elif time.monotonic() > deadline:
                raise no_answer(self._settings.kafka_bootstrap_servers or "", SECONDS)
            for message, at_end in messages:
                number, offset = message.partition(), message.offset()
                if number not in left or number is None or offset is None:
                    continue  # what came after the window
                records, end = found[number], left[number].end
                if not at_end and offset < end:
                    records.append(_record(message))
                if at_end or offset >= end - 1 or (oldest and len(records) == most):
                    del left[number]
                    self._consumer.incremental_unassign([TopicPartition(topic, number)])
        return {number: list(records) for number, records in found.items()}

    def _consume(self, seconds: float) -> list[tuple[Message, bool]]:
        """What comes within `seconds`: records, and (True) that a partition has no more; no transient errors."""
        from confluent_kafka import KafkaError, KafkaException

        told = []
        for message in self._consumer.consume(_BATCH, seconds):
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                told.append((message, error is not None))
            # Who may not know of the group may read for all that: nothing is asked of it.
            elif not transient(error) and error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise _refused(KafkaException(error), message.topic() or "a topic")
        return told

    def _ask(self, topic: str, ask: Callable[[], T]) -> T:
        from confluent_kafka import KafkaException

        try:
            return patiently(self._settings, SECONDS, ask)
        except KafkaException as error:
            raise _refused(error, topic) from None


def _record(message: Message) -> Record:
    kind, at = message.timestamp()
    key, value = message.key(), message.value()
    unreadable = False
    try:
        headers = cast("list[tuple[str, bytes | None]]", _HEADERS(message) or [])  # the stubs' str is for producers
    except SystemError:
        headers, unreadable = [], True
    event = Sample(message.topic() or "", key, headers, value)
    return Record(event, message.partition() or 0, message.offset() or 0, at if kind else None, unreadable)


def _unknown(settings: Settings, entry: str, known: Collection[str]) -> ConfigError:
    own = sorted(name for name in known if not name.startswith("__"))
    near = get_close_matches(entry, own, n=1)
    shown = ", ".join(own[:_NAMED_MOST]) + (", …" if own[_NAMED_MOST:] else "")
    return ConfigError(
        f"there is no topic {entry} at {settings.kafka_bootstrap_servers}, or this client is not allowed to see it",
        code="no-topic",
        hint=f"Did you mean {near[0]}?" if near else f"There are: {shown}." if own else "There are no topics at all.",
    )


def _refused(error: KafkaException, topic: str) -> BrokerError:
    return BrokerError(
        f"{topic} cannot be read: {words(error)}",
        code="not-readable",
        hint=f"This client has to be allowed to DESCRIBE and READ {topic}.",
    )
