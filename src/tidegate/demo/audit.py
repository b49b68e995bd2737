"""What became of every event, found out without asking tidegate.

The generator knows where the broker put each event, the shop which ones it worked off, Kafka what is committed and
what it still has. An event that the shop has not seen is *held* if the next reader of the group will get it, and
*lost* otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

from tidegate.types import CLASSES

if TYPE_CHECKING:
    from tidegate.demo.generator import Generator

_TIMEOUT_SECONDS = 5.0


@dataclass(slots=True)
class Verdict:
    """By class: events held and lost, and when the oldest of either was sent (seconds since the epoch)."""

    held: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    lost: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    oldest: list[float | None] = field(default_factory=lambda: [None] * len(CLASSES))


def audit(generator: Generator, seen: bytes, still_there: dict[int, range]) -> Verdict:
    """Judges each event that the broker acknowledged.

    Args:
        generator: its books, after ``join``.
        seen: by event number, 1 where the shop worked the event off.
        still_there: by partition, the offsets that the next reader of the group gets.
    """
    verdict = Verdict()
    nothing = range(0)
    for number, offset in enumerate(generator.offsets):
        if offset < 0 or (number < len(seen) and seen[number]):
            continue
        klass = generator.classes[number]
        side = verdict.held if offset in still_there.get(generator.partitions[number], nothing) else verdict.lost
        side[klass] += 1
        sent, oldest = generator.sent[number], verdict.oldest[klass]
        verdict.oldest[klass] = sent if oldest is None else min(oldest, sent)
    return verdict


def still_there(bootstrap_servers: str, group: str, topic: str, partitions: int) -> dict[int, range]:
    """By partition, the offsets from the group's committed one (from the beginning where there is none) that Kafka
    still has. The embedded broker forgets silently what is beyond its capacity: hence its low watermark as well.

    Raises:
        confluent_kafka.KafkaException: the broker does not answer.
    """
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": group, "enable.auto.commit": False, "log_level": 0}
    )
    try:
        wanted = [TopicPartition(topic, partition) for partition in range(partitions)]
        found = {}
        for place in consumer.committed(wanted, timeout=_TIMEOUT_SECONDS):
            watermarks = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), _TIMEOUT_SECONDS)
            low, high = watermarks or (0, 0)
            found[place.partition] = range(max(place.offset, low, 0), high)
        return found
    finally:
        consumer.close()
