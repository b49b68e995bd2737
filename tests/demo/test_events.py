"""The stream: the same for the same seed, in the promised mix and sizes, and judged by tidegate as it is meant."""

from __future__ import annotations

from collections import Counter

import orjson

from tidegate.classification import rule_table
from tidegate.config import load
from tidegate.demo.events import CLASS_OF, KINDS, LARGEST_BYTES, Event, Visitors, number_of
from tidegate.types import EventClass

NOW = 1_700_000_000.25


def events(count: int, seed: int = 1) -> list[Event]:
    visitors = Visitors(seed)
    return [visitors.next(NOW + number / 1000) for number in range(count)]


def test_the_seed_decides_everything() -> None:
    assert events(2000) == events(2000)
    assert events(50, seed=1) != events(50, seed=2)


def test_the_clock_decides_nothing_but_the_time_of_sending() -> None:
    early, late = Visitors(3), Visitors(3)
    for _ in range(500):
        one, other = orjson.loads(early.next(1.0).body), orjson.loads(late.next(2.0).body)
        assert (one.pop("event_timestamp"), other.pop("event_timestamp")) == (1_000_000, 2_000_000)
        assert one == other


def test_the_mix_is_that_of_a_shop() -> None:
    assert sum(kind.share for kind in KINDS) == 100
    count = Counter(event.kind.klass for event in events(20_000))
    shares = {klass: 100 * n / 20_000 for klass, n in count.items()}
    assert abs(shares[EventClass.CRITICAL] - 1.5) < 0.3
    assert abs(shares[EventClass.HIGH] - 3.6) < 0.5
    assert 94 < shares[EventClass.NORMAL] + shares[EventClass.BULK] < 96


def test_those_who_come_for_the_sale_buy_three_times_as_much() -> None:
    crowd = Visitors(5)
    count = Counter(crowd.next(NOW, sale=1.0).kind.klass for _ in range(20_000))
    assert abs(count[EventClass.CRITICAL] / 200 - 4.5) < 0.5
    assert abs(count[EventClass.HIGH] / 200 - 10.8) < 0.8
    half = Visitors(5)
    count = Counter(half.next(NOW, sale=0.5).kind.klass for _ in range(20_000))
    assert abs(count[EventClass.CRITICAL] / 200 - 3) < 0.4


def test_a_kind_can_be_asked_for() -> None:
    assert Visitors(1).next(NOW, KINDS[0]).kind is KINDS[0]


def test_events_are_numbered_sized_and_complete() -> None:
    some = events(5000)
    assert [event.number for event in some] == list(range(5000))
    sizes = [len(event.body) for event in some]
    assert min(sizes) >= 300
    assert max(sizes) <= 800
    assert max(len(event.key) + len(event.body) for event in some) <= LARGEST_BYTES
    for event in some[:300]:
        content = orjson.loads(event.body)
        assert number_of(content["event_id"]) == event.number
        assert CLASS_OF[content["event_name"]] is event.kind.klass
        assert content["ga_session_id"].encode() == event.key


def test_sessions_end_and_products_are_skewed() -> None:
    some = events(20_000)
    sessions = Counter(event.key for event in some)
    assert 500 < len(sessions) < 10_000
    products = Counter(item["item_id"] for event in some for item in orjson.loads(event.body).get("items", ()))
    (_, most), *_ = products.most_common(1)
    assert most > 20 * sum(products.values()) / len(products)


def test_tidegate_judges_them_as_the_shop_does_with_its_defaults() -> None:
    table = rule_table(load({}))
    for event in events(2000):
        verdict = table.classify("shop.events", event.key, [], event.body)
        assert verdict.klass == event.kind.klass, event
        assert not verdict.unclassified
