"""The end as it is shown, and as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from tidegate.demo.plan import Plan
from tidegate.demo.report import PlainRow, Row, as_json, duration, explanation, faults, print_table
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


PLAIN = [PlainRow(1_234_567, 1_234, 20_000.0, 59_500.0, 125_000.0) for _ in CLASSES]


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("plain", [None, PLAIN])
def test_the_table_fits_eighty_columns_and_is_whole_on_fewer(width: int, plain: list[PlainRow] | None) -> None:
    out = io.StringIO()
    print_table(Console(file=out, width=width), rows(held=1234), plain)
    assert out.getvalue().count("plain loop") == (4 if plain else 0)
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
    assert "before the sale" in early
    assert "went first" not in early
    assert "For 810 ms more came" in said(rows(), PLAN, elapsed=6.0)
    assert "went first" not in said(rows(bulk_ms=45.0), PLAN)
    assert "set aside" not in good
    assert "plain" not in good
    beside = " ".join(explanation(rows(), PLAN, 800.0, 40.0, PLAIN))
    assert "In the plain loop, with a shop like it, they waited behind everything else, up to 2m 05s." in beside
    assert "plain" not in " ".join(explanation(rows(), Plan(30, 300, 2), 800.0, 40.0, PLAIN)), "nobody had to wait"
    quick = [replace(row, p99_ms=45.0) for row in PLAIN]
    assert "plain" not in " ".join(explanation(rows(), PLAN, 800.0, 40.0, quick))


def test_of_an_app_that_nobody_can_ask_no_more_is_claimed_than_it_said() -> None:
    said = " ".join(explanation(rows(held=5), PLAN, None, 40.0))
    assert "The app has acknowledged 1,234,589 events; the other 5 are in Kafka" in said
    assert "Nothing was lost" not in said
    assert "can work off" not in said


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
