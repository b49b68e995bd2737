"""The limiter by itself: what holds whatever the target does. How well it does is in test_simulation.py."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tidegate.pressure.adaptive import FIRST_BATCH_RECORDS, FIRST_WINDOW_SECONDS, WINDOW_SECONDS, Adaptive
from tidegate.pressure.limiter import Answer, Fixed
from tidegate.pressure.refusals import CUT

CONCURRENCY, MOST = 8, 500
FULL = CONCURRENCY * MOST


class Driver:
    """A limiter, a clock, and the sends under way."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 100.0
        self.limiter = Adaptive(CONCURRENCY, MOST, Random(seed), self.now)
        self.sends: list[tuple[bool, int, int, float]] = []
        self.cuts: list[tuple[str, float]] = []

    def begin(self, critical: bool = False, records: int | None = None) -> bool:
        """False: it is not admitted."""
        limiter = self.limiter
        records = limiter.batch_records if records is None else records
        if not limiter.admits(critical, records):
            return False
        self.sends.append((critical, records, limiter.begin(critical, records, self.now), self.now))
        return True

    def end(self, answer: Answer = Answer.DONE, which: int = 0) -> None:
        critical, records, generation, began = self.sends.pop(which)
        before = dict(self.limiter.figures().congestions)
        self.limiter.end(critical, records, generation, self.now - began, self.now, answer)
        for reason, count in self.limiter.figures().congestions.items():
            assert count - before[reason] in (0, 1)
            if count > before[reason]:
                self.cuts.append((reason, self.now))

    def serve(self, seconds: float, per_batch: float, answer: Answer = Answer.DONE, per_record: float = 0.0) -> None:
        """A target of many workers and a sender with bulk without end."""
        until = self.now + seconds
        while self.now < until:
            while self.begin():
                pass
            first = min(range(len(self.sends)), key=lambda n: self._due(n, per_batch, per_record))
            self.now = max(self.now, self._due(first, per_batch, per_record))
            self.end(answer, first)

    def _due(self, which: int, per_batch: float, per_record: float) -> float:
        _, records, _, began = self.sends[which]
        return began + per_batch + per_record * records


steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.booleans(), st.one_of(st.none(), st.integers(1, 2 * MOST))),
        st.tuples(st.just("end"), st.sampled_from(Answer), st.integers(0, 1000)),
        st.tuples(st.just("wait"), st.sampled_from([1e-6, 0.001, 0.03, 0.1, 0.4, 2.0, 70.0]), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none()),
    ),
    max_size=200,
)


def play(driver: Driver, story: list[tuple[str, object, object]]) -> None:
    for what, first, second in story:
        if what == "begin":
            driver.begin(bool(first), second)  # type: ignore[arg-type]
        elif what == "end" and driver.sends:
            driver.end(first, int(second) % len(driver.sends))  # type: ignore[arg-type, call-overload]
        elif what == "wait":
            driver.now += first  # type: ignore[operator]
        elif what == "restart":
            driver.limiter.restart(driver.now)


@given(steps)
def test_bounds_hold_whatever_happens(story: list[tuple[str, object, object]]) -> None:
    driver = Driver()
    for step in story:
        play(driver, [step])
        figures = driver.limiter.figures()
        assert 1 <= driver.limiter.batch_records <= MOST
        assert 1 <= figures.batch_records <= MOST
        assert figures.batch_records <= figures.limit_records <= CONCURRENCY * figures.batch_records
        assert figures.sending_records >= 0
        assert figures.fixed_seconds >= 0.0 <= figures.per_record_seconds


@given(steps)
def test_the_others_stay_within_the_limit_and_nobody_is_shut_out(story: list[tuple[str, object, object]]) -> None:
    driver = Driver()
    forgotten = 0  # sends from before a restart, which come first
    for step in story:
        limit = driver.limiter.figures().limit_records
        before = driver.sends[:]
        play(driver, [step])
        if step[0] == "restart":
            forgotten = len(driver.sends)
        elif step[0] == "end" and before:
            forgotten -= int(step[2]) % len(before) < forgotten  # type: ignore[call-overload]
        others = [records for critical, records, _, _ in driver.sends[forgotten:] if not critical]
        if len(driver.sends) > len(before) and not driver.sends[-1][0]:
            assert len(others) == 1 or sum(others) <= limit
        if not driver.sends[forgotten:]:
            assert driver.limiter.admits(True, MOST)
            assert driver.limiter.admits(False, MOST)


@given(steps)
def test_it_is_lowered_once_per_window(story: list[tuple[str, object, object]]) -> None:
    driver = Driver()
    play(driver, story)
    for reason in ("overload", "slow"):
        times = [at for why, at in driver.cuts if why == reason]
        assert all(later - at >= WINDOW_SECONDS - 1e-9 for at, later in pairwise(times))


def test_ten_refusals_at_once_are_one() -> None:
    driver = Driver()
    driver.serve(3.0, 0.01)
    while driver.begin():
        pass
    assert len(driver.sends) == CONCURRENCY
    driver.now += 0.01
    while driver.sends:
        driver.end(Answer.OVERLOAD)
    assert driver.limiter.figures().congestions == {"overload": 1, "slow": 0}
    while driver.begin():
        pass
    # 8 at once were too many: 7, of which the others may have 80 %.
    assert len(driver.sends) == 5
    while driver.begin(critical=True, records=1):
        pass
    assert len(driver.sends) == 7


