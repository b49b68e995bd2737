"""The ladder: what engages and releases it, what each class bears, and what the operator may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pressure.views import lane, view
from tidegate.pressure.engage import Cause, Strain, strain
from tidegate.pressure.hold import Holds, Lane, Levels
from tidegate.pressure.ladder import Ladder, standing
from tidegate.pressure.marks import Level
from tidegate.pressure.notches import NOTCHES
from tidegate.pressure.orders import Orders, Rung, Settings
from tidegate.pressure.parking import Parking
from tidegate.pressure.policy import policies
from tidegate.pressure.shed import Rest
from tidegate.pressure.signals import View
from tidegate.types import EventClass

BUDGETS = (1.0, 5.0, 30.0, 300.0)
PARKING = Parking(available=True)
CALM = view(lane((30, 100, 0, 300)))
SHORT = view(lane((30, 100, 0, 2000)), rings=(0, 0, 0, 0.6), queued=(0, 0, 0, 250))
SAMPLING = {EventClass.NORMAL: "defer,sample", EventClass.BULK: "defer,sample"}


class Story:
    """Ticks of a view; the last orders, and every change."""

    def __init__(self, texts: dict[EventClass, str] | None = None, **choices: Any) -> None:
        self.ladder = Ladder(Settings(policies(texts or {}), BUDGETS, **choices))
        self.now = 50.0
        self.changes: list[str] = []

    def run(self, seconds: float, seen: View, parking: Parking = PARKING, **lanes: bool) -> Orders:
        for _ in range(max(1, round(seconds * 10))):
            self.now += 0.1
            orders = self.ladder.decide(self.now, seen, parking, **lanes)
            if orders.change is not None:
                self.changes.append(f"{orders.change.before.name}>{orders.change.after.name}")
                assert orders.change.numbers["service"] == seen.service
        return orders


def test_it_engages_after_three_short_looks_with_a_strain_and_releases_after_three_calm_seconds() -> None:
    story = Story()
    assert story.run(0.2, SHORT).rung is Rung.NORMAL
    assert not any(shed.overflow for shed in story.run(0.0, CALM).sheds)
    story.run(0.2, SHORT)
    orders = story.run(0.1, SHORT)
    assert orders.rung is Rung.DEFER
    assert [shed.keep for shed in orders.sheds] == [1, 1, 1, pytest.approx((1250 - 130 - 250) / 2000)]
    assert [shed.rest for shed in orders.sheds] == [None, Rest.PARK, Rest.PARK, Rest.PARK]
    assert [shed.overflow for shed in orders.sheds] == [False, True, True, True]
    assert story.run(2.9, CALM).rung is Rung.DEFER
    assert story.run(0.3, CALM).sheds[3].keep == 1.0
    assert story.run(3.1, CALM).rung is Rung.NORMAL
    assert story.changes == ["NORMAL>DEFER", "DEFER>NORMAL"]


def test_a_rate_that_is_short_alone_engages_nothing_nor_does_a_strain_alone() -> None:
    assert Story().run(10, replace(SHORT, rings=(0, 0, 0, 0.4))).rung is Rung.NORMAL
    assert Story().run(10, view(lane((30, 0, 0, 10)), rings=(0, 0, 0, 0.9))).rung is Rung.NORMAL


@pytest.mark.parametrize(
    ("seen", "cause", "value"),
    [
        (view(lane((1, 1, 1, 1)), rings=(0, 0, 0, 0.75)), Cause.RING, 1.5),
        (view(lane((1, 1, 1, 1)), rings=(0.9, 0, 0, 0.1)), Cause.RING, 0.2),  # critical's own ring sheds nothing
        (view(lane((1, 1, 1, 1)), queued=(1000, 6500, 0, 0)), Cause.DELAY, 1.5),
        (view(lane((0, 0, 1, 1), age=45)), Cause.AGE, 1.5),
        (view(lane((1, 0, 0, 1), age=1.5)), Cause.AGE, 1.5),
        (view(lane((0, 0, 0, 1), age=450)), Cause.AGE, 1.5),
        (view(lane((1, 1, 1, 1), span=0.75)), Cause.SPAN, 1.5),
    ],
)
def test_what_strains(seen: View, cause: Cause, value: float) -> None:
    assert strain(seen, (False, True, True, True), BUDGETS) == Strain(cause, pytest.approx(value))


def test_without_parking_the_default_sheds_nothing() -> None:
    orders = Story().run(20, SHORT, Parking(available=False))
    assert orders.rung is Rung.NORMAL
    assert all(shed.keep == 1 and shed.rest is None and not shed.overflow for shed in orders.sheds)


@pytest.mark.parametrize(
    "parking",
    [Parking(False), Parking(True, queue=0.51), Parking(True, records=1e7)],
    ids=["unavailable", "queue", "emptying"],
)
def test_it_samples_where_parking_takes_no_more(parking: Parking) -> None:
    story = Story(SAMPLING)
    story.run(5, SHORT)
    orders = story.run(0.2, SHORT, parking)
    assert orders.rung is Rung.SAMPLE
    assert [shed.rest for shed in orders.sheds[2:]] == [Rest.DROP, Rest.DROP]
    assert orders.sheds[3].keep in NOTCHES
    assert orders.sheds[1].rest is (Rest.PARK if parking.available else None)  # high is never sampled
    assert orders.sheds[3].overflow is parking.available
    assert story.run(2.8, SHORT).sheds[3].rest is Rest.DROP
    assert story.run(0.4, SHORT).sheds[3].rest is Rest.PARK
    assert story.run(3.0, SHORT).rung is Rung.DEFER


def test_a_class_that_only_samples_is_never_parked() -> None:
    orders = Story({EventClass.BULK: "sample"}).run(1, SHORT)
    assert orders.rung is Rung.SAMPLE
    assert (orders.sheds[3].rest, orders.sheds[3].overflow, orders.sheds[2].rest) == (Rest.DROP, False, Rest.PARK)


def test_holds_are_shown_and_let_go_one_rung_at_a_time() -> None:
    story = Story(SAMPLING)
    assert story.run(0.1, CALM, held=True, paused=True).rung is Rung.PAUSE
    story.run(12.5, CALM)
    assert story.changes == ["NORMAL>PAUSE", "PAUSE>HOLD", "HOLD>SAMPLE", "SAMPLE>DEFER", "DEFER>NORMAL"]


@pytest.mark.parametrize(
    ("held", "shown"),
    [
        (Lane(klass=-1, own_seconds=1.0), True),
        (Lane(klass=-1, own_seconds=0.9), False),  # a fast app's ring is full for moments
        (Lane(klass=-1), False),
        (Lane(klass=3, own_seconds=60.0), False),  # it waits in Kafka, which is no hold
        (Lane(klass=-1, own_seconds=60.0, halted=True), False),
    ],
)
def test_a_hold_is_shown_of_lanes_that_cannot_wait(held: Lane, shown: bool) -> None:
    assert standing({0: Lane(klass=-1), 1: held}, Holds()) == (shown, False)


def test_what_hold_py_decides_is_shown_as_well() -> None:
    holds, empty = Holds(), Level(0, 100)
    lanes = {0: Lane(klass=0, queued_bytes=50 << 20)}
    full = Levels((empty,) * 4, Level(50, 100), Level(95, 100), Level(0, 100), False, lanes)
    holds.decide(10.0, full)
    assert standing(lanes, holds) == (True, False)
    holds.decide(16.0, full)
    assert standing(lanes, holds) == (True, True)


def test_the_operator_caps_and_forces() -> None:
    capped = Story(SAMPLING, highest=Rung.DEFER).run(5, SHORT, Parking(True, queue=0.9))
    assert (capped.rung, capped.sheds[3].rest, capped.may_hold) == (Rung.DEFER, Rest.PARK, False)
    assert all(shed.rest is None for shed in Story(highest=Rung.NORMAL).run(5, SHORT).sheds)
    story = Story(SAMPLING)
    story.ladder.force(Rung.DEFER)
    orders = story.run(0.1, CALM)
    assert (orders.rung, orders.sheds[3].keep) == (Rung.DEFER, 1.0)  # engaged; how much stays the law's
    story.ladder.force(Rung.SAMPLE)
    assert story.run(0.1, CALM).sheds[3].rest is Rest.DROP
    story.ladder.force(Rung.HOLD)
    orders = story.run(0.1, CALM)
    assert (orders.hold_all, orders.pause_all) == (True, False)
    story.ladder.force(Rung.NORMAL)
    assert all(shed.keep == 1 and shed.rest is None for shed in story.run(5, SHORT).sheds)
    story.ladder.force(None)
    assert story.run(1, SHORT).rung is Rung.DEFER


def test_replay_keeps_its_headroom_and_stops_at_once() -> None:
    story = Story()
    parked = replace(PARKING, records=10_000)
    orders = story.run(15, CALM, parked)
    assert orders.replay == pytest.approx(0.8 * 1000 - 430, rel=0.01)
    assert story.run(0.1, SHORT, parked).replay == 0.0
    assert story.run(2.9, CALM, parked).replay == 0.0
    assert story.run(10, CALM, PARKING).replay == 0.0


def test_lanes_that_wait_are_read_at_a_rate_while_they_are_behind() -> None:
    behind = view(
        lane((30, 0, 0, 0)), lane((0, 0, 0, 900), lag=5000, waits=True), rings=(0, 0, 0, 0.9), queued=(0, 0, 0, 3000)
    )
    story = Story()
    assert story.run(1, behind).sheds[3].rate == 0.0
    caught = view(lane((30, 0, 0, 0)), lane((0, 0, 0, 900), lag=5000, waits=True), queued=(0, 0, 0, 250))
    orders = story.run(10, caught)
    assert orders.rung is Rung.DEFER
    assert orders.sheds[3].rate == pytest.approx(970)
    assert story.run(3.2, view(lane((30, 0, 0, 0)), lane((0, 0, 0, 900), waits=True))).sheds[3].rate is None


@pytest.mark.parametrize(
    ("klass", "text"),
    [(0, "defer"), (0, "keep,sample"), (1, "sample"), (1, "keep,defer,sample"), (2, "drop"), (3, "")],
)
def test_a_policy_that_may_not_be_is_refused(klass: int, text: str) -> None:
    with pytest.raises(ValueError, match=r"^has .*(only|none of)"):
        policies({EventClass(klass): text})


RATE, SHARE = st.floats(0, 1e6), st.floats(0, 1)
FOUR = st.tuples(RATE, RATE, RATE, RATE)
VIEWS = st.builds(
    lambda offered, queued, rings, service, age, waits: view(
        lane(offered, age=age, waits=waits), service=service, queued=[int(n) for n in queued], rings=rings
    ),
    FOUR, FOUR, st.tuples(SHARE, SHARE, SHARE, SHARE), st.none() | st.floats(0, 1e6), st.floats(0, 1e4), st.booleans(),
)  # fmt: skip
PARKINGS = st.builds(Parking, st.booleans(), SHARE, st.floats(0, 1e9))
POLICIES = st.fixed_dictionaries(
    {
        EventClass.HIGH: st.sampled_from(["keep", "keep,defer", "defer"]),
        EventClass.NORMAL: st.sampled_from(["keep", "defer", "defer,sample", "sample"]),
        EventClass.BULK: st.sampled_from(["keep", "defer", "defer,sample", "sample"]),
    }
)
LOOKS = st.lists(st.tuples(VIEWS, PARKINGS, st.booleans(), st.integers(1, 40)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(POLICIES, LOOKS, st.sampled_from(Rung))
def test_whatever_comes(texts: dict[EventClass, str], looks: Sequence[Any], highest: Rung) -> None:
    ladder, now, rung, fell_at = Ladder(Settings(policies(texts), BUDGETS, highest)), 0.0, Rung.NORMAL, -10.0
    for seen, parking, held, ticks in looks:
        for _ in range(ticks):
            now += 0.1
            orders = ladder.decide(now, seen, parking, held=held)
            critical, high = orders.sheds[:2]
            assert (critical.keep, critical.rest, critical.overflow) == (1.0, None, False)
            assert high.rest is not Rest.DROP
            for policy, shed in zip(policies(texts), orders.sheds, strict=True):
                assert 0 <= shed.keep <= 1
                assert shed.keep == 1 or shed.rest is not None
                assert shed.rest is not Rest.PARK or (policy.defer and parking.available and highest >= Rung.DEFER)
                assert shed.rest is not Rest.DROP or (policy.sample and highest >= Rung.SAMPLE)
                assert shed.rest is not Rest.DROP or shed.keep in NOTCHES
            assert orders.replay >= 0
            assert orders.replay == 0 or (orders.rung is Rung.NORMAL and all(shed.keep == 1 for shed in orders.sheds))
            if orders.rung < rung:
                left = [Rung(n) for n in range(orders.rung + 1, rung)]  # only where there was nothing to do on them
                assert Rung.SAMPLE not in left or not any(policy.sample for policy in policies(texts))
                assert Rung.DEFER not in left or not parking.available
                assert Rung.HOLD not in left
                assert now - fell_at >= 3 - 1e-6
                fell_at = now
            assert (orders.change is None) == (orders.rung is rung)
            rung = orders.rung
