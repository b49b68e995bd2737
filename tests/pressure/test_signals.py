"""Demand, service and age from counters."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.pressure.ages import Head, HeadAge
from tidegate.pressure.service import Service, ServiceCounts, ServiceView
from tidegate.pressure.signals import Counts, LaneCounts, Signals, View

WALL = 1.7e9


class Lane:
    """One lane, tick by tick: so many records/s come, so many are read."""

    def __init__(self, waits: bool = False) -> None:
        self.signals, self.waits = Signals(), waits
        self.now, self.ticks = 100.0, 0
        self.polled = [0.0] * 4
        self.end = self.end_seen = 0.0
        self.end_at = 100.0
        self.assignment = 1

    def run(self, seconds: float, come: tuple[float, ...], read: float = 1.0, held: bool = False) -> View:
        """`read`: the part of what comes that is read."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.ticks += 1
            self.end += sum(come) / 10
            self.polled = [n + read * more / 10 for n, more in zip(self.polled, come, strict=True)]
            if self.ticks % 10 == 0:
                self.end_seen, self.end_at = self.end, self.now
            view = self.signals.update(
                self.now, WALL, Counts(ServiceCounts(0, 0, 0.0), (0,) * 4, (0.0,) * 4, {7: self.counts(held)})
            )
        return view

    def counts(self, held: bool) -> LaneCounts:
        return LaneCounts(
            tuple(round(n) for n in self.polled), round(sum(self.polled)), round(self.end_seen), self.end_at,
            self.assignment, held=held, waits=self.waits,
        )  # fmt: skip


def test_offered_is_what_is_read_where_nothing_holds() -> None:
    view = Lane().run(5, (30, 0, 70, 900))
    assert [view.offered(klass) for klass in range(4)] == pytest.approx([30, 0, 70, 900], rel=0.05, abs=0.1)
    assert view.lanes[7].classes == pytest.approx((0.03, 0, 0.07, 0.9), abs=0.01)


def test_holding_hides_no_demand() -> None:
    lane = Lane()
    lane.run(5, (30, 0, 70, 900))
    view = lane.run(10, (90, 0, 210, 2700), read=0.0, held=True)
    assert [view.offered(klass) for klass in range(4)] == pytest.approx([90, 0, 210, 2700], rel=0.05, abs=0.1)
    assert view.lanes[7].arrival == pytest.approx(3000, rel=0.01)
    assert view.lanes[7].lag == pytest.approx(30_000, rel=0.1)


def test_what_waits_in_kafka_counts_as_it_comes_not_as_it_is_caught_up() -> None:
    lane = Lane(waits=True)
    lane.run(3, (0, 0, 0, 1000))
    lane.run(5, (0, 0, 0, 1000), read=0.0, held=True)
    assert lane.run(2, (0, 0, 0, 1000), read=2.5).offered(3) == pytest.approx(1000, rel=0.05)
    mixed = Lane()
    mixed.run(3, (0, 0, 0, 1000))
    mixed.run(5, (0, 0, 0, 1000), read=0.0, held=True)
    assert mixed.run(2, (0, 0, 0, 1000), read=2.5).offered(3) > 2000  # what has to be read passes the gate


