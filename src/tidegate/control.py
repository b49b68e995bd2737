"""The tick: ten times a second, twice where nothing is there; native counters → decisions → orders.

    Senses ─► Signals ─► Ladder ─► Orders ─┬─► Actuator: what is parked, sampled, replayed
       └────────────────────────► Holds ───┴─► Reader.order(lane, reason, pause)

Nothing depends on it for correctness. A ring that is full, and a partition with too many unsettled offsets, stop their
lane in the reader's own thread at once; a tick that is late or fails costs comfort (room that is kept free for others,
prefetched bytes that are given back), never a record. What was ordered stands until the next order.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tidegate.pressure.hold import TICK_SECONDS, Act, Decision, Holds, Lane
from tidegate.pressure.ladder import Ladder, standing
from tidegate.pressure.orders import Actuator, NoActuator, Orders, Pressure, Rung, Settings
from tidegate.pressure.parking import Parking
from tidegate.pressure.shed import Shed
from tidegate.pressure.signals import Signals, View
from tidegate.sensing import DeliveryFigures, Senses
from tidegate.types import CLASSES

if TYPE_CHECKING:
    from tidegate.core.ledger import Ledger
    from tidegate.core.reader import Reader
    from tidegate.core.ring import Rings
    from tidegate.types import LaneState

SHARE_OF_LOOP = 0.05  # with thousands of lanes a tick takes longer: it then comes less often
QUIET_SECONDS = 0.5  # between two looks while nothing is held, buffered or in flight: an idle process costs nothing
OPERATOR = "operator"


class Log(Protocol):
    """The part of a structlog logger that is used."""

    def info(self, event: str, **fields: Any) -> Any: ...
    def exception(self, event: str, **fields: Any) -> Any: ...


class Control:
    """Holds and pauses lanes, and has the ladder's orders carried out. Everything happens on the event loop's thread.

    Args:
        memory_bytes: what the budget's shares add up to.
        settings: what pressure may do.
        figures: delivery's, of now.
        actuator: who parks, samples and replays.
        clock: seconds, monotonic.
        wall: Unix seconds.
    """

    def __init__(
        self,
        reader: Reader,
        rings: Rings,
        ledger: Ledger,
        figures: Callable[[], DeliveryFigures],
        *,
        memory_bytes: int,
        settings: Settings,
        log: Log,
        actuator: Actuator | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._figures = figures
        self._actuator = actuator if actuator is not None else NoActuator()
        self._log = log
        self._clock, self._wall = clock, wall
        self._settings = settings if self._actuator.samples else settings.without_sampling()
        self._senses = Senses(rings, ledger, self._settings.policies, memory_bytes)
        self._signals = Signals()
        self._ladder = Ladder(self._settings)
        self._holds = Holds()
        self._filter = (True, True, False, False)  # of the last orders: whether what was decided is carried out
        self._keep = (1.0,) * len(CLASSES)
        self._changes: Counter[Rung] = Counter()
        self._view: View | None = None
        self._ordered: dict[int, tuple[str | None, bool]] = {}  # lane → reason, pause: as last ordered
        self._failed = False
        self._parking = Parking()
        self._replay: float | None = None
        self.accounted_bytes = 0
        self.interval = QUIET_SECONDS  # until the next look

    async def run(self) -> None:
        """Ticks until cancelled."""
        while True:
            began = self._clock()
            self.tick(began)
            await asyncio.sleep(max(self.interval, (self._clock() - began) / SHARE_OF_LOOP))

    def pressure(self) -> Pressure:
        """How things stand, as of the last tick."""
        ladder = self._ladder
        return Pressure(
            ladder.rung,
            ladder.forced,
            self._settings.highest,
            self._keep,
            dict(self._changes),
            self._view,
            self._parking,
            self._actuator.state(),
            ladder.emptying_seconds,
            self._replay,
        )

    def force(self, rung: Rung | None) -> None:
        """The operator's word, from the next tick on; None: decide again.

        Raises:
            ValueError: nothing can act on this rung.
        """
        if rung is Rung.DEFER and not self._parking.available:
            raise ValueError("nothing can be deferred: there is no parking topic")
        if rung is Rung.SAMPLE and not self._actuator.samples:
            raise ValueError("nothing can be sampled: there is no gate")
        if rung is Rung.SAMPLE and not any(policy.sample for policy in self._settings.policies):
            raise ValueError("nothing may be sampled: no class has it in TIDEGATE_<CLASS>_ON_PRESSURE")
        if rung is not self._ladder.forced:
            self._log.info("the operator set the rung" if rung is not None else "the rung is decided again",
                           rung=rung.label if rung is not None else self._ladder.rung.label)  # fmt: skip
        self._ladder.force(rung)

    def force_replay(self, rate: float | None) -> None:
        """How fast parked records come back, by the operator's word, whatever the pressure; None: as is decided.

        Raises:
            ValueError: nothing is parked here.
        """
        if self._actuator.state().topic is None:
            raise ValueError("nothing can come back: there is no parking topic")
        if rate != self._replay:
            self._log.info("the operator set the replay" if rate is not None else "the replay is decided again",
                           records_per_second=rate)  # fmt: skip
        self._replay = rate

    def tick(self, now: float) -> None:
        """One look and its consequences. Never raises: a fault lets every lane go, and is said once."""
        try:
            states = self._reader.lanes()
            look = self._senses.look(now, states, self._figures())
            self.accounted_bytes = look.accounted_bytes
            self.interval = QUIET_SECONDS if look.quiet else TICK_SECONDS
            self._view = view = self._signals.update(now, self._wall(), look.counts)
            lanes = look.levels.lanes
            held, paused = standing(lanes, self._holds)
            self._actuator.settle()
            self._parking = self._actuator.parking(states)
            orders = self._ladder.decide(now, view, self._parking, held=held, paused=paused)
            self._actuator.shed(orders.sheds)
            self._actuator.relieve(states)
            self._actuator.replay(orders.replay if self._replay is None else self._replay)
            self._keep = orders.keep
            if orders.change is not None:
                self._changes[orders.rung] += 1
                self._say_change(orders)
            decisions = self._holds.decide(now, look.levels)
            self._obey(orders, decisions, lanes)
            for decision in decisions:
                self._say(decision, states, orders)
            self._failed = False
        except Exception:
            if not self._failed:
                self._log.exception("deciding on pressure failed; all is let in, each topic is read as its rings allow")
            self._failed = True
            self._holds = Holds()
            for lane in self._ordered:
                self._order(lane, None, False)
            self._actuator.shed((Shed(),) * len(CLASSES))
            self._actuator.replay(0.0)

    # ── orders to the reader ────────────────────────────────────────────────────────────────────────────────────

    def _obey(self, orders: Orders, decisions: Sequence[Decision], lanes: Mapping[int, Lane]) -> None:
        """Holds' decisions as far as the ladder lets them be. Where that changed, every lane's is looked at again."""
        now = (orders.may_hold, orders.may_pause, orders.hold_all, orders.pause_all)
        changed, self._filter = now != self._filter, now
        for lane in lanes if changed or orders.hold_all else {decision.lane for decision in decisions}:
            reason: str | None = self._holds.reason(lane) if orders.may_hold else None
            pause = self._holds.paused(lane) and orders.may_pause
            if orders.hold_all and lanes[lane].deferrable and not lanes[lane].halted:
                reason, pause = reason or OPERATOR, pause or orders.pause_all
            self._order(lane, reason, pause)

    def _order(self, lane: int, reason: str | None, pause: bool) -> None:
        if self._ordered.get(lane, (None, False)) != (reason, pause):
            self._reader.order(lane, reason, pause)
            self._ordered[lane] = (reason, pause)

    # ── words ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _say(self, decision: Decision, states: Sequence[LaneState], orders: Orders) -> None:
        """A line for each pause, which are few; holds are in the metrics."""
        if decision.act in (Act.PAUSE, Act.RESUME) and orders.may_pause:
            paused = decision.act is Act.PAUSE
            self._log.info(
                "paused a topic to give memory back; what was fetched ahead comes again"
                if paused
                else "resumed a topic",
                topic=states[decision.lane].topic,
                reason=str(decision.reason or states[decision.lane].reason),
                memory=round(decision.value, 3),
                after_seconds=round(decision.seconds, 1),
            )

    def _say_change(self, orders: Orders) -> None:
        """A line for each change of the rung, with the numbers that caused it."""
        change = orders.change
        assert change is not None
        self._log.info(
            "the rung changed",
            before=change.before.label,
            rung=change.after.label,
            **{name: _rounded(value) for name, value in change.numbers.items()},
        )


def _rounded(value: float | str) -> float | str:
    """Three digits; whole numbers where there are more."""
    if isinstance(value, str) or value in (float("inf"), float("-inf")):
        return value
    return float(f"{value:.3g}") if abs(value) < 100 else round(value)
