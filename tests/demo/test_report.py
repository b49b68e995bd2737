"""The end as it is shown, and as JSON; and the audit that it stands on."""

from __future__ import annotations

import io
import json
from array import array
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.demo.audit import ParkingLot, audit, parking_lot, still_there
from tidegate.demo.generator import Generator, Plan
from tidegate.demo.report import Row, as_json, duration, explanation, faults, print_table
from tidegate.types import CLASSES, EventClass

PLAN = Plan(30, 300, 10)
COUNTERS = ("polled", "delivered", "deferred", "sampled", "expired", "dead_lettered", "discarded")


def rows(held: int = 0, lost: int = 0, bulk_ms: float = 9_000.0) -> list[Row]:
    return [
        Row(klass, 1_234_567, 1_234_567 - held - lost, held, lost, bulk_ms if klass == 3 else 20.0, bulk_ms, 125_000.0)
        if klass == EventClass.BULK
        else Row(klass, 9, 9, 0, 0, 20.0, 40.0, 50.0)
        for klass in CLASSES
    ]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "-"),
        (0.2, "0 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (1250, "1.2 s"),
        (99_940, "99.9 s"),
        (99_960, "1m 40s"),
        (125_000, "2m 05s"),
        (3_599_900, "60m 00s"),
    ],
)
def test_durations_read_well(milliseconds: float | None, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize("width", [80, 40])
def test_the_table_fits_eighty_columns_and_is_whole_on_fewer(width: int) -> None:
    out = io.StringIO()
    print_table(Console(file=out, width=width), rows(held=1234))
    text = out.getvalue()
    assert "…" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    for word in ("critical", "bulk", "1,234,567", "1,233,333", "1,234", "2m 05s", "max age"):
        assert word in text


def test_the_sentences_say_what_happened_and_not_more() -> None:
    def said(rows: list[Row], plan: Plan, elapsed: float = 40.0) -> str:
        return " ".join(explanation(rows, plan, 800.0, elapsed))

    good = said(rows(), PLAN)
    assert "within 40 ms" in good
    assert "nothing was lost" in good
    assert "still in Kafka" in said(rows(held=5), PLAN)
    assert "lost" not in said(rows(lost=1), PLAN).lower()
    assert "nobody had to wait" in said(rows(), Plan(30, 300, 2))
    early = said(rows(), PLAN, elapsed=2.0)
    assert "before the surge" in early
    assert "went first" not in early
    assert "For 1.0 s" in said(rows(), PLAN, elapsed=6.0)
    assert "went first" not in said(rows(bulk_ms=45.0), PLAN)
    assert "set aside" not in good


def test_the_sentences_say_what_was_parked() -> None:
    def said(*parked: tuple[EventClass, int, int]) -> str:
        some = rows(held=sum(left for _, _, left in parked))
        for klass, deferred, left in parked:
            some[klass] = replace(some[klass], deferred=deferred, parked=left)
        return " ".join(explanation(some, PLAN, 800.0, 40.0))

    back = said((EventClass.BULK, 4321, 0))
    assert "Meanwhile 4,321 page views were set aside" in back
    assert "all of them were delivered" in back
    left = said((EventClass.NORMAL, 77, 0), (EventClass.BULK, 4321, 5))
    assert "4,321 page views and 77 products were set aside" in left
    assert "; 5 of them are still there" in left
    assert "; all of them are still there" in said((EventClass.HIGH, 7, 7))
    assert "the 5 events that the shop has not seen are still in Kafka, 5 of them parked" in left


def test_faults_are_named() -> None:
    good = rows(held=5)
    assert faults(good) == []
    assert "7 bulk events were LOST" in faults(rows(held=5, lost=7))[0]
    short = [good[0], Row(EventClass.HIGH, 9, 7, 1, 0, 20.0, 40.0, 50.0), *good[2:]]
    assert "high events do not add up: 9 offered, 7 delivered, 1 held" in faults(short)[0]
    assert len(faults(good, misjudged=1, unreadable=1)) == 2
    assert "3 critical events were parked" in faults([replace(good[0], deferred=3), *good[1:]])[0]
    assert "forgotten 4 parked records" in faults(good, forgotten=4)[0]


def test_json_is_the_summary_with_the_outside_counts() -> None:
    counters = dict.fromkeys(COUNTERS, 7)
    summary = {"records": 28, "seconds": 1.5, "cpu_seconds": 0.5, "peak_rss_bytes": 1}
    text = as_json(summary | {"classes": {k.label: counters for k in CLASSES}}, rows(held=5))
    assert "\n" not in text
    result = json.loads(text)
    assert {name: result[name] for name in summary} == summary
    assert list(result["classes"]) == [klass.label for klass in CLASSES]
    for row in result["classes"].values():
        assert set(row) == {*COUNTERS, "offered", "held", "p50_ms", "p99_ms"}
        assert row["offered"] == row["delivered"] + row["held"]
    assert result["classes"]["critical"]["polled"] == 7
    assert result["classes"]["critical"]["delivered"] == 9


def books(*events: tuple[EventClass, int, int, float]) -> Generator:
    classes, partitions, offsets, sent = zip(*events, strict=True)
    return cast(
        Generator,
        SimpleNamespace(
            classes=array("b", classes),
            partitions=array("i", partitions),
            offsets=array("q", offsets),
            sent=array("d", sent),
        ),
    )


def test_the_audit_tells_held_from_lost() -> None:
    generator = books(
        (EventClass.BULK, 0, 5, 1.0),  # seen, and committed
        (EventClass.BULK, 0, 9, 2.0),  # held
        (EventClass.BULK, 0, 10, 3.0),  # held
        (EventClass.HIGH, 0, 8, 4.0),  # below what is committed, and never seen: lost
        (EventClass.HIGH, 1, 3, 5.0),  # forgotten by the broker: lost
        (EventClass.CRITICAL, 2, 0, 6.0),  # in a partition that nobody knows: lost
        (EventClass.NORMAL, -1, -1, 7.0),  # never acknowledged: not offered
        (EventClass.NORMAL, 1, 4, 8.0),  # seen, not committed: delivered, perhaps again
    )
    verdict = audit(generator, bytes([1, 0, 0, 0, 0, 0, 0, 1]), {0: range(9, 11), 1: range(4, 6)})
    assert verdict.held == [0, 0, 0, 2]
    assert verdict.lost == [1, 2, 0, 0]
    assert verdict.oldest == [6.0, 4.0, None, 2.0]


def test_the_audit_knows_what_is_parked() -> None:
    generator = books(
        (EventClass.BULK, 0, 5, 1.0),  # parked, came back, seen
        (EventClass.BULK, 0, 6, 2.0),  # parked, and waits there: held, though its own topic is committed beyond it
        (EventClass.BULK, 0, 7, 3.0),  # parked, committed there, never seen: lost
        (EventClass.BULK, 0, 8, 4.0),  # never parked, committed, never seen: lost
        (EventClass.BULK, 0, 9, 5.0),  # parked and not yet committed in its own topic either: held once
        (EventClass.BULK, 0, 10, 6.0),  # waits there, but was delivered: a duplicate to come, nothing held
        (EventClass.NORMAL, 1, 6, 7.0),  # the same offset of another partition is another event
    )
    lot = ParkingLot(ever={(0, n) for n in (5, 6, 7, 9, 10)}, waiting={(0, n) for n in (6, 9, 10)})
    verdict = audit(generator, bytes([1, 0, 0, 0, 0, 1, 0]), {0: range(9, 11), 1: range(6, 7)}, lot)
    assert verdict.held == [0, 0, 1, 2]
    assert verdict.lost == [0, 0, 0, 2]
    assert verdict.parked == [0, 0, 0, 2]
    assert verdict.deferred == [0, 0, 0, 5]


def test_what_the_shop_does_not_answer_for_was_not_seen() -> None:
    verdict = audit(books((EventClass.BULK, 0, 0, 1.0), (EventClass.BULK, 0, 1, 2.0)), b"\1", {0: range(2)})
    assert (sum(verdict.held), sum(verdict.lost)) == (1, 0)


def test_still_there_is_what_the_group_has_not_committed() -> None:
    from confluent_kafka import Consumer, Producer, TopicPartition

    from tidegate.broker.embedded import EmbeddedBroker

    with EmbeddedBroker({"t": 2}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
        for number in range(10):
            producer.produce("t", b"x", partition=number % 2)
        assert producer.flush(10) == 0
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "log_level": 0})
        consumer.commit(offsets=[TopicPartition("t", 1, 3)], asynchronous=False)
        consumer.close()
        assert still_there(broker.bootstrap_servers, "g", "t", 2) == {0: range(5), 1: range(3, 5)}


