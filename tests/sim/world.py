"""One seed: its shape, its faults, its schedule; then healing, and the end of everybody.

A shape is drawn first (sizes, protocol, how often what happens), because uniform faults all look alike: some runs never
crash, others do little else. Every step then moves the clock and does one thing.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.actions import Actions
from sim.checks import Checks
from sim.intake import FLOWING
from sim.kafka import ViolationError
from sim.member import READING, Member

MUTANTS = {
    "": "none",
    "late-ack": "an acknowledgement reaches its partition's next assignment",
    "gap-jump": "the frontier jumps over a gap",
    "hold-lost": "a hold, and what it held back, is lost at a rebalance",
    "order-lost": "what the control ordered is forgotten at a rebalance",
    "pause-left": "a partition that was paused when it was taken away stays paused when it comes back",
    "park-early": "a record counts as parked before Kafka has it",
    "late-report": "a report on a parked record reaches its partition's next assignment",
    "back-lost": "a record that Kafka did not take is forgotten",
    "back-gap": "a record that Kafka did not take forgets the offsets that it stands for",
    "park-again": "a parked record meets the gate when it comes back",
    "old-reset": "an offset reset of an earlier assignment is repaired in this one",
}
HEAL_SECONDS = 70.0  # a target's Retry-After may be a minute away
TICKS = (0.0, 0.0, 0.001, 0.01, 0.05, 0.3)


class World(Actions):
    def __init__(self, seed: int, mutant: str = "") -> None:
        super().__init__(seed, mutant)
        rng = self.rng
        self.steps = rng.choice((150, 400, 900))
        often = {
            self.fetch: 6, self.read: 12, self.pump: 6, self.answer: 8, self.append: 5, self.commit: 2,
            self.park: 8,
        }  # fmt: skip
        seldom = {
            self.mark: 1.0, self.compact: 0.5, self.retain: 0.2, self.mood: 0.4, self.start: 0.5, self.order: 1.0,
            self.shed: 2.0, self.parking_mood: 0.4,
        }  # fmt: skip
        # Where all of it comes at once, little is read between; where it comes seldom, more can go wrong with what was.
        churn = {
            self.rebalance: 0.6, self.expel: 0.15, self.crash: 0.25, self.stop: 0.15, self.jump: 0.3,
            self.trouble: 0.2, self.stall: 0.4,
        }  # fmt: skip
        times = rng.choice((0.1, 0.1, 0.3, 1))
        seldom |= {action: weight * times for action, weight in churn.items()}
        for member in self.members if rng.random() < 0.7 else ():
            self.press(member)
        self.actions = list(often) + list(seldom)
        self.weights = [w * rng.choice((0.5, 1, 2)) for w in often.values()]
        self.weights += [w * rng.choice((0, 0, 1, 1, 4)) for w in seldom.values()]

    # ── the run ─────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> Checks:
        """Raises ViolationError."""
        for step in range(self.steps):
            self.now += self.rng.choice(TICKS)
            self.do(self.rng.choices(self.actions, self.weights)[0])
            if step % 32 == 0:
                for member in self.members:
                    member.books()
        if self.parking is not None:
            self.surge(self.rng.choice((0, 10, 30)))
        self.heal()
        self.end()
        return self.checks

    def do(self, action: Callable[[], str]) -> None:
        what = action()
        if what:
            self.note(f"{action.__name__}: {what}")
        self.tidy()

    def surge(self, rounds: int) -> None:
        """More comes than by single steps, most of it at the gate and in the parking topic; faults go on between."""
        self.note("surge")
        for _ in range(rounds):
            self.now += self.rng.choice(TICKS)
            self.do(self.append)
            for member in list(self.members):
                for client in member.clients:
                    client.fetch(30)
                member.round()
                member.pump()
                for _ in range(self.rng.randint(0, 8) if member.producer is not None else 0):
                    member.producer.step()
                if self.rng.random() < 0.1:
                    self.note(f"shed: {self.press(member)}")
            for _ in range(4):
                self.do(self.answer)
            self.do(self.rng.choices(self.actions, self.weights)[0])
            for member in self.members:
                member.books()

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def heal(self) -> None:
        """No more faults: the lag goes down at least once in HEAL_SECONDS, until it is 0 (I8)."""
        self.note("healing")
        self.app.mood, self.group.troubled = "well", False
        if self.parking is not None:
            self.parking.mood = "well"
        for member in self.members:
            member.stalled = 0.0
            self.calm(member)
            for lane in member.intake.lanes.values():
                member.order(lane, FLOWING, False)
        until, tick, lag = self.now + HEAL_SECONDS, 0.02, self.group.lag
        while not (self.members and self.still()):
            if self.now >= until:
                lags = {repr(p): (self.group.committed_of(p), log.start, log.end) for p, log in self.logs.items()}
                raise ViolationError(f"I8 lag: it stands for {HEAL_SECONDS} s, (committed, start, end) = {lags}")
            self.now += tick
            tick = min(tick * 1.1, 1.0)
            if not self.members:
                self.do(self.start)
                for member in self.members:
                    self.calm(member)
            self.everybody()
            if self.group.lag < lag:
                until, lag = self.now + HEAL_SECONDS, self.group.lag
        self.checks.delivered(self.logs)
        for member in self.members:
            member.at_rest()
            member.books()

    @staticmethod
    def calm(member: Member) -> None:
        member.shed({}, frozenset(), resting=False)
        member.intake.replaying = True

    def everybody(self) -> None:
        for _ in range(10):
            self.now += 0.006  # nothing lingers longer
            for member in self.members:
                for client in member.clients:
                    client.fetch(100)
                member.round()
            for _ in range(30):
                for member in self.members:
                    member.pump()
                    for _ in range(member.producer.inside if member.producer is not None else 0):
                        member.producer.step()
                if not self.app.sends and not any(member.reported for member in self.members):
                    break
                for _ in range(len(self.app.sends) + len(self.app.late)):
                    self.app.step(self.now)
        for member in self.members:
            for client in member.clients:
                client.commit()
        self.tidy()

    def still(self) -> bool:
        return (
            self.group.lag == 0
            and all(member.idle for member in self.members)  # a retry may wait for half a minute
            and not self.dead
            and all(not lane.carry for member in self.members for lane in member.intake.lanes.values())
            and all(member.phase == READING for member in self.members)
        )

    def end(self) -> None:
        """Everybody is told to stop, in peace: gone in time, nothing given up (I10)."""
        self.note("stopping")
        members, until = list(self.members), self.now + 20.0
        for member in members:
            member.stop()
        while self.members:
            if self.now >= until:
                raise ViolationError(f"I10 end: {[m.name for m in self.members]} do not end")
            self.now += 0.1
            self.everybody()
        if given_up := sum(member.given_up for member in members):
            raise ViolationError(f"I10 given up: {given_up} records, with nothing in the way")
