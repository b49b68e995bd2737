"""The target's state: single cases by hand, and a state machine that tries everything."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidegate.sinks.base import ACKNOWLEDGED, Kind, Outcome
from tidegate.sinks.pacing import Change, Pacing, TargetState, retry_delay

OPEN, SLOW, DOWN = TargetState
OK = ACKNOWLEDGED
REFUSED = Outcome(Kind.DOWN, "connect-refused", unreachable=True)
BROKEN = Outcome(Kind.DOWN, "http-500")
BUSY = Outcome(Kind.SLOW, "http-503")
BAD = Outcome(Kind.RETRY, "http-400")


class Top(Random):
    """Always the longest wait: full jitter without the luck."""

    def random(self) -> float:
        return 0.999999


def pacing(ceiling: int = 8) -> Pacing:
    return Pacing(ceiling, Top(), 0.0)


def one(target: Pacing, outcome: Outcome, now: float) -> Change | None:
    assert target.free(now) > 0
    return target.end(target.begin(), outcome, now)


# ── down ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_refused_is_down_at_once() -> None:
    target = pacing()
    assert one(target, REFUSED, 1.0) == Change(OPEN, DOWN, "connect-refused", "")
    assert (target.state, target.since, target.reason) == (DOWN, 1.0, "connect-refused")


@pytest.mark.parametrize(("ceiling", "failures"), [(1, 1), (2, 2), (3, 3), (8, 3)])
def test_failures_in_a_row_are_down(ceiling: int, failures: int) -> None:
    target = pacing(ceiling)
    changes = [one(target, BROKEN, 0.0) for _ in range(failures)]
    assert changes[:-1] == [None] * (failures - 1)
    assert changes[-1] == Change(OPEN, DOWN, "http-500", "")


def test_a_success_between_starts_the_count_anew() -> None:
    target = pacing()
    for _ in range(10):
        assert one(target, BROKEN, 0.0) is None
        assert one(target, BROKEN, 0.0) is None
        assert one(target, OK, 0.0) is None


def test_a_refused_batch_is_no_failure_and_no_success() -> None:
    target = pacing()
    for outcome in (BROKEN, BAD, BROKEN, BAD):
        assert one(target, outcome, 0.0) is None
    assert one(target, BROKEN, 0.0) is not None


def test_one_probe_at_a_time_100_ms_to_5_s_apart() -> None:
    target = pacing()
    one(target, REFUSED, 0.0)
    now, waits = 0.0, []
    for _ in range(10):
        waits.append(target.open_at - now)
        assert target.free(target.open_at - 0.001) == 0
        now = target.open_at
        assert target.free(now) == 1
        epoch = target.begin()
        assert target.free(now + 60) == 0
        assert target.end(epoch, REFUSED, now) is None
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5], rel=1e-4)


def test_a_hanging_send_does_not_hold_the_probe() -> None:
    target = pacing()
    epochs = [target.begin() for _ in range(8)]
    for epoch in epochs[:3]:
        target.end(epoch, BROKEN, 0.0)
    assert target.state is DOWN
    assert (target.sending, target.free(1.0)) == (5, 1)


def test_back_from_down_the_limit_doubles() -> None:
    target = pacing(20)
    one(target, REFUSED, 0.0)
    assert one(target, OK, 1.0) == Change(DOWN, OPEN, "answers-again", "")
    limits = [target.limit]
    while target.limit < 20:
        assert target.free(1.0) == target.limit
        one(target, OK, 1.0)
        limits.append(target.limit)
    assert limits == [2, 4, 8, 16, 20]


def test_one_fault_is_one_change() -> None:
    target = pacing()
    epochs = [target.begin() for _ in range(8)]
    changes = [target.end(epoch, REFUSED, 0.0) for epoch in epochs]
    assert sum(change is not None for change in changes) == 1
    assert target.open_at == pytest.approx(0.1, rel=1e-4)  # eight failures, one backoff


def test_failures_from_before_do_not_take_a_recovered_target_down() -> None:
    target = pacing()
    old = [target.begin() for _ in range(7)]
    one(target, REFUSED, 0.0)
    one(target, OK, 1.0)
    assert [target.end(epoch, BROKEN, 2.0) for epoch in old] == [None] * 7
    assert target.state is OPEN


def test_a_straggler_that_succeeds_brings_the_probe_forward() -> None:
    target = pacing()
    old = target.begin()
    for _ in range(6):
        one(target, REFUSED, target.open_at)
    before = target.open_at
    assert target.end(old, OK, before - 1) is None
    assert (target.state, target.open_at) == (DOWN, before - 1)


def test_a_probe_that_is_refused_as_a_batch_is_followed_soon() -> None:
    target = pacing()
    one(target, REFUSED, 0.0)
    for _ in range(6):
        one(target, REFUSED, target.open_at)
    now = target.open_at
    assert one(target, BAD, now) is None
    assert target.state is DOWN
    assert target.open_at - now <= 0.1


# ── slow ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_slow_halves_waits_and_grows_by_one_per_window() -> None:
    target = pacing()
    assert one(target, BUSY, 0.0) == Change(OPEN, SLOW, "http-503", "")
    assert target.limit == 4
    assert target.free(0.05) == 0
    now = target.open_at
    assert target.free(now) == 4
    limits = []
    for _ in range(4 + 5 + 6 + 7):
        limits.append(target.limit)
        assert one(target, OK, now) is None
    assert limits == [4] * 4 + [5] * 5 + [6] * 6 + [7] * 7
    assert (target.state, target.limit) == (SLOW, 8)
    assert one(target, OK, 5.0) == Change(SLOW, OPEN, "calm", "")


def test_a_wave_of_503_halves_once() -> None:
    target = pacing()
    for epoch in [target.begin() for _ in range(8)]:
        target.end(epoch, BUSY, 0.0)
    assert target.limit == 4


def test_slow_again_and_again_waits_longer_and_ends_at_one() -> None:
    target = pacing()
    now, waits, limits = 0.0, [], []
    for _ in range(11):
        one(target, BUSY, now)
        waits.append(target.open_at - now)
        limits.append(target.limit)
        now = target.open_at
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30], rel=1e-4)
    assert limits == [4, 2] + [1] * 9


@pytest.mark.parametrize(("asked", "wait"), [(7.0, 7.0), (60.0, 60.0), (3600.0, 60.0), (0.0, 0.1)])
def test_what_the_target_asks_for_is_waited(asked: float, wait: float) -> None:
    target = pacing()
    one(target, Outcome(Kind.SLOW, "http-429", asked), 0.0)
    assert target.open_at == pytest.approx(wait, rel=1e-4)


def test_the_latest_wish_of_a_wave_counts() -> None:
    target = pacing()
    first, second = target.begin(), target.begin()
    target.end(first, Outcome(Kind.SLOW, "http-429", 2.0), 0.0)
    target.end(second, Outcome(Kind.SLOW, "http-429", 5.0), 0.5)
    assert target.open_at == 5.5
    assert target.limit == 4


def test_an_outcome_of_before_does_not_cut_the_wait_short() -> None:
    target = pacing()
    epochs = [target.begin() for _ in range(4)]
    target.end(epochs[0], Outcome(Kind.SLOW, "http-429", 30.0), 0.0)
    for epoch, outcome in zip(epochs[1:], (OK, REFUSED, BAD), strict=True):
        target.end(epoch, outcome, 1.0)
    assert (target.state, target.open_at) == (SLOW, 30.0)


def test_down_and_then_503_is_slow_with_one() -> None:
    target = pacing()
    one(target, REFUSED, 0.0)
    assert one(target, BUSY, 1.0) == Change(DOWN, SLOW, "http-503", "")
    assert target.limit == 1
    assert target.open_at - 1.0 == pytest.approx(0.1, rel=1e-4)


# ── backoff of one batch ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("attempts", "longest"), [(1, 0.1), (2, 0.2), (5, 1.6), (9, 25.6), (10, 30.0), (10**6, 30.0)])
def test_retry_delay_has_full_jitter_up_to_its_cap(attempts: int, longest: float) -> None:
    rng = Random(7)
    delays = [retry_delay(attempts, BROKEN, rng) for _ in range(2000)]
    assert 0 <= min(delays) < longest * 0.01
    assert longest * 0.99 < max(delays) <= longest
    assert sum(delays) / len(delays) == pytest.approx(longest / 2, rel=0.05)


def test_retry_delay_is_no_shorter_than_asked() -> None:
    rng = Random(7)
    assert {retry_delay(1, Outcome(Kind.SLOW, "http-429", 5.0), rng) for _ in range(50)} == {5.0}
    assert retry_delay(1, Outcome(Kind.SLOW, "http-429", 600.0), rng) == 60.0


# ── everything ──────────────────────────────────────────────────────────────────────────────────────────────────────

OUTCOMES = st.one_of(
    st.sampled_from([OK, OK, OK, REFUSED, BROKEN, BUSY, BAD]),
    st.builds(Outcome, st.just(Kind.SLOW), st.just("http-429"), st.floats(0, 100)),
)


class PacingMachine(RuleBasedStateMachine):
    """Sends begin and end in any order, with any outcome; the checker keeps its own books."""

    @initialize(ceiling=st.integers(1, 12), seed=st.integers(0, 2**32))
    def start(self, ceiling: int, seed: int) -> None:
        self.now = 0.0
        self.target = Pacing(ceiling, Random(seed), 0.0)
        self.under_way: list[tuple[int, int]] = []  # (epoch, number of the changes and slowdowns seen at its start)
        self.faults = 0
        self.asked_until = 0.0
        self.in_a_row = 0

    @precondition(lambda self: self.target.free(self.now) > 0)
    @rule()
    def begin(self) -> None:
        self.under_way.append((self.target.begin(), self.faults))
        assert len(self.under_way) <= self.target.ceiling

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=OUTCOMES)
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        epoch, faults = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        fresh = faults == self.faults
        before, limit = self.target.state, self.target.limit
        change = self.target.end(epoch, outcome, self.now)
        after = self.target.state
        if outcome.retry_after is not None:
            self.asked_until = max(self.asked_until, self.now + min(outcome.retry_after, 60.0))
        if outcome.kind is Kind.ACK:
            self.in_a_row = 0
        elif outcome.kind is Kind.DOWN and fresh:
            self.in_a_row += 1
        assert (change is not None) == (before is not after)
        if change is not None:
            assert (change.before, change.after) == (before, after)
            assert (self.target.since, self.target.reason) == (self.now, change.reason)
        if not fresh:
            assert before is after, "news from before the last fault changes nothing"
        # Which state follows which outcome, whatever happened before.
        expected = before
        if fresh:
            if outcome.kind is Kind.SLOW:
                expected = SLOW
            elif outcome.kind is Kind.DOWN and (outcome.unreachable or self.in_a_row >= min(3, self.target.ceiling)):
                expected = DOWN
            elif (outcome.kind is Kind.ACK and before is DOWN) or after is OPEN:
                expected = OPEN
        assert after is expected
        if before is SLOW and after is OPEN:
            assert self.target.limit == self.target.ceiling
        # The limit falls only by a fresh fault.
        if self.target.limit < limit:
            assert fresh
            assert outcome.kind in (Kind.SLOW, Kind.DOWN)
        if fresh and (outcome.kind is Kind.SLOW or (after is DOWN and before is not DOWN)):
            self.faults += 1

    @precondition(lambda self: self.under_way)
    @rule()
    def abandon(self) -> None:
        self.target.abandon(self.under_way.pop()[0])

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.3, 2.0, 10.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def wait_until_open(self) -> None:
        self.now = max(self.now, self.target.open_at)

    @invariant()
    def within_bounds(self) -> None:
        if not hasattr(self, "target"):
            return
        target = self.target
        assert 1 <= target.limit <= target.ceiling
        assert target.sending == len(self.under_way)
        free = target.free(self.now)
        assert 0 <= free <= target.ceiling - target.sending
        if self.now < self.asked_until:
            assert free == 0, "sent before the target's Retry-After was over"
        if target.state is DOWN:
            probes = sum(faults == self.faults for _, faults in self.under_way)
            assert probes + free <= 1
        elif free:
            assert target.sending + free == target.limit
        # Never shut for longer than anything allows.
        assert target.open_at - self.now <= 60.001

    def teardown(self) -> None:
        """From wherever it got to: with a target that is well, it is fully open again, and soon."""
        if not hasattr(self, "target"):
            return
        while self.under_way:
            self.target.abandon(self.under_way.pop()[0])
        for _ in range(200):
            if (self.target.state, self.target.limit) == (OPEN, self.target.ceiling):
                return
            self.now = max(self.now + 0.1, self.target.open_at)
            while self.target.free(self.now):
                self.under_way.append((self.target.begin(), self.faults))
            assert self.under_way, "a slot is always free once the wait is over"
            while self.under_way:
                self.target.end(self.under_way.pop()[0], OK, self.now)
        raise AssertionError(f"still {self.target.state} at {self.target.limit} of {self.target.ceiling}")


TestPacingMachine = PacingMachine.TestCase
TestPacingMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
