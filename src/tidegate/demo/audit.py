"""What became of every event, found out without asking tidegate.

The generator knows where the broker put each event, the shop which ones it worked off, Kafka what is committed, what
it still has and what was parked. An event that the shop has not seen is *held* if the next reader of the group will get
it, from where it was written or from the parking topic, and *lost* otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from tidegate.core.parked import decode
from tidegate.types import CLASSES

if TYPE_CHECKING:
    from tidegate.demo.generator import Generator
    from tidegate.types import EventClass

_TIMEOUT_SECONDS = 5.0
_BATCH = 1000

Place = tuple[str, int, int]  # topic, partition and offset where it was written


@dataclass(slots=True)
class ParkingLot:
    """The parking topic, read from its beginning to its end.

    Attributes:
        ever: where the records in it came from.
        waiting: the same, of those that the next reader of the group gets.
        forgotten: records that the broker no longer has, which would be missing in both.
    """

    ever: set[Place] = field(default_factory=set)
    waiting: set[Place] = field(default_factory=set)
    forgotten: int = 0


@dataclass(slots=True)
class Verdict:
    """By class: events held and lost, and when the oldest of either was sent (seconds since the epoch); those of the
    held that are parked and not yet read again, and all that were ever parked, seen by the shop or not."""

    held: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    parked: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    deferred: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    lost: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    oldest: list[float | None] = field(default_factory=lambda: [None] * len(CLASSES))

    def hold(self, klass: EventClass, sent: float, *, lost: bool = False) -> None:
        """Counts one event that the shop has not seen."""
        (self.lost if lost else self.held)[klass] += 1
        oldest = self.oldest[klass]
        self.oldest[klass] = sent if oldest is None else min(oldest, sent)


def audit(
    generator: Generator,
    seen: bytes | None,
    still_there: Mapping[tuple[str, int], range],
    parking: ParkingLot | None = None,
) -> Verdict:
    """Judges each event that the broker acknowledged.

    Args:
        generator: its books, after ``join``.
        seen: by event number, 1 where the shop worked the event off; None: nobody knows (the app is not ours), and
            only those that Kafka has are told, as held.
        still_there: by topic and partition, the offsets that the next reader of the group gets.
        parking: what was parked of those topics; None: nothing.
    """
    verdict, parking = Verdict(), parking or ParkingLot()
    nothing = range(0)
    for number, offset in enumerate(generator.offsets):
        klass, partition = CLASSES[generator.classes[number]], generator.partitions[number]
        topic = generator.topics[klass]
        place = topic, partition, offset
        verdict.deferred[klass] += place in parking.ever
        if offset < 0 or (seen is not None and number < len(seen) and seen[number]):
            continue
        parked = place in parking.waiting
        held = parked or offset in still_there.get((topic, partition), nothing)
        if not held and seen is None:
            continue
        verdict.hold(klass, generator.sent[number], lost=not held)
        verdict.parked[klass] += parked
    return verdict


def waiting(generator: Generator, seen: bytes) -> Verdict:
    """What a shop has not worked off of all that the broker acknowledged, as ``held``, wherever it may be."""
    verdict = Verdict()
    for number, offset in enumerate(generator.offsets):
        if offset >= 0 and not (number < len(seen) and seen[number]):
            verdict.hold(CLASSES[generator.classes[number]], generator.sent[number])
    return verdict


def still_there(bootstrap_servers: str, group: str, topics: Mapping[str, int]) -> dict[tuple[str, int], range]:
    """By topic and partition, the offsets from the group's committed one (from the beginning where there is none) that
    Kafka still has. The embedded broker forgets silently what is beyond its capacity: hence its low watermark as well.

    Args:
        topics: how many partitions each has.

    Raises:
        confluent_kafka.KafkaException: the broker does not answer.
    """
    consumer = _consumer(bootstrap_servers, group)
    try:
        return {
            (topic, partition): range(max(committed, low), high)
            for topic, partitions in topics.items()
            for partition, (committed, low, high) in _bounds(consumer, topic, partitions).items()
        }
    finally:
        consumer.close()


def parking_lot(
    bootstrap_servers: str, group: str, topic: str, partitions: int, sources: Collection[str]
) -> ParkingLot:
    """What the parking topic has of the sources. What is in it and no parked record counts for nothing.

    Raises:
        confluent_kafka.KafkaException: the broker does not answer.
    """
    found = ParkingLot()
    consumer = _consumer(bootstrap_servers, group)
    try:
        bounds = _bounds(consumer, topic, partitions)
        found.forgotten = sum(low for _, low, _ in bounds.values())
        left = {partition for partition, (_, low, high) in bounds.items() if high > low}
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in left])
        while left:
            messages = consumer.consume(_BATCH, _TIMEOUT_SECONDS)
            if not messages:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            for message in messages:
                partition, offset = message.partition(), message.offset()
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                assert partition is not None
                assert offset is not None
                committed, _, high = bounds[partition]
                _, record = decode(message.value() or b"")
                if record is not None and record.topic in sources:
                    place = record.topic, record.partition, record.offset
                    found.ever.add(place)
                    if offset >= committed:
                        found.waiting.add(place)
                if offset >= high - 1:
                    left.discard(partition)
        return found
    finally:
        consumer.close()


def _consumer(bootstrap_servers: str, group: str) -> Consumer:
    """One that never joins the group."""
    return Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": group, "enable.auto.commit": False, "log_level": 0}
    )


def _bounds(consumer: Consumer, topic: str, partitions: int) -> dict[int, tuple[int, int, int]]:
    """By partition: the group's committed offset (0: none), and where the log begins and ends."""
    wanted = [TopicPartition(topic, partition) for partition in range(partitions)]
    found = {}
    for place in consumer.committed(wanted, timeout=_TIMEOUT_SECONDS):
        watermarks = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), _TIMEOUT_SECONDS)
        low, high = watermarks or (0, 0)
        found[place.partition] = (max(place.offset, 0), low, high)
    return found
