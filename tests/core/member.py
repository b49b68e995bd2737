"""A group member for tests: reader, rings, ledger and dispatcher, with the test as its event loop and its sink."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Producer as PlainProducer

from tidegate.core.batch import Batch
from tidegate.core.dispatcher import Dispatcher
from tidegate.core.gate import Gate
from tidegate.core.ledger import Ledger
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.parking import ParkingFailure
from tidegate.core.producer import Producer
from tidegate.core.reader import Reader
from tidegate.core.ring import Rings
from tidegate.core.rules import RuleTable

Id = tuple[str, int, int]  # topic, partition, offset

RULES = RuleTable(
    [(0, "topic:critical*"), (3, "topic:bulk*"), (0, "purchase"), (2, "view"), (3, "scroll")],
    ["header:type", "json:/type"],
)


def properties(servers: str, group: str = "g", **more: str | int) -> dict[str, str]:
    """As broker/properties.py, but quick: short sessions, frequent commits. ``more`` has underscores for dots."""
    made = {
        "bootstrap.servers": servers,
        "group.id": group,
        "enable.auto.offset.store": "false",
        "enable.auto.commit": "true",
        "auto.commit.interval.ms": "100",
        "auto.offset.reset": "error",
        "enable.partition.eof": "true",
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": "2000",
        "heartbeat.interval.ms": "200",
        "fetch.queue.backoff.ms": "10",
        "log.queue": "true",
        "log_level": "4",
    }
    made |= {name.replace("_", ".") if name != "log_level" else name: str(value) for name, value in more.items()}
    return {name: value for name, value in made.items() if value != ""}


class Member:
    """Starts with the ``with`` block and leaves the group at its end."""

    def __init__(
        self,
        subscriptions: Sequence[tuple[dict[str, str], Sequence[str]]],
        *,
        format: str = "ndjson",  # noqa: A002 - the dispatcher's name for it
        start: str = "earliest",
        rings: int = 16 << 20,
        span: int = 1 << 17,
        max_records: int = 500,
        find_ends: bool = False,
        rules: RuleTable = RULES,
        gate: Gate | None = None,
        parking: Callable[[Ledger], Producer] | None = None,
        **more: Any,
    ) -> None:
        self.ledger = LedgerFace(span)
        self.rings = Rings(rings)
        self.dispatcher = Dispatcher(self.rings, self.ledger, format, max_records, 1 << 20, 0.0)
        self.producer = parking(self.ledger) if parking is not None else None
        self.failures: list[ParkingFailure] = []
        self.reader = Reader(
            list(subscriptions), rules, self.rings, self.ledger, format=format, start=start, find_ends=find_ends,
            gate=gate, producer=self.producer, **more,
        )  # fmt: skip
        self.reader.watch(self.dispatcher)
        self.delivered: list[Id] = []
        self.bodies: list[bytes] = []
        self.seen: list[tuple[str, int, int, str]] = []  # notes

    def __enter__(self) -> Self:
        self.reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, seconds: float = 12) -> None:
        """Gives up what is in the rings and leaves."""
        self.reader.stand()
        self.dispatcher.discard_buffered()
        self.reader.close()
        if self.producer is not None:
            self.failures += self.producer.close(0)
        left = self.reader.join(seconds)
        self.notes()
        assert left, f"the reader did not end: {self.seen}"

    def notes(self) -> list[tuple[str, int, int, str]]:
        self.seen += self.reader.notes()
        return self.seen

    def kinds(self) -> list[str]:
        return [note[0] for note in self.notes()]

    def take(self) -> Batch | None:
        return self.dispatcher.take()

    def settle(self, batch: Batch) -> None:
        self.delivered += batch.ids()
        self.bodies.append(batch.body)
        self.dispatcher.settle(batch)

    def settle_parked(self) -> None:
        """What Kafka says of records that were given to the producer."""
        if self.producer is not None:
            self.failures += self.producer.drain()

    def deliver(self) -> int:
        """Settles everything that is due now; the records."""
        records = 0
        self.settle_parked()
        while (batch := self.take()) is not None:
            records += batch.records
            self.settle(batch)
        return records

    def deliver_until(self, done: Callable[[], object], seconds: float = 20) -> None:
        self.wait_until(done, seconds, idle=self.deliver)

    def deliver_count(self, count: int, seconds: float = 20) -> None:
        """Delivers until so many records are settled, and makes sure that there are no more."""
        self.deliver_until(lambda: len(self.delivered) >= count, seconds)
        self.deliver()
        assert len(self.delivered) == count

    def wait_until(
        self, done: Callable[[], object], seconds: float = 20, idle: Callable[[], object] | None = None
    ) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if idle is not None:
                idle()
            assert time.monotonic() < deadline, f"after {seconds} s: {self.state()}"
            time.sleep(0.002)

    def wait_assigned(self, count: int, seconds: float = 20) -> None:
        self.wait_until(lambda: len(self.ledger.partitions()) == count, seconds, idle=self.deliver)

    def holds(self) -> dict[str, str]:
        """Why each topic's lane is held."""
        return {row[0]: row[1] for row in self.reader.lanes()}

    def buffered(self) -> int:
        return sum(records for records, _, _ in self.dispatcher.states().values())

    def owned(self) -> set[tuple[str, int]]:
        return {(row[0], row[1]) for row in self.ledger.partitions()}

    def committed_all(self) -> bool:
        """Every frontier has been given to librdkafka."""
        return all(row[3] == row[5] for row in self.ledger.partitions() if row[3] >= 0)

    def conserved(self) -> bool:
        """polled = Σ terminal + Σ states; exact once the reader stands."""
        ended = sum(n for row in self.ledger.totals().values() for name, n in row.items() if name != "polled")
        polled = sum(row["polled"] for row in self.ledger.totals().values())
        states = sum(records + flying for records, _, flying in self.dispatcher.states().values())
        return polled == ended + states + sum(self.ledger.parking())

    def state(self) -> dict[str, object]:
        return {
            "delivered": len(self.delivered),
            "states": self.dispatcher.states(),
            "partitions": self.ledger.partitions(),
            "lanes": self.reader.lanes(),
            "notes": self.notes()[-10:],
        }


def produce(servers: str, topic: str, values: Sequence[bytes | None], partition: int | None = None) -> None:
    """Stores the values, in turn over three partitions where none is given."""
    producer = PlainProducer({"bootstrap.servers": servers, "linger.ms": 2, "message.max.bytes": 16_000_000})
    errors: list[object] = []
    for value, turn in zip(values, itertools.cycle(range(3)), strict=False):
        where = turn if partition is None else partition
        while True:
            try:
                producer.produce(
                    topic, value, partition=where, on_delivery=lambda e, _: errors.append(e) if e else None
                )
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(30) == 0
    assert not errors


def committed(servers: str, group: str, topic: str, partitions: int) -> dict[int, int]:
    """The group's offsets as the broker has them; -1001: none."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    try:
        found = consumer.committed([TopicPartition(topic, p) for p in range(partitions)], timeout=10)
        return {one.partition: one.offset for one in found}
    finally:
        consumer.close()


def numbers(count: int, start: int = 0) -> list[bytes]:
    return [b'{"type":"view","n":%d}' % n for n in range(start, start + count)]
