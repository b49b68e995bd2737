"""Hold and pause: what is decided case by case, and what holds whatever comes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.pressure.hold import (
    DWELL_SECONDS,
    PAUSE_AFTER_SECONDS,
    PAUSES_A_MINUTE,
    REST_SECONDS,
    Act,
    Decision,
    Holds,
    Lane,
    Levels,
    Reason,
)
from tidegate.pressure.marks import Level

MIB = 1 << 20
EMPTY = Level(0, 100)
BULK, CRITICAL, MIXED = Lane(klass=3), Lane(klass=0), Lane(klass=-1)
CALM = Levels(
    rings=(EMPTY,) * 4, buffered=EMPTY, memory=Level(0, 96 * MIB), span=Level(0, 1000), app_down=False, lanes={}
)


def ring(share: float, klass: int = 3, drained: float = 0.0) -> tuple[Level, ...]:
    return tuple(Level(100 * share, 100, drained) if k == klass else EMPTY for k in range(4))


def memory(share: float) -> Level:
    return Level(share * 96 * MIB, 96 * MIB)


class Story:
    """Levels over time, a tick each; and the decisions."""

    def __init__(self, **lanes: Lane) -> None:
        self.holds = Holds()
        self.now = 1000.0
        self.names = list(lanes)
        self.levels = replace(CALM, lanes=dict(enumerate(lanes.values())))
        self.made: list[tuple[float, Decision]] = []

    def lane(self, name: str, **changes: object) -> None:
        key = self.names.index(name)
        lane = replace(self.levels.lanes[key], **changes)  # type: ignore[arg-type]
        self.levels = replace(self.levels, lanes={**self.levels.lanes, key: lane})

    def run(self, seconds: float = 0.1, **changes: object) -> list[tuple[str, Act, Reason | None]]:
        """So many seconds of these levels; what was decided in them."""
        self.levels = replace(self.levels, **changes)  # type: ignore[arg-type]
        found = []
        for _ in range(max(1, round(seconds * 10))):
            self.now += 0.1
            for key, lane in self.levels.lanes.items():
                if lane.own_seconds is not None:
                    self.lane(self.names[key], own_seconds=lane.own_seconds + 0.1)
            for decision in self.holds.decide(self.now, self.levels):
                self.made.append((self.now, decision))
                found.append((self.names[decision.lane], decision.act, decision.reason))
        return found

    @property
    def last(self) -> Decision:
        return self.made[-1][1]


def test_a_ring_holds_its_lane_from_the_high_mark_to_the_low_one() -> None:
    story = Story(clicks=BULK, orders=CRITICAL, mixed=MIXED)
    assert story.run(rings=ring(0.79)) == []
    assert story.run(rings=ring(0.80)) == [("clicks", Act.HOLD, Reason.RING)]
    assert (story.last.value, story.last.mark) == (0.80, 0.80)
    assert story.run(3, rings=ring(0.51)) == []
    assert story.run(rings=ring(0.50)) == [("clicks", Act.RELEASE, Reason.RING)]
    assert (story.last.value, story.last.mark) == (0.50, 0.50)
    assert story.last.seconds == pytest.approx(3.1)


def test_a_ring_of_another_class_holds_nothing() -> None:
    story = Story(clicks=BULK)
    assert story.run(5, rings=ring(1.0, klass=2)) == []


def test_a_fast_app_is_never_waited_for() -> None:
    """The ring is full all the time because Kafka is faster still; it drains within a tick or two."""
    story = Story(clicks=BULK)
    assert story.run(10, rings=ring(1.0, drained=500)) == []


def test_released_is_not_held_again_within_a_second() -> None:
    story = Story(clicks=BULK)
    story.run(rings=ring(0.9))
    assert story.run(rings=ring(0.1)) == [("clicks", Act.RELEASE, Reason.RING)]
    assert story.run(0.9, rings=ring(0.9)) == []
    assert story.run(0.2) == [("clicks", Act.HOLD, Reason.RING)]


def test_an_app_that_is_down_holds_what_can_wait_in_kafka() -> None:
    story = Story(clicks=BULK, views=Lane(klass=2), orders=CRITICAL, mixed=MIXED)
    assert story.run(1.0, app_down=True) == []
    assert story.run(0.1) == [("clicks", Act.HOLD, Reason.APP_DOWN), ("views", Act.HOLD, Reason.APP_DOWN)]
    assert story.run(app_down=False) == [
        ("clicks", Act.RELEASE, Reason.APP_DOWN),
        ("views", Act.RELEASE, Reason.APP_DOWN),
    ]


def test_another_reason_takes_over() -> None:
    story = Story(clicks=BULK)
    story.run(1.5, app_down=True)
    assert story.run(app_down=False, rings=ring(0.85)) == [("clicks", Act.HOLD, Reason.RING)]
    assert story.run(rings=ring(0.2)) == [("clicks", Act.RELEASE, Reason.RING)]


def test_a_wide_span_holds_its_own_lane() -> None:
    story = Story(clicks=BULK, views=Lane(klass=2))
    story.lane("clicks", span=800)
    assert story.run() == [("clicks", Act.HOLD, Reason.SPAN)]
    story.lane("clicks", span=500)
    assert story.run() == [("clicks", Act.RELEASE, Reason.SPAN)]


def test_short_memory_holds_what_can_wait_before_the_rest() -> None:
    story = Story(clicks=BULK, orders=CRITICAL, mixed=MIXED)
    story.run(buffered=Level(50, 100))
    assert story.run(memory=memory(0.80)) == [("clicks", Act.HOLD, Reason.BUDGET)]
    assert story.run(memory=memory(0.90)) == [("orders", Act.HOLD, Reason.BUDGET), ("mixed", Act.HOLD, Reason.BUDGET)]
    assert story.run(memory=memory(0.79)) == [
        ("orders", Act.RELEASE, Reason.BUDGET), ("mixed", Act.RELEASE, Reason.BUDGET),
    ]  # fmt: skip
    assert story.run(memory=memory(0.69)) == [("clicks", Act.RELEASE, Reason.BUDGET)]


def test_memory_that_only_reading_lowers_holds_nothing() -> None:
    """With next to nothing in the rings, what fills memory is prefetched, and a hold would keep it there for ever."""
    story = Story(clicks=BULK)
    assert story.run(5, memory=memory(0.95), buffered=Level(5, 100)) == []
    story.run(buffered=Level(30, 100))
    assert story.run(buffered=Level(10, 100)) == [("clicks", Act.RELEASE, Reason.BUDGET)]


def test_a_halted_lane_is_left_alone() -> None:
    story = Story(clicks=replace(BULK, halted=True))
    assert story.run(10, rings=ring(1.0), memory=memory(0.99), buffered=Level(90, 100), app_down=True) == []


# ── the last rung ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_pause_comes_after_five_seconds_of_hold_and_goes_with_it() -> None:
    story = Story(clicks=replace(BULK, queued_bytes=20 * MIB))
    story.run(rings=ring(0.9))
    assert story.run(4.9, memory=memory(0.86)) == []
    assert story.run(0.2) == [("clicks", Act.PAUSE, Reason.RING)]
    assert (story.last.value, story.last.mark) == (pytest.approx(0.86), 0.85)
    assert story.last.seconds >= PAUSE_AFTER_SECONDS
    story.lane("clicks", queued_bytes=0)
    assert story.run(60, memory=memory(0.66)) == []  # fetching again would bring it back to 0.87
    assert story.run(rings=ring(0.5)) == [("clicks", Act.RELEASE, Reason.RING), ("clicks", Act.RESUME, None)]


def test_the_readers_own_hold_counts_and_ends_the_pause() -> None:
    story = Story(mixed=replace(MIXED, queued_bytes=20 * MIB, own_seconds=0.0))
    assert story.run(4.8, memory=memory(0.9)) == []
    assert story.run(0.3) == [("mixed", Act.PAUSE, None)]
    story.lane("mixed", own_seconds=None, queued_bytes=0)
    assert story.run(0.8) == []  # dwell
    assert story.run(0.3) == [("mixed", Act.RESUME, None)]


def test_a_hold_of_the_readers_that_was_interrupted_begins_anew() -> None:
    story = Story(mixed=replace(MIXED, queued_bytes=20 * MIB, own_seconds=0.0))
    story.run(4.5, memory=memory(0.9))
    story.lane("mixed", own_seconds=0.05)  # let go and held again between two looks
    assert story.run(4.8) == []
    assert story.run(0.4) == [("mixed", Act.PAUSE, None)]


def test_what_can_wait_is_paused_first_and_no_more_than_it_takes() -> None:
    story = Story(
        mixed=replace(MIXED, queued_bytes=30 * MIB, own_seconds=10.0),
        little=replace(BULK, queued_bytes=1000),
        less=replace(BULK, queued_bytes=4 * MIB),
        more=replace(BULK, queued_bytes=9 * MIB),
    )
    story.run(6, rings=ring(0.9))
    assert story.run(memory=memory(0.86)) == [("more", Act.PAUSE, Reason.RING)]
    story.lane("more", queued_bytes=0)
    assert story.run(memory=memory(0.95)) == [("less", Act.PAUSE, Reason.RING), ("mixed", Act.PAUSE, None)]


def test_a_lane_that_was_not_held_is_not_paused() -> None:
    story = Story(clicks=replace(BULK, queued_bytes=50 * MIB))
    assert story.run(30, memory=memory(0.99)) == []


def test_after_six_pauses_a_minute_it_is_only_held() -> None:
    """Memory goes up and down as fast as it can; resumed because it is low, paused because it is high."""
    story = Story(clicks=replace(BULK, queued_bytes=9 * MIB))
    story.run(6, rings=ring(0.9))
    for _ in range(60):
        story.run(1, memory=memory(0.86))
        story.run(1.1, memory=memory(0.5))
    pauses = [now for now, decision in story.made if decision.act is Act.PAUSE]
    resumes = [now for now, decision in story.made if decision.act is Act.RESUME]
    assert len(pauses) > 2 * PAUSES_A_MINUTE
    assert resumes[-1] < pauses[-1] + 2
    for first, seventh in zip(pauses, pauses[PAUSES_A_MINUTE:], strict=False):
        assert seventh - first >= 60
    for n in range(PAUSES_A_MINUTE, len(pauses), PAUSES_A_MINUTE):
        assert pauses[n] - resumes[n - 1] >= REST_SECONDS


# ── whatever comes ──────────────────────────────────────────────────────────────────────────────────────────────────

shares = st.floats(0, 1.1)
lanes = st.builds(
    Lane,
    klass=st.integers(-1, 3),
    span=st.integers(0, 1000),
    own_seconds=st.none() | st.floats(0, 20),
    queued_bytes=st.integers(0, 60 * MIB),
    halted=st.booleans(),
)
moments = st.builds(
    Levels,
    rings=st.tuples(*[st.builds(Level, st.floats(0, 110), st.just(100), st.floats(0, 600))] * 4),
    buffered=st.builds(Level, st.floats(0, 110), st.just(100)),
    memory=shares.map(memory),
    span=st.builds(Level, st.just(0), st.just(1000), st.floats(0, 5000)),
    app_down=st.booleans(),
    lanes=st.fixed_dictionaries(dict.fromkeys(range(3), lanes)),
)
# Levels that stay for a while and then jump, at a tick that is sometimes late.
stories = st.lists(st.tuples(moments, st.integers(1, 120), st.sampled_from([0.1, 0.1, 0.1, 0.25, 3.0])), max_size=40)


@settings(deadline=None, max_examples=150)
@given(stories)
def test_no_flicker_no_early_pause_and_always_an_end(story: list[tuple[Levels, int, float]]) -> None:
    holds, now = Holds(), 0.0
    held: dict[int, float] = {}  # lane → since when, by us
    anyhow: dict[int, float] = {}  # lane → since when, by anyone
    released: dict[int, float] = {}
    paused: dict[int, float] = {}
    pauses: dict[int, list[float]] = {}
    resumed: dict[int, float] = {}

    def tick(levels: Levels, elapsed: float) -> None:
        nonlocal now
        now += elapsed
        for decision in holds.decide(now, levels):
            key = decision.lane
            if decision.act is Act.HOLD:
                if key not in held:
                    assert now - released.get(key, float("-inf")) >= DWELL_SECONDS
                    held[key] = now
                assert decision.value >= decision.mark
            elif decision.act is Act.RELEASE:
                del held[key]  # KeyError: it was not held
                released[key] = now
            elif decision.act is Act.PAUSE:
                assert key not in paused
                assert now - resumed.get(key, float("-inf")) >= DWELL_SECONDS
                lane = levels.lanes[key]
                assert key in held or lane.own_seconds is not None
                own = lane.own_seconds if lane.own_seconds is not None and key not in held else None
                assert (own if own is not None else now - anyhow[key]) >= PAUSE_AFTER_SECONDS - 1e-9
                paused[key] = now
                pauses.setdefault(key, []).append(now)
                assert sum(now - at < 60 for at in pauses[key]) <= PAUSES_A_MINUTE
            else:
                assert now - paused.pop(key) >= DWELL_SECONDS
                resumed[key] = now
        for key, lane in levels.lanes.items():
            if key in held or key in paused or lane.own_seconds is not None:
                anyhow.setdefault(key, now - (lane.own_seconds or 0.0))
            else:
                anyhow.pop(key, None)
            assert (holds.reason(key) is not None) == (key in held)
            assert holds.paused(key) == (key in paused)

    for levels, ticks, elapsed in story:
        for _ in range(ticks):
            tick(levels, elapsed)
    calm = replace(CALM, lanes=dict.fromkeys(range(3), MIXED))
    for _ in range(round(DWELL_SECONDS * 10) + 1):
        tick(calm, 0.1)
    assert not held
    assert not paused
