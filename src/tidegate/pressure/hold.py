"""Hold and pause: which lanes are not read for now, and which give back what was fetched ahead for them.

    flowing ──a cause stands──► held ──5 s, memory over 85 %──► paused
       ▲                         │ │                              │
       └──no cause, at once──────┘ └◄── the cause has gone, or memory would stay low; after 1 s at the earliest

*Hold*: the reader does not read the lane. librdkafka goes on until its queue for the lane is full and then fetches no
more; nothing is thrown away. *Pause*, the last rung: librdkafka drops that queue and fetches it again later.

Holding here only comes before what the reader does by itself: a full ring, or a full span, stops its lane at once, and
no decision of this file can shorten or prevent that. Therefore only lanes are held early whose every class can wait in
Kafka (a `topic:` rule makes them normal or bulk), and they leave the rest of the room to the others; a lane that may
carry critical or high records is read as far as its rings go, or until memory itself is short.

Dwell: a lane that was released is not held again for a second, a lane that was paused stays so for a second, and after
six pauses within a minute it is only held, for ten seconds at least. Releasing never waits: the app would run dry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.pressure.marks import Level, Marks
from tidegate.types import EventClass

TICK_SECONDS = 0.1
DWELL_SECONDS = 1.0
APP_DOWN_SECONDS = 1.0  # so long before it counts: a probe that fails is no outage
PAUSE_AFTER_SECONDS = 5.0
PAUSES_A_MINUTE = 6
MINUTE_SECONDS = 60.0
REST_SECONDS = 10.0
PAUSE_AT = 0.85  # of memory
PAUSE_DOWN_TO = 0.80  # as many lanes are paused as it takes to get here
RESUME_AT = 0.70  # where memory would be after the paused lane has fetched again
WORTH_BYTES = 64 << 10  # less than this is not worth a pause

RING = Marks(0.80, 0.50)
SPAN = Marks(0.80, 0.50)
BUDGET = Marks(0.80, 0.70)
BUDGET_PROTECTED = Marks(0.90, 0.80)
# Holding lowers memory only by what the app takes out of the rings meanwhile. With less than this in them there is
# nothing to wait for, and reading is what lowers it: prefetched records become delivered ones.
BUFFERED = Marks(0.25, 0.10)


class Reason(StrEnum):
    """Why a lane is held. In the order in which they are shown where more than one stands."""

    APP_DOWN = "app-down"
    RING = "ring"
    SPAN = "span"
    BUDGET = "budget"


class Act(StrEnum):
    """What a decision asks for."""

    HOLD = "hold"  # also: held already, for another reason from now on
    RELEASE = "release"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Lane:
    """What is known of one lane.

    Attributes:
        klass: the class of the whole topic; -1: each record's own, so any.
        span: unsettled offsets of its fullest partition.
        own_seconds: how long the reader itself has held it; None: it does not.
        own_share: share of the last seconds in which it did.
        queued_bytes: fetched ahead of the reader.
        halted: for good; nothing here matters to it.
        kept: the operator said that what it brings may not wait (TIDEGATE_<CLASS>_ON_PRESSURE).
    """

    klass: int = -1
    span: int = 0
    own_seconds: float | None = None
    queued_bytes: int = 0
    halted: bool = False
    own_share: float = 0.0
    kept: bool = False

    @property
    def deferrable(self) -> bool:
        """Nothing that it can bring is critical or high, or to be kept."""
        return self.klass >= EventClass.NORMAL and not self.kept


@dataclass(frozen=True, slots=True)
class Levels:
    """One moment. `lanes` by a key that stays the lane's own.

    Attributes:
        rings: each class's ring: of the room that the class could have.
        buffered: all rings together.
        memory: accounted bytes of the whole budget (see tidegate.control).
        span: capacity, and how fast offsets are settled; `used` is each lane's own.
        app_down: the target is down.
    """

    rings: Sequence[Level]
    buffered: Level
    memory: Level
    span: Level
    app_down: bool
    lanes: Mapping[int, Lane]


@dataclass(frozen=True, slots=True)
class Decision:
    """One change for one lane, and the numbers that caused it.

    Attributes:
        reason: of the hold that begins, ended or led to the pause; None for what the reader itself held.
        value, mark: the share and the mark that it passed.
        seconds: how long the lane had been released, held or paused before.
    """

    lane: int
    act: Act
    reason: Reason | None
    value: float
    mark: float
    seconds: float


@dataclass(slots=True)
class _State:
    causes: set[Reason] = field(default_factory=set)
    reason: Reason | None = None  # held by us
    since: float = 0.0  # of that
    released_at: float = float("-inf")
    held_since: float | None = None  # by anyone, without a break
    paused_at: float | None = None
    resumed_at: float = float("-inf")
    purged_bytes: int = 0
    pauses: deque[float] = field(default_factory=deque)
    rest_until: float = float("-inf")


class Holds:
    """Decides for every lane, once a tick. Single-threaded; time is what it is told.

    Args:
        tick_seconds: time between two looks; the marks allow for two of them.
    """

    def __init__(self, tick_seconds: float = TICK_SECONDS) -> None:
        self._tick = tick_seconds
        self._lanes: dict[int, _State] = {}
        self._down_since: float | None = None
        self._buffered = False

    def reason(self, lane: int) -> Reason | None:
        """Why we hold the lane; None: we do not."""
        state = self._lanes.get(lane)
        return state.reason if state is not None else None

    def paused(self, lane: int) -> bool:
        """Whether the lane is to be paused."""
        state = self._lanes.get(lane)
        return state is not None and state.paused_at is not None

    def decide(self, now: float, levels: Levels) -> list[Decision]:
        """The changes of this tick. Each lane's last decision stands until the next one about it."""
        if not levels.app_down:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now
        self._buffered = BUFFERED.stands(self._buffered, levels.buffered, self._tick)
        made: list[Decision] = []
        for key, lane in levels.lanes.items():
            state = self._lanes.setdefault(key, _State())
            self._hold(now, key, lane, state, levels, made)
            self._resume(now, key, lane, state, levels, made)
        self._pause(now, levels, made)
        return made

    # ── causes ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _causes(self, now: float, lane: Lane, before: set[Reason], levels: Levels) -> dict[Reason, tuple[float, float]]:
        """What stands against reading the lane, each with its value and the mark that it passed."""
        found: dict[Reason, tuple[float, float]] = {}
        if lane.halted:
            return found

        def check(reason: Reason, marks: Marks, level: Level) -> None:
            was = reason in before
            if marks.stands(was, level, self._tick):
                found[reason] = (level.share, marks.low_for(level, self._tick) if was else marks.high)

        if lane.deferrable:
            down = now - self._down_since if self._down_since is not None else 0.0
            if down >= APP_DOWN_SECONDS:
                found[Reason.APP_DOWN] = (down, APP_DOWN_SECONDS)
            check(Reason.RING, RING, levels.rings[lane.klass])
            check(Reason.SPAN, SPAN, Level(lane.span, levels.span.capacity, levels.span.drained))
        if self._buffered:
            check(Reason.BUDGET, BUDGET if lane.deferrable else BUDGET_PROTECTED, levels.memory)
        return found

    def _hold(self, now: float, key: int, lane: Lane, state: _State, levels: Levels, made: list[Decision]) -> None:
        causes = self._causes(now, lane, state.causes, levels)
        if state.reason is None:
            if causes and now - state.released_at >= DWELL_SECONDS:
                reason = next(r for r in Reason if r in causes)
                made.append(Decision(key, Act.HOLD, reason, *causes[reason], now - state.released_at))
                state.reason, state.since = reason, now
            elif causes:
                causes = {}  # not yet: and the high mark has to be passed again
        elif not causes:
            value, mark = self._now(state.reason, now, lane, levels)
            made.append(Decision(key, Act.RELEASE, state.reason, value, mark, now - state.since))
            state.reason, state.released_at = None, now
        elif state.reason not in causes:
            reason = next(r for r in Reason if r in causes)
            made.append(Decision(key, Act.HOLD, reason, *causes[reason], now - state.since))
            state.reason, state.since = reason, now
        state.causes = set(causes)
        if lane.own_seconds is not None and state.reason is None and state.paused_at is None:
            # The reader may have let it go and held it again since the last look: its own count says.
            own_since = now - lane.own_seconds
            state.held_since = own_since if state.held_since is None else max(state.held_since, own_since)
        elif state.reason is not None or state.paused_at is not None:
            state.held_since = now if state.held_since is None else state.held_since
        else:
            state.held_since = None

    def _now(self, reason: Reason, now: float, lane: Lane, levels: Levels) -> tuple[float, float]:
        """Value and mark at which a hold ends."""
        if reason is Reason.APP_DOWN:
            return 0.0, APP_DOWN_SECONDS
        if reason is Reason.BUDGET:
            marks, level = BUDGET if lane.deferrable else BUDGET_PROTECTED, levels.memory
        elif reason is Reason.RING:
            marks, level = RING, levels.rings[lane.klass]
        else:
            marks, level = SPAN, Level(lane.span, levels.span.capacity, levels.span.drained)
        return level.share, marks.low_for(level, self._tick)

    # ── the last rung ───────────────────────────────────────────────────────────────────────────────────────────

    def _resume(self, now: float, key: int, lane: Lane, state: _State, levels: Levels, made: list[Decision]) -> None:
        if state.paused_at is None or now - state.paused_at < DWELL_SECONDS:
            return
        again = Level(levels.memory.used + state.purged_bytes, levels.memory.capacity)
        if (state.reason is not None or lane.own_seconds is not None) and again.share > RESUME_AT:
            return
        made.append(Decision(key, Act.RESUME, state.reason, again.share, RESUME_AT, now - state.paused_at))
        state.paused_at, state.resumed_at = None, now
        if self._recent(now, state) >= PAUSES_A_MINUTE:
            state.rest_until = now + REST_SECONDS
        if state.reason is None and lane.own_seconds is None:
            state.held_since = None
            state.released_at = now

    def _pause(self, now: float, levels: Levels, made: list[Decision]) -> None:
        """Lanes that were held for long enough, those that can wait first, the fullest first, as many as it takes."""
        if levels.memory.share < PAUSE_AT:
            return
        ready = [
            (not lane.deferrable, -lane.queued_bytes, key)
            for key, lane in levels.lanes.items()
            if lane.queued_bytes >= WORTH_BYTES and self._may_pause(now, self._lanes[key])
        ]
        used = levels.memory.used
        for _, queued, key in sorted(ready):
            if used <= PAUSE_DOWN_TO * levels.memory.capacity:
                break
            state = self._lanes[key]
            assert state.held_since is not None
            made.append(
                Decision(key, Act.PAUSE, state.reason, used / levels.memory.capacity, PAUSE_AT, now - state.held_since)
            )
            state.paused_at, state.purged_bytes = now, -queued
            state.pauses.append(now)
            used += queued

    def _recent(self, now: float, state: _State) -> int:
        while state.pauses and now - state.pauses[0] >= MINUTE_SECONDS:
            state.pauses.popleft()
        return len(state.pauses)

    def _may_pause(self, now: float, state: _State) -> bool:
        return (
            state.paused_at is None
            and state.held_since is not None
            and now - state.held_since >= PAUSE_AFTER_SECONDS
            and now - state.resumed_at >= DWELL_SECONDS
            and now >= state.rest_until
            and self._recent(now, state) < PAUSES_A_MINUTE
        )
