"""The table, the cap on series, and that the books can be seen to be wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from prometheus_client.core import CounterMetricFamily

from tidegate.ops.exposition import Capped, Exposition
from tidegate.ops.metrics import TABLE, Family
from tidegate.ops.metrics_docs import markdown
from tidegate.types import CLASS_LABELS, Disposition, LaneState

from .conftest import Figures, parse
from .snapshots import Parts

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def render(parts: Parts, exposition: Exposition | None = None, **changes: object) -> Figures:
    return parse((exposition or Exposition()).render(parts.snapshot(**changes)).decode())


def series(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def test_the_page_is_the_table() -> None:
    assert DOCS.read_text() == markdown(), "run `make metrics`"


def test_names_follow_the_conventions() -> None:
    names = [family.name for family in TABLE]
    assert len(set(names)) == len(names)
    for family in TABLE:
        assert re.fullmatch(r"tidegate_[a-z_]+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert not re.search(r"_(ms|us|ns|kib|mib|kb|percent|count)(_|$)", family.name), family.name
        assert set(family.labels) <= {
            "topic", "class", "disposition", "reason", "partition", "state", "version", "librdkafka", "event", "rung",
        }  # fmt: skip
        assert family.help.endswith(".")


def test_every_row_shows_once_something_was_read() -> None:
    parts = Parts()
    parts.read()
    parts.reader.held = [LaneState("orders", "ring", 0, 1.5, 3, 2.0, 0.25)]
    stats = parts.delivery.stats()
    stats.retries["http-500"] = 2
    figures = render(parts, delivery=stats)
    assert {family.name + "_bucket" * (family.kind == "histogram") for family in TABLE} <= set(figures)


def test_a_record_on_its_way() -> None:
    parts = Parts()
    for _ in range(5):
        parts.read(klass=3)

    def stage() -> tuple[float, float, float, float]:
        figures = render(parts)
        assert set(figures["tidegate_conservation_error"].values()) == {0.0}
        of_bulk = series(**{"class": "bulk"})
        ended = figures["tidegate_records_total"]
        return (
            figures["tidegate_buffer_records"][of_bulk],
            figures["tidegate_in_flight_records"][of_bulk],
            ended[series(topic="orders", disposition="delivered", **{"class": "bulk"})],
            ended[series(topic="orders", disposition="discarded", **{"class": "bulk"})],
        )

    assert stage() == (5, 0, 0, 0)
    batch = parts.dispatcher.take()
    assert batch is not None
    assert stage() == (0, 5, 0, 0)
    parts.dispatcher.settle(batch)
    assert stage() == (0, 0, 5, 0)
    parts.read(klass=3)
    assert parts.dispatcher.discard_buffered() == 1
    assert stage() == (0, 0, 5, 1)


def test_dispositions_are_complete_and_only_of_classes_seen() -> None:
    parts = Parts()
    parts.read(klass=1)
    found = {(dict(labels)["class"], dict(labels)["disposition"]) for labels in render(parts)["tidegate_records_total"]}
    assert found == {("high", name) for name in Disposition}


def lost_from_the_ring(parts: Parts) -> None:
    assert parts.rings.pop(2) is not None


def settled_twice(parts: Parts) -> None:
    batch = parts.dispatcher.take()
    parts.dispatcher.settle(batch)
    parts.ledger.test_settle(parts.slots[0], 0, klass=2)


def polled_and_never_put_in(parts: Parts) -> None:
    for offset in (10, 11, 12):
        parts.ledger.test_read(parts.slots[0], offset, 2)


def put_in_and_never_polled(parts: Parts) -> None:
    for offset in (10, 11, 12):
        parts.rings.push(2, b"{}", slot=parts.slots[0], offset=offset)


@pytest.mark.parametrize(
    ("fault", "error"),
    [(lost_from_the_ring, 1), (settled_twice, -1), (polled_and_never_put_in, 2), (put_in_and_never_polled, -2)],
)
def test_books_that_do_not_balance_show(fault: object, error: float) -> None:
    """Faults planted in each half; the reader's half forgives one record, the event loop's none."""
    parts = Parts()
    for _ in range(4):
        parts.read(klass=2)
    assert callable(fault)
    fault(parts)
    errors = render(parts)["tidegate_conservation_error"]
    assert errors == {series(**{"class": label}): error if label == "normal" else 0.0 for label in CLASS_LABELS}


def test_what_retention_took_is_shown_by_topic() -> None:
    parts = Parts(("orders", "clicks"))
    lost = render(parts)["tidegate_records_lost_total"]
    assert lost == {series(topic=topic, reason="retention"): 0 for topic in ("orders", "clicks")}
    lost = render(parts, lost={"orders": 50, "clicks": 0})["tidegate_records_lost_total"]
    assert lost[series(topic="orders", reason="retention")] == 50
    assert lost[series(topic="clicks", reason="retention")] == 0


def test_a_hold_counts_while_it_lasts_and_never_backwards() -> None:
    parts, exposition = Parts(), Exposition()

    def held(*lane: object) -> tuple[float, float]:
        parts.reader.held = [LaneState("orders", *lane)]  # type: ignore[arg-type]
        figures = render(parts, exposition)
        at = series(topic="orders", reason="ring")
        return figures["tidegate_lane_held"][at], figures["tidegate_lane_held_seconds_total"][at]

    assert held("flowing", 0, 0.0, 0, 0.0, 0.0) == (0, 0)
    assert held("ring", 0, 2.0, 1, 0.0, 0.0) == (1, 2.0)
    assert held("ring", 0, 2.5, 1, 2.5, 0.0) == (1, 5.0)  # it ended between the two readings
    assert held("flowing", 0, 0.0, 1, 2.5, 0.0) == (0, 5.0)
    assert held("ring", 0, 4.0, 2, 2.5, 0.0) == (1, 6.5)


def test_held_lanes_are_counted_by_reason_and_class() -> None:
    parts = Parts()
    held = LaneState("clicks", "app-down", 3, 4.0, 2, 1.0, 0.5, budget_seconds=2.0, app_down_seconds=8.0, lane_klass=3)
    parts.reader.held = [
        held,
        held._replace(topic="views", klass=2, lane_klass=2),
        held._replace(topic="more"),
        LaneState("mixed", "budget", -1, 1.0, 1, 0.0, 0.0, paused=True, pauses=3, paused_seconds=7.0, purged=500,
                  queued=20, head_age=12.5),
        LaneState("calm", "flowing", 0, 0.0, 0, 0.0, 0.0),
    ]  # fmt: skip
    figures = render(parts)
    assert figures["tidegate_lanes_held"] == {
        series(reason="app-down", **{"class": "bulk"}): 2,
        series(reason="app-down", **{"class": "normal"}): 1,
        series(reason="budget", **{"class": "mixed"}): 1,
    }
    seconds = figures["tidegate_lane_held_seconds_total"]
    assert [seconds[series(topic="clicks", reason=name)] for name in ("ring", "span", "budget", "app-down")] == [
        1.0, 0.5, 2.0, 12.0,
    ]  # fmt: skip
    of_mixed = series(topic="mixed")
    assert {name: figures[f"tidegate_{name}"][of_mixed] for name in (
        "lane_paused", "lane_paused_seconds_total", "lane_pauses_total", "lane_purged_records_total",
        "lane_queued_records", "critical_held_age_seconds",
    )} == {
        "lane_paused": 1, "lane_paused_seconds_total": 7.0, "lane_pauses_total": 3, "lane_purged_records_total": 500,
        "lane_queued_records": 20, "critical_held_age_seconds": 12.5,
    }  # fmt: skip
    assert figures["tidegate_critical_held_age_seconds"][series(topic="calm")] == 0


def test_ages_are_of_each_record_and_of_what_still_waits() -> None:
    parts = Parts()
    now = int(time.time() * 1000)
    for age_ms in (40, 40, 3700, 7_200_000):
        parts.read(klass=0, timestamp_ms=now - age_ms)
    parts.read(klass=3, timestamp_ms=now + 60_000)  # of the future: as one of now
    parts.read(klass=2)  # without a timestamp
    waiting = render(parts)["tidegate_oldest_undelivered_seconds"]
    assert waiting[series(**{"class": "critical"})] == pytest.approx(2, abs=2)  # the ring's head
    batch = parts.dispatcher.take(1)
    assert batch is not None
    in_flight = render(parts)["tidegate_oldest_undelivered_seconds"]
    assert in_flight[series(**{"class": "critical"})] == pytest.approx(7200, abs=1)  # the oldest of the batch
    assert in_flight[series(**{"class": "bulk"})] == 0
    parts.dispatcher.settle(batch)
    while (rest := parts.dispatcher.take()) is not None:
        parts.dispatcher.settle(rest)
    figures = render(parts)
    assert not any(figures["tidegate_oldest_undelivered_seconds"].values())

    def bucket(klass: str, bound: str) -> float:
        return figures["tidegate_delivery_seconds_bucket"][series(le=bound, **{"class": klass})]

    assert [bucket("critical", bound) for bound in ("0.025", "2.5", "30.0", "3600.0", "+Inf")] == [0, 2, 3, 3, 4]
    assert figures["tidegate_delivery_seconds_count"][series(**{"class": "critical"})] == 4
    total = figures["tidegate_delivery_seconds_sum"][series(**{"class": "critical"})]
    assert total == pytest.approx(7203.8, abs=4)
    assert bucket("bulk", "2.5") == 1
    assert figures["tidegate_delivery_seconds_count"][series(**{"class": "normal"})] == 0


def test_what_is_given_up_has_no_age_of_delivery() -> None:
    parts = Parts()
    parts.read(timestamp_ms=1)
    batch = parts.dispatcher.take()
    assert batch is not None
    parts.dispatcher.discard(batch)
    figures = render(parts)
    assert figures["tidegate_delivery_seconds_count"][series(**{"class": "critical"})] == 0
    assert figures["tidegate_oldest_undelivered_seconds"][series(**{"class": "critical"})] == 0


def test_topics_beyond_the_cap_are_other() -> None:
    topics = tuple(f"shop.{n}" for n in range(300))
    parts = Parts(topics)
    for lane in range(len(topics)):
        for klass in range(4):
            parts.read(klass, lane)
    exposition = Exposition()
    figures = render(parts, exposition)
    for family in TABLE:
        assert len(figures[family.name]) <= 1000 if family.name in figures else True
    polled = figures["tidegate_records_polled_total"]
    assert sum(polled.values()) == 1200
    other = series(topic="other", **{"class": "bulk"})
    assert polled[other] > 1
    assert len(figures["tidegate_records_total"]) > 900
    assert sum(figures["tidegate_records_total"].values()) == 0
    # Who has a series of its own keeps it, and nothing goes back.
    for lane in reversed(range(len(topics))):
        parts.read(3, lane)
    again = render(parts, exposition)["tidegate_records_polled_total"]
    assert set(again) == set(polled)
    assert all(again[labels] >= polled[labels] for labels in polled)
    assert sum(again.values()) == 1500


def test_a_gauge_that_went_makes_room() -> None:
    family = Family("tidegate_x", "gauge", ("topic",), "X.", lambda now: ())
    capped = Capped(family, cap=34)
    assert capped.series([(("a",), 1), (("b",), 2), (("c",), 3), (("d",), 4)]) == {
        ("a",): 1, ("b",): 2, ("other",): 7,
    }  # fmt: skip
    assert capped.series([(("b",), 2), (("c",), 3), (("d",), 4)]) == {("b",): 2, ("c",): 3, ("other",): 4}


def test_labels_of_any_text_survive() -> None:
    topic = 'a"b\\c\nd,{}'
    parts = Parts((topic,))
    parts.read()
    assert series(topic=topic, **{"class": "critical"}) in render(parts)["tidegate_records_polled_total"]


def test_the_collector_is_prometheus_clients() -> None:
    """Counters are counters to the library, too: their families' names lose `_total`, their samples keep it."""
    parts = Parts()
    parts.read()
    exposition = Exposition()
    exposition.render(parts.snapshot())
    first = next(exposition.collect())
    assert isinstance(first, CounterMetricFamily)
    assert first.samples[0].name == "tidegate_records_polled_total"
