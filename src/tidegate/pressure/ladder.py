"""The ladder: NORMAL → DEFER → SAMPLE → HOLD → PAUSE, and what each class has to bear.

    DEFER   the law's share of a class is let in, the rest is parked (or waits in Kafka, where a whole lane can)
    SAMPLE  classes that list it: the rest is dropped; when parking takes no more, or could not be emptied in time
    HOLD    lanes that may bring what can go nowhere else are not read
    PAUSE   and give back what was fetched ahead

The first two are decided here. Holding and pausing are decided by hold.py with marks of its own, for its own reasons;
here they are only shown as the rung that they are. Tightened at once; let go one rung at a time, after three seconds
of calm each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.pressure.engage import CALM_SECONDS, Engagement, Strain, strain
from tidegate.pressure.hold import DWELL_SECONDS, Holds, Lane
from tidegate.pressure.notches import FLOORS, Notch
from tidegate.pressure.orders import Change, Orders, Rung, Settings
from tidegate.pressure.parking import Emptying, Parking
from tidegate.pressure.policy import Policy
from tidegate.pressure.shed import Demand, Rest, Share, Shed, shares
from tidegate.pressure.signals import View
from tidegate.types import CLASSES

OWN_SHARE = 0.5  # of the last seconds


def standing(lanes: Mapping[int, Lane], holds: Holds) -> tuple[bool, bool]:
    """Whether a lane is held, and paused, that may bring what cannot wait in Kafka.

    The reader's own hold counts after a second, or where it takes most of the time: an app that is fast lets the ring
    be full for moments all the time, and one that is slow, but not so slow, ends each hold within a second.
    """
    stuck = [key for key, lane in lanes.items() if not lane.deferrable and not lane.halted]
    held = any(holds.reason(key) or _holds_itself(lanes[key]) for key in stuck)
    return held, any(holds.paused(key) for key in stuck)


def _holds_itself(lane: Lane) -> bool:
    return (lane.own_seconds or 0.0) >= DWELL_SECONDS or lane.own_share >= OWN_SHARE


class Ladder:
    """Decides once a tick. Single-threaded; time is what it is told."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engagement = Engagement()
        self._emptying = Emptying(settings.headroom, settings.parking_seconds)
        self._notches = [Notch(FLOORS.get(klass, 1.0)) for klass in CLASSES]
        self._sampling = False
        self._accepted_since: float | None = None
        self._at: float | None = None
        self._moved_at = float("-inf")
        self.rung = Rung.NORMAL
        self.forced: Rung | None = None

    @property
    def emptying_seconds(self) -> float:
        """How long the parked records will take to come back, as of the last look."""
        return self._emptying.seconds

    def force(self, rung: Rung | None) -> None:
        """The operator's: this rung until told otherwise; None: decide again. May go over TIDEGATE_LADDER_MAX.

        DEFER and SAMPLE engage at once, without waiting for a strain; how much is shed stays the law's.
        """
        self.forced = rung

    def decide(self, now: float, view: View, parking: Parking, *, held: bool = False, paused: bool = False) -> Orders:
        """The orders of this tick.

        Args:
            held, paused: see `standing`.
        """
        seconds = 0.0 if self._at is None else now - self._at
        self._at = now
        cap = self._settings.highest if self.forced is None else self.forced
        self._choose_sampling(now, parking)
        rests = [self._rest(policy, parking, cap) for policy in self._settings.policies]
        law = self._law(view, rests)
        worst = strain(view, [rest is not None for rest in rests], self._settings.age_budgets)
        self._engage(now, law, worst, cap)
        sheds = self._sheds(now, view, law, rests, parking)
        before = self.rung
        self._climb(now, self._wanted(rests, held, paused), parking)
        calm = self.rung is Rung.NORMAL and self._engagement.calm(now)
        replay = self._emptying.update(seconds, view, parking, calm)
        return Orders(
            rung=self.rung,
            sheds=sheds,
            replay=replay,
            may_hold=cap >= Rung.HOLD,
            may_pause=cap >= Rung.PAUSE,
            hold_all=self.forced is not None and self.forced >= Rung.HOLD,
            pause_all=self.forced is Rung.PAUSE,
            keep=tuple(share.keep for share in law),
            change=None if before is self.rung else self._change(before, view, law, parking, worst),
        )

    # ── what may be done ────────────────────────────────────────────────────────────────────────────────────────

    def _choose_sampling(self, now: float, parking: Parking) -> None:
        """Whether classes that could be parked as well are sampled: parking refuses, or the operator says so."""
        if self._emptying.refused(self._sampling, parking) or self.forced == Rung.SAMPLE:
            self._sampling, self._accepted_since = True, None
        elif self._sampling:
            self._accepted_since = now if self._accepted_since is None else self._accepted_since
            if now - self._accepted_since >= CALM_SECONDS:
                self._sampling = False
                self._engagement.step(now)

    def _rest(self, policy: Policy, parking: Parking, cap: Rung) -> Rest | None:
        """Where records go that are not let in; None: nowhere, the class is protected."""
        parks = policy.defer and parking.available and cap >= Rung.DEFER
        if policy.sample and cap >= Rung.SAMPLE and (self._sampling or not parks):
            return Rest.DROP
        return Rest.PARK if parks else None

    # ── how much ────────────────────────────────────────────────────────────────────────────────────────────────

    def _law(self, view: View, rests: Sequence[Rest | None]) -> tuple[Share, ...]:
        if view.service is None:
            return tuple(Share() for _ in rests)
        lags = [0.0] * view.classes
        for lane in view.lanes.values():
            if lane.waits:
                lags = [lag + part * lane.lag for lag, part in zip(lags, lane.classes, strict=True)]
        return shares(
            view.service,
            [
                Demand(
                    offered=view.offered(klass, waits=False),
                    queued=view.queued[klass],
                    sheddable=rest is not None,
                    waiting=view.offered(klass, waits=True),
                    lag=lags[klass],
                )
                for klass, rest in enumerate(rests)
            ],
        )

    def _engage(self, now: float, law: Sequence[Share], worst: Strain, cap: Rung) -> None:
        engagement = self._engagement
        engagement.update(now, law, worst)
        if cap < Rung.DEFER:
            engagement.engaged = False
        elif self.forced in (Rung.DEFER, Rung.SAMPLE):
            engagement.engaged = True
        elif engagement.engaged and engagement.calm(now):
            engagement.engaged = False
            engagement.step(now)

    def _sheds(
        self,
        now: float,
        view: View,
        law: Sequence[Share],
        rests: Sequence[Rest | None],
        parking: Parking,
    ) -> tuple[Shed, ...]:
        queued = sum(n for n, rest in zip(view.queued, rests, strict=True) if rest is not None)
        queued_seconds = queued / view.service if view.service else 0.0
        made = []
        for klass, (share, rest) in enumerate(zip(law, rests, strict=True)):
            acts = self._engagement.engaged and rest is not None
            keep = share.keep if acts else 1.0
            if acts and rest is Rest.DROP:
                keep = self._notches[klass].update(now, share.keep, queued_seconds, 1.0 - view.rings[klass])
            else:
                self._notches[klass].reset()
            overflow = acts and self._settings.policies[klass].defer and parking.available
            made.append(Shed(keep, rest, overflow, share.rate if acts else None))
        return tuple(made)

    # ── which rung that is ──────────────────────────────────────────────────────────────────────────────────────

    def _wanted(self, rests: Sequence[Rest | None], held: bool, paused: bool) -> Rung:
        if self.forced is not None:
            return self.forced
        if paused or held:
            return Rung.PAUSE if paused else Rung.HOLD
        if not self._engagement.engaged:
            return Rung.NORMAL
        return Rung.SAMPLE if Rest.DROP in rests else Rung.DEFER

    def _climb(self, now: float, wanted: Rung, parking: Parking) -> None:
        """Up at once, down a rung at a time; where the operator says, at once. What cannot act is no rung."""
        if wanted > self.rung or (self.forced is not None and wanted is not self.rung):
            self.rung, self._moved_at = wanted, now
        elif wanted is self.rung:
            self._moved_at = now
        elif now - self._moved_at >= CALM_SECONDS:
            below = Rung(self.rung - 1)
            if below is Rung.SAMPLE and not any(policy.sample for policy in self._settings.policies):
                below = Rung.DEFER
            if below is Rung.DEFER and not parking.available:
                below = Rung.NORMAL
            self.rung, self._moved_at = max(below, wanted), now

    def _change(self, before: Rung, view: View, law: Sequence[Share], parking: Parking, worst: Strain) -> Change:
        numbers: dict[str, float | str] = {
            "service": view.service or 0.0,
            "utilisation": view.utilisation,
            "memory": view.memory,
            "age": max((lane.age for lane in view.lanes.values()), default=0.0),
            "lag": sum(lane.lag for lane in view.lanes.values()),
            "strain": str(worst.cause),
            "strain_value": worst.value,
        }
        if parking.available:
            numbers |= {
                "parked": parking.records,
                "parking_queue": parking.queue,
                "emptying_seconds": self._emptying.seconds,
            }
        for klass, share in zip(CLASSES, law, strict=True):
            numbers[f"offered_{klass.label}"] = view.offered(klass)
            numbers[f"queued_{klass.label}"] = view.queued[klass]
            numbers[f"keep_{klass.label}"] = share.keep
        return Change(before, self.rung, numbers)
