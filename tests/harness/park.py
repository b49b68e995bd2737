"""Records parked as tidegate parks them: by its own producer, without a reader."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tidegate.core.ledger_face import LedgerFace
from tidegate.core.parking import Parked
from tidegate.core.producer_face import ProducerFace


def park(servers: str, topic: str, records: Iterable[tuple[bytes | None, Parked]]) -> None:
    """Parks pairs of key and record, and returns when Kafka has them. Of each source partition offsets have to rise.

    Raises AssertionError where Kafka does not take them all.
    """
    ledger = LedgerFace()
    lanes: dict[str, int] = {}
    slots: dict[tuple[str, int], int] = {}
    producer = ProducerFace({"bootstrap.servers": servers, "linger.ms": "1"}, topic, ledger)
    deadline = time.monotonic() + 30
    for key, record in records:
        if record.topic not in lanes:
            lanes[record.topic] = ledger.add_lane(record.topic)
        place = (record.topic, record.partition)
        if place not in slots:
            slots[place] = ledger.test_open(lanes[record.topic], record.partition, record.offset)
        while (result := producer.test_park(slots[place], record, key)) == "full":
            _drain(producer, deadline)
        assert result == "parked"
    while sum(ledger.parking()):
        _drain(producer, deadline)
    assert not producer.close(10)


def _drain(producer: ProducerFace, deadline: float) -> None:
    assert time.monotonic() < deadline, producer.stats()
    failures = producer.drain()
    assert not failures, failures
    time.sleep(0.005)
