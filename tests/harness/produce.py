"""Fills topics: shop events that say who they are, every codec, transactions, gaps; the hostile ones are next door."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from harness import topics

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

_CATEGORIES = (
    "electronics.smartphone",
    "electronics.audio.headphone",
    "electronics.clocks",
    "appliances.kitchen.washer",
    "computers.notebook",
    "apparel.shoes.keds",
    "furniture.bedroom.bed",
    "construction.tools.light",
)
_BRANDS = ("samsung", "apple", "xiaomi", "huawei", "bosch", "sony", "lucente", "oppo", "cordiant", "acer", "artel")


@dataclass(frozen=True, slots=True)
class Event:
    """One record to produce. ``type`` repeats what the value says, for expectations; ``value`` None: a tombstone."""

    partition: int
    key: bytes | None
    value: bytes | None
    type: str = ""
    headers: list[tuple[str, str | bytes | None]] = field(default_factory=list)


def shop_events(
    count: int, partitions: int = 1, *, run: int | None = None, start: int = 0, users: int = 3_000_000, pad: int = 0
) -> Iterator[Event]:
    """``count`` retail events of about 266 bytes: 87 % view, 10 % cart, 3 % purchase; the key is the user.

    ``user_session`` carries the identity: run (8 hex digits), partition (4), a CRC of what stands before it (3 + 3,
    after the version digits) and the sequence number from ``start`` (12). Without ``run`` each call makes its own.
    ``users`` few means that keys repeat; ``pad`` adds a field of so many bytes.
    """
    run = random.getrandbits(32) if run is None else run
    dice = random.Random(run + start)
    padding = f',"note":"{"x" * pad}"' if pad else ""
    for sequence in range(start, start + count):
        chance = dice.random()
        kind = "purchase" if chance >= 0.97 else "cart" if chance >= 0.87 else "view"
        user = 512_000_000 + dice.randrange(users)
        partition = zlib.crc32(b"%d" % user) % partitions
        cents = 100 + dice.randrange(150_000)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        product, category = 1_000_000 + dice.randrange(9_000_000), 2053013552259662037 + dice.randrange(1 << 20)
        body = (
            f'{{"event_time":"{now}","event_type":"{kind}","product_id":{product},"category_id":{category},'
            f'"category_code":"{dice.choice(_CATEGORIES)}","brand":"{dice.choice(_BRANDS)}",'
            f'"price":{cents // 100}.{cents % 100:02d}{padding},"user_id":{user}'
        )
        crc = f"{zlib.crc32(body.encode()) & 0xFFFFFF:06x}"
        session = f"{run:08x}-{partition:04x}-4{crc[:3]}-8{crc[3:]}-{sequence:012x}"
        yield Event(partition, b"%d" % user, f'{body},"user_session":"{session}"}}'.encode(), kind)


def identity_of(value: bytes) -> tuple[int, int, int]:
    """(run, partition, sequence number) of a shop event, for people. Raises ValueError where the CRC is wrong."""
    body, _, session = value.partition(b',"user_session":"')
    run, partition, crc1, crc2, sequence = session.rstrip(b'"}').split(b"-")
    if int(crc1[1:] + crc2[1:], 16) != zlib.crc32(body) & 0xFFFFFF:
        raise ValueError("the event was changed on its way")
    return int(run, 16), int(partition, 16), int(sequence, 16)


class Writer:
    """A producer that fails loudly: ``close`` (or the ``with`` block's end) raises unless every record was stored.

    ``more`` are librdkafka properties with underscores for dots, such as ``transactional_id="t"``.
    """

    def __init__(self, servers: str, topic: str, codec: str = "none", **more: str | int) -> None:
        conf: dict[str, str | int | float | bool] = {"bootstrap.servers": servers, "compression.codec": codec}
        conf |= {"linger.ms": 5, "message.max.bytes": 16_000_000, "message.timeout.ms": 60_000, "log_level": 3}
        conf |= {name.replace("_", "."): value for name, value in more.items()}
        self.topic = topic
        self.producer = Producer(conf)
        self._errors: list[KafkaError] = []

    def send(self, events: Iterable[Event]) -> int:
        """Queues the events (waiting while the queue is full) and returns their number. Raises TimeoutError."""
        sent, deadline = 0, time.monotonic() + 120  # after 60 s without an answer a record leaves the queue
        for event in events:
            while True:
                try:
                    self.producer.produce(
                        self.topic,
                        event.value,
                        event.key,
                        event.partition,
                        on_delivery=self._delivered,
                        headers=event.headers,
                    )
                    break
                except BufferError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{self.topic}: the producer's queue stays full") from None
                    self.producer.poll(0.1)
            sent += 1
        return sent

    def flush(self) -> None:
        """Waits until everything is stored; raises RuntimeError where anything was not."""
        left = self.producer.flush(90)
        if left or self._errors:
            raise RuntimeError(f"{left} records not stored, {len(self._errors)} refused: {self._errors[:3]}")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.flush()

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._errors.append(error)


def send(servers: str, topic: str, events: Iterable[Event], codec: str = "none", **more: str | int) -> int:
    """Produces the events, waits until they are stored, and returns their number."""
    with Writer(servers, topic, codec, **more) as writer:
        return writer.send(events)


def transactions(servers: str, topic: str, parts: Sequence[tuple[Sequence[Event], bool]]) -> None:
    """One transaction after the other: (its events, whether it commits). An aborted one is flushed to the log first.

    Each leaves a control record in every partition that it wrote to. Not on the embedded broker.
    """
    writer = Writer(servers, topic, transactional_id=f"{topic}-{time.time_ns()}")
    writer.producer.init_transactions(30)
    for events, commits in parts:
        writer.producer.begin_transaction()
        writer.send(events)
        writer.flush()  # or the abort would throw away what was never sent
        if commits:
            writer.producer.commit_transaction(30)
        else:
            writer.producer.abort_transaction(30)
    partitions = topics.partitions_of(servers, [topic])
    deadline = time.monotonic() + 30
    # The broker answers before the last control record is in every partition.
    while topics.ends(servers, partitions) != topics.ends(servers, partitions, "read_uncommitted"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic}: a transaction stays open")
        time.sleep(0.05)


COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",  # the smallest that Kafka 4 takes
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "200",
    "delete.retention.ms": "0",
}


def compact(servers: str, topic: str, events: Sequence[Event], timeout: float = 60) -> None:
    """Produces the events to a topic with the configuration ``COMPACTED`` and waits until the log cleaner ran.

    The active segment is never cleaned, and only a record makes a new one: a keyed filler is produced now and then.
    Afterwards each partition's offsets have gaps, and nothing is produced or cleaned any more. Raises TimeoutError.
    """
    partitions = sorted({event.partition for event in events})
    send(servers, topic, events)
    before = {p: len(offsets(servers, topic, p)) for p in partitions}
    deadline = time.monotonic() + timeout
    fillers = shop_events(10_000, users=1)
    while True:
        time.sleep(0.5)  # longer than segment.ms
        left = {p: len(offsets(servers, topic, p)) for p in partitions}
        if all(left[p] < before[p] // 2 for p in partitions):
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic} still has {left} of {before} records")
        send(servers, topic, [Event(p, b"filler", next(fillers).value) for p in partitions])
    while True:  # quiet: a reader and a checker must see the same
        time.sleep(1)
        last, left = left, {p: len(offsets(servers, topic, p)) for p in partitions}
        if left == last:
            return


def offsets(servers: str, topic: str, partition: int) -> list[int]:
    """The offsets that are there to be read: gaps show what was compacted, aborted, or control."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "harness-offsets",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: list[int] = []
    deadline = time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.2):
                error = message.error()
                if error is None:
                    found.append(message.offset() or 0)
                elif error.code() == KafkaError._PARTITION_EOF:
                    return found
        raise TimeoutError(f"{topic}[{partition}] does not end")
    finally:
        consumer.close()
