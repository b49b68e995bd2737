"""What may happen: each action is one thing, anywhere, and says in a few words what it did ("" for nothing)."""

from __future__ import annotations

from sim.app import MOODS
from sim.cluster import Cluster
from sim.intake import FLOWING, ORDERED_APP_DOWN, ORDERED_BUDGET, ORDERED_RING
from sim.member import READING

ORDERS = (
    (FLOWING, False), (FLOWING, False), (ORDERED_RING, False), (ORDERED_APP_DOWN, False), (ORDERED_BUDGET, True),
    (FLOWING, True),
)  # fmt: skip


class Actions(Cluster):
    def fetch(self) -> str:
        if member := self.one():
            self.rng.choice(member.clients).fetch(self.rng.randint(1, 30))
        return ""

    def read(self) -> str:
        return f"{member.name} {what}" if (member := self.one()) and (what := member.reader_step()) else ""

    def pump(self) -> str:
        return f"{member.name} {what}" if (member := self.one()) and (what := member.pump()) else ""

    def answer(self) -> str:
        return self.app.step(self.now)

    def append(self) -> str:
        log = self.logs[self.rng.choice(self.partitions)]
        klass, mixed, n = self.rng.randrange(4), self.rng.random() < 0.5, self.rng.randint(1, 25)
        for _ in range(n):
            log.append(self.rng.randrange(4) if mixed else klass, self.rng.randint(*self.sizes))
        return f"{n} to {log.partition}, end {log.end}"

    def commit(self) -> str:
        if member := self.one():
            self.rng.choice(member.clients).commit()
        return ""

    def mark(self) -> str:
        log = self.logs[self.rng.choice(self.partitions)]
        log.mark()
        return f"{log.partition} ends at {log.end}"

    def compact(self) -> str:
        log = self.logs[self.rng.choice(self.partitions)]
        return f"{log.compact(self.rng)} of {log.partition}"

    def retain(self) -> str:
        log = self.logs[self.rng.choice(self.partitions)]
        log.retain(self.rng.randint(log.start, log.end))
        return f"{log.partition} from {log.start}"

    def mood(self) -> str:
        self.app.mood = self.rng.choice(list(MOODS))
        return self.app.mood

    def rebalance(self) -> str:
        self.group.rebalance()
        return str({repr(p): m.name for p, m in self.group.target.items()})

    def expel(self) -> str:
        if not (member := self.one()):
            return ""
        client = self.rng.choice(member.clients)
        self.group.expel(client)
        return client.name

    def crash(self) -> str:
        if not (member := self.one()):
            return ""
        self.bury(member)
        return member.name

    def stop(self) -> str:
        member = self.one()
        if member is None or member.phase != READING:
            return ""
        member.stop()
        return member.name

    def jump(self) -> str:
        """Nobody runs for a while: a stalled host."""
        seconds = self.rng.choice((1.0, 3.0, 15.0, 70.0))
        self.now += seconds
        return f"{seconds} s"

    def stall(self) -> str:
        """One event loop does nothing for a while; its reader and the others go on."""
        if not (member := self.one()):
            return ""
        member.stalled = self.now + self.rng.choice((0.5, 5.0, 20.0))
        return f"{member.name} until {member.stalled:.3f}"

    def order(self) -> str:
        """The control holds a lane, pauses it, or lets it go."""
        if not (member := self.one()) or not member.intake.lanes or self.now < member.stalled:
            return ""
        lane = self.rng.choice(list(member.intake.lanes.values()))
        reason, pause = self.rng.choice(ORDERS)
        member.order(lane, reason, pause)
        return f"{member.name} {lane.topic} {reason}{' pause' if pause else ''}"

    def trouble(self) -> str:
        self.group.troubled = not self.group.troubled
        return str(self.group.troubled)