def test_a_refusal_within_the_window_of_the_last_one_changes_nothing() -> None:
    driver = Driver()
    driver.serve(3.0, 0.01)
    for wait, overloads in ((0.001, 1), (0.05, 1), (WINDOW_SECONDS, 2)):
        while driver.sends:
            driver.end(Answer.NOTHING)
        while driver.begin():
            pass
        driver.now += wait
        driver.end(Answer.OVERLOAD, len(driver.sends) - 1)
        assert driver.limiter.figures().congestions["overload"] == overloads


def test_round_trips_that_grow_lower_the_limit_by_a_tenth() -> None:
    driver = Driver()
    driver.serve(3.0, 0.01)
    assert driver.limiter.figures().limit_records == FULL
    driver.serve(1.0, 0.2)
    assert driver.limiter.figures().congestions["slow"] >= 1
    first = driver.cuts[0][1]
    assert len(driver.cuts) <= 6
    assert first > 103.0
    assert driver.limiter.figures().limit_records <= FULL * CUT


def test_a_limit_that_is_not_reached_does_not_grow() -> None:
    driver = Driver()
    for _ in range(500):
        assert driver.begin(records=1)
        driver.now += 0.01
        driver.end()
    figures = driver.limiter.figures()
    assert figures.limit_records == 2 * figures.batch_records  # beside one record, a full batch must fit


def test_it_starts_with_one_small_batch_and_doubles() -> None:
    driver = Driver()
    limits = [driver.limiter.figures().limit_records / driver.limiter.figures().batch_records]
    assert driver.limiter.batch_records == FIRST_BATCH_RECORDS
    for _ in range(6):
        driver.serve(FIRST_WINDOW_SECONDS, 0.001)
        limits.append(driver.limiter.figures().limit_records / driver.limiter.figures().batch_records)
    assert limits[:4] == [1, 2, 4, 8]
    assert driver.limiter.figures().limit_records == FULL


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(steps)
def test_it_recovers_from_anything(story: list[tuple[str, object, object]]) -> None:
    """A minute and a half of a steady target, whatever was before."""
    driver = Driver()
    play(driver, story)
    while driver.sends:
        driver.end()
    driver.serve(90.0, 0.1)
    assert driver.limiter.figures().limit_records == FULL
    while driver.begin():
        pass
    assert len(driver.sends) == CONCURRENCY


def test_critical_has_a_quarter_beyond_the_limit() -> None:
    driver = Driver()
    driver.serve(3.0, 0.01)
    while driver.begin():
        pass
    assert not driver.limiter.admits(False, 1)
    taken = 0
    while driver.begin(critical=True):
        taken += 1
    assert taken == 2  # of 500 beside 8


def test_a_large_retry_goes_when_nothing_of_its_kind_is_in_hand() -> None:
    driver = Driver()
    driver.begin()
    assert not driver.limiter.admits(False, MOST)
    driver.begin(critical=True)
    driver.now += 0.001
    driver.end()
    assert driver.limiter.admits(False, MOST)  # beside critical


def test_sends_from_before_a_restart_do_not_count() -> None:
    """They may hang until their timeout."""
    driver = Driver()
    driver.serve(3.0, 0.01)
    while driver.begin():
        pass
    driver.limiter.restart(driver.now)
    assert driver.limiter.figures().sending_records == 0
    hung = len(driver.sends)
    assert driver.begin()
    for _ in range(hung):
        driver.end(Answer.OVERLOAD)
    assert driver.limiter.figures().congestions["overload"] == 0
    assert driver.limiter.figures().sending_records == driver.sends[0][1]


@pytest.mark.parametrize(("per_record", "records"), [(0.0008, 39), (0.01, 3), (0.3, 1), (1e-5, 500)])
def test_a_batch_takes_an_eighth_of_a_quarter_second(per_record: float, records: int) -> None:
    driver = Driver()
    driver.begin(critical=True, records=1)  # it shares the target
    driver.now += 0.01
    driver.end()
    driver.serve(30.0, 0.002, per_record=per_record)
    assert driver.limiter.figures().batch_records == pytest.approx(records, rel=0.2, abs=1)
    assert driver.limiter.figures().per_record_seconds == pytest.approx(per_record, rel=0.5)


def test_a_batch_whose_fixed_cost_is_larger_takes_as_long() -> None:
    driver = Driver()
    driver.serve(30.0, 0.1, per_record=0.001)
    assert 50 <= driver.limiter.figures().batch_records <= 125  # 31 ms would be 31


def test_fixed_sets_no_limit() -> None:
    limiter = Fixed(MOST)
    assert limiter.batch_records == MOST
    for _ in range(100):
        assert limiter.admits(False, MOST)
        limiter.begin(False, MOST, 0.0)
    assert not limiter.end(False, MOST, 0, 99.0, 99.0, Answer.OVERLOAD)
    assert limiter.figures() is None
    assert limiter.batch_records == MOST