def test_gaps_between_offsets_are_no_records() -> None:
    """Half of the offsets are markers or compacted: position and end grow twice as fast."""
    signals, view = Signals(), None
    for tick in range(400):
        held = tick >= 300
        read = min(tick, 300) * 100
        counts = LaneCounts((0, 0, 0, read), 2 * read, 2 * tick // 10 * 1000, tick // 10, held=held)
        view = signals.update(tick / 10, WALL, Counts(ServiceCounts(0, 0, 0.0), (0,) * 4, (0.0,) * 4, {0: counts}))
    assert view is not None
    assert view.offered(3) == pytest.approx(1000, rel=0.05)


def test_another_assignment_is_no_growth() -> None:
    lane = Lane()
    lane.run(5, (0, 0, 0, 100))
    lane.assignment, lane.end, lane.end_seen, lane.end_at = 2, 1e9, 1e9, lane.now + 0.05
    view = lane.run(0.5, (0, 0, 0, 100), held=True)
    assert view.offered(3) == pytest.approx(100, rel=0.1)


# ── service ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Target:
    def __init__(self) -> None:
        self.service, self.records, self.busy = Service(), 0.0, 0.0
        self.service.update(0.0, ServiceCounts(0, 0, 0.0))

    def run(self, seconds: float, rate: float, utilisation: float, batch: int = 10) -> ServiceView:
        for _ in range(round(seconds * 10)):
            self.records += rate / 10
            self.busy += utilisation / 10
            view = self.service.update(0.1, ServiceCounts(int(self.records), int(self.records / batch), self.busy))
        return view


def test_service_is_what_would_be_completed_with_every_slot_in_use() -> None:
    assert Target().run(3, 1000, 1.0).now == pytest.approx(1000, rel=0.01)
    assert Target().run(3, 250, 0.25).now == pytest.approx(1000, rel=0.1)
    assert Target().run(3, 0, 0.0).now is None


def test_less_at_high_utilisation_counts_at_once_and_at_low_slowly() -> None:
    busy, idle = Target(), Target()
    busy.run(3, 1000, 1.0)
    idle.run(3, 1000, 1.0)
    assert busy.run(1, 500, 1.0).now == pytest.approx(550, rel=0.05)
    assert idle.run(1, 100, 0.2).now == pytest.approx(1000, rel=0.02)


def test_capacity_is_what_was_seen_while_busy_and_no_outage_lowers_it() -> None:
    target = Target()
    target.run(10, 1000, 1.0)
    assert target.run(30, 500, 0.2).capacity == pytest.approx(1000, rel=0.02)  # by the formula 2500
    assert target.run(30, 0, 1.0).capacity == pytest.approx(1000, rel=0.15)
    assert target.run(60, 500, 1.0).capacity == pytest.approx(540, rel=0.1)


def test_after_an_outage_it_finds_its_way_up() -> None:
    """What is let in is a quarter more than the estimate, as by the law; the target could do 1000."""
    target = Target()
    target.run(20, 1000, 1.0)
    low = target.run(30, 0, 1.0)
    assert low.now is not None
    assert low.now < 120
    for _ in range(100):
        assert low.now is not None
        rate = min(1000.0, 1.25 * low.now)
        low = target.run(0.1, rate, rate / 1000)
    assert low.now == pytest.approx(1000, rel=0.1)


UTILISATIONS = st.just(0.0) | st.floats(0.001, 1.5)
LOOKS = st.lists(
    st.tuples(st.floats(0, 1e6), UTILISATIONS, st.just(0.0) | st.floats(0.001, 5)), min_size=1, max_size=60
)


@given(LOOKS)
def test_service_stays_between_nothing_and_the_most_that_was_seen(looks: list[tuple[float, float, float]]) -> None:
    service, records, busy, most = Service(), 0.0, 0.0, 0.0
    service.update(0.0, ServiceCounts(0, 0, 0.0))
    for rate, utilisation, seconds in looks:
        grown = int(records + rate * seconds) - int(records)
        records, busy = records + rate * seconds, busy + utilisation * seconds
        view = service.update(seconds, ServiceCounts(int(records), int(records), busy))
        if seconds > 0:
            most = max(most, (grown + 1) / (min(1.0, utilisation or 1.0) * seconds), (grown + 1) / seconds)
        assert view.now is None or 0 <= view.now <= most * (1 + 1e-9)
        assert 0 <= view.utilisation <= 1


# ── age ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [0.0, -3600.0, -20.0, 5.0, 3600.0])
def test_age_with_clocks_that_are_wrong(error: float) -> None:
    """At the end first, so the error is learnt; then ten seconds behind."""
    age = HeadAge()
    for tick in range(50):
        now = tick / 10
        assert age.update(now, WALL + now, Head(WALL + now - 0.02 + error, True, True, 0.0, 100.0)) == 0.0
    for tick in range(50, 150):
        now = tick / 10
        found = age.update(now, WALL + now, Head(WALL + 4.9 - 0.02 + error, False, False, (now - 4.9) * 100, 100.0))
    assert found == pytest.approx(10.0, abs=0.2)


def test_a_head_from_the_future_says_nothing() -> None:
    assert HeadAge().update(1.0, WALL, Head(WALL + 3600, True, False, 500.0, 100.0)) == 5.0


def test_nothing_is_older_than_the_end_last_seen() -> None:
    age = HeadAge()
    age.update(0.0, WALL, Head(WALL, True, True))
    assert age.update(2.0, WALL + 2, Head(WALL - 86_400, True, False, 10.0, 10.0)) == 2.0


def test_an_idle_lane_teaches_no_error() -> None:
    age = HeadAge()
    age.update(0.0, WALL, Head(WALL, True, True))
    for tick in range(1, 600):
        age.update(tick / 10, WALL + tick / 10, Head(WALL, False, True))
    assert age.update(70.0, WALL + 70.0, Head(WALL + 62, True, False, 10.0, 1.0)) == pytest.approx(8.0)


@pytest.mark.parametrize("behind", [0.0, 0.8])
def test_who_is_behind_by_less_than_the_ends_are_old_is_not_taken_for_current(behind: float) -> None:
    """Ends come once a second: position passes the last one soon after. That is no end of the log, and what was read
    then teaches nothing about clocks."""
    signals, ages, end, end_at = Signals(), [], 0, 0.0
    for tick in range(1, 301):
        now = tick / 10
        if tick % 10 == 0:
            end, end_at = tick * 100, now
        position = max(0, round((now - behind) * 1000))
        head = WALL + now - behind if position else None
        counts = LaneCounts((0, 0, 0, position), position, max(end, position), end_at, head_seconds=head)
        looked = Counts(ServiceCounts(0, 0, 0.0), (0,) * 4, (0.0,) * 4, {0: counts})
        ages.append(signals.update(now, WALL + now, looked).lanes[0].age)
    assert sum(ages[100:]) / 200 == pytest.approx(behind, abs=0.1)


def test_records_acknowledged_by_class_over_seconds() -> None:
    signals = Signals()
    for tick in range(200):
        counts = Counts(ServiceCounts(0, 0, 0.0), (0,) * 4, (0.0,) * 4, completed=(tick, 0, 0, tick // 10 * 70))
        view = signals.update(tick / 10, WALL, counts)
    assert view.completions == pytest.approx((10, 0, 0, 70), rel=0.2)


PHASES = st.lists(
    st.tuples(st.sampled_from([0, 0, 3, 500]), st.integers(1, 150), st.booleans(), st.integers(0, 2)), max_size=6
)


@given(PHASES)
def test_what_is_left_out_of_lanes_that_bring_nothing_changes_nothing(phases: list[tuple[int, int, bool, int]]) -> None:
    """Against the same signals made to compute each look."""
    quick, slow = Signals(), Signals()
    now = position = end = end_seen = 0
    for rate, ticks, held, assignment in phases:
        for _ in range(ticks):
            now += 1
            end += rate
            position = position if held else end
            end_seen = end if now % 10 == 0 else max(end_seen, position)
            lane = LaneCounts(
                (0, 0, 0, position), position, end_seen, now // 10, assignment, WALL + now / 10 - 0.05, held
            )
            looked = Counts(ServiceCounts(0, 0, 0.0), (0,) * 4, (0.0,) * 4, {0: lane})
            for known in slow._lanes.values():
                known._still = None
            one, other = (each.update(now / 10, WALL + now / 10, looked).lanes[0] for each in (quick, slow))
            assert one.offered == pytest.approx(other.offered, abs=2e-3)
            assert (one.arrival, one.lag, one.classes) == (other.arrival, other.lag, other.classes)
            assert one.age == pytest.approx(other.age, abs=1e-6)


HEADS = st.builds(Head, st.floats(-1e5, 1e5), st.booleans(), st.booleans(), st.floats(0, 1e5), st.floats(0, 1e4))


@given(st.lists(st.tuples(st.floats(0, 2), HEADS), max_size=40))
def test_age_is_never_negative_and_never_more_than_since_the_end(looks: list[tuple[float, Head]]) -> None:
    age, now, end_seen = HeadAge(), 0.0, None
    for seconds, head in looks:
        now += seconds
        assert head.seconds is not None
        found = age.update(now, WALL + now, replace(head, seconds=WALL + now + head.seconds))
        end_seen = now if head.at_end else end_seen
        assert found >= 0
        assert end_seen is None or found <= now - end_seen


COUNTS = st.builds(
    LaneCounts,
    polled=st.tuples(*[st.integers(0, 10**9)] * 4),
    position=st.integers(0, 10**9),
    end=st.none() | st.integers(0, 10**9),
    end_at=st.floats(0, 1e3),
    assignment=st.integers(0, 2),
    head_seconds=st.none() | st.floats(0, 1e10),
    held=st.booleans(),
    waits=st.booleans(),
)


@given(st.lists(st.tuples(st.floats(0, 5), COUNTS), max_size=20))
def test_no_counter_makes_a_view_that_cannot_be(looks: list[tuple[float, LaneCounts]]) -> None:
    signals, now = Signals(), 0.0
    for seconds, counts in looks:
        now += seconds
        view = signals.update(now, WALL, Counts(ServiceCounts(0, 0, 0.0), (0,) * 4, (0.0,) * 4, {0: counts}))
        seen = view.lanes[0]
        numbers = (*seen.offered, seen.arrival, seen.lag, seen.age, *seen.classes)
        assert all(math.isfinite(number) and number >= 0 for number in numbers)
        assert sum(seen.classes) == pytest.approx(1.0) or sum(seen.classes) == 0