def test_the_parking_lot_is_read_whole_and_split_at_what_is_committed() -> None:
    from confluent_kafka import Consumer, Producer, TopicPartition

    from tidegate.broker.embedded import EmbeddedBroker

    def parked(topic: str, offset: int) -> bytes:
        return encode(Parked(topic, 3, offset, 1, 1, EventClass.BULK, None, None, (), b"{}"))

    with EmbeddedBroker({"p": 3}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
        for offset in range(10):
            producer.produce("p", parked("t", offset), partition=offset % 2)
        producer.produce("p", parked("other", 77), partition=0)
        producer.produce("p", b"no envelope", partition=1)
        assert producer.flush(10) == 0
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "log_level": 0})
        consumer.commit(offsets=[TopicPartition("p", 1, 3)], asynchronous=False)
        consumer.close()
        lot = parking_lot(broker.bootstrap_servers, "g", "p", 3, "t")
        assert lot.ever == {(3, offset) for offset in range(10)}
        assert lot.waiting == {(3, offset) for offset in (0, 2, 4, 6, 8, 7, 9)}
        assert lot.forgotten == 0


def test_a_broker_that_forgets_is_found_out() -> None:
    from confluent_kafka import Producer

    from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, EmbeddedBroker

    with EmbeddedBroker({"p": 1}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0, "log_level": 0})
        size = 500_000
        count = 2 * PARTITION_CAPACITY_BYTES // size
        for _ in range(count):
            producer.produce("p", bytes(size))
            assert producer.flush(10) == 0
        lot = parking_lot(broker.bootstrap_servers, "g", "p", 1, "t")
        assert 0 < lot.forgotten < count
