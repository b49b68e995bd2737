"""What may happen: each action is one thing, anywhere, and says in a few words what it did ("" for nothing)."""

from __future__ import annotations

from sim.admission import DROP, PARK
from sim.app import MOODS
from sim.cluster import Cluster
from sim.intake import FLOWING, ORDERED_APP_DOWN, ORDERED_BUDGET, ORDERED_RING
from sim.member import READING, Member
from sim.producer import MOODS as PARKING_MOODS

ORDERS = (
    (FLOWING, False), (FLOWING, False), (ORDERED_RING, False), (ORDERED_APP_DOWN, False), (ORDERED_BUDGET, True),
    (FLOWING, True),
)  # fmt: skip

SHARES = (0.0, 0.3, 0.8)  # of what comes


class Actions(Cluster):
    def fetch(self) -> str:
        if member := self.one():
            for _ in range(self.rng.choice((1, 4))):
                self.rng.choice(member.clients).fetch(self.rng.randint(1, 30))
        return ""

    def read(self) -> str:
        """One part of the reader's round, or some that nothing comes between."""
        member, did = self.one(), []
        if member is not None:
            did = [what for _ in range(self.rng.choice((1, 1, 8))) if (what := member.reader_step())]
        return f"{member.name} {', '.join(did)}" if member is not None and did else ""

    def pump(self) -> str:
        return f"{member.name} {what}" if (member := self.one()) and (what := member.pump()) else ""

    def answer(self) -> str:
        return self.app.step(self.now)

    def append(self) -> str:
        log = self.logs[self.rng.choice(self.partitions)]
        klass, mixed, n = self.rng.randrange(4), self.rng.random() < 0.5, self.rng.randint(1, 25)
        for _ in range(n):
            log.append(self.rng.randrange(4) if mixed else klass, self.rng.randint(*self.sizes), self.now)
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
        log = self.rng.choice(list(self.logs.values()))
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

    # ── parking ─────────────────────────────────────────────────────────────────────────────────────────────────

    def shed(self) -> str:
        """The control says what the gate lets in, what becomes of the rest, and whether what comes back may be read."""
        return self.press(member) if (member := self.one()) and self.now >= member.stalled else ""

    def press(self, member: Member) -> str:
        available = self.parking is not None and self.rng.random() < 0.8
        rests = [PARK, PARK, DROP] if available else [DROP]
        orders = {k: (self.rng.choice(SHARES), self.rng.choice(rests)) for k in (2, 3) if self.rng.random() < 0.7}
        overflow = frozenset({1, 2, 3}) if available and self.rng.random() < 0.5 else frozenset[int]()
        member.shed(orders, overflow, not available)
        member.intake.replaying = self.rng.random() < 0.4
        return f"{member.name} {orders} overflow {sorted(overflow)}{' replays' if member.intake.replaying else ''}"

    def park(self) -> str:
        """Kafka does something with a record that is to be parked."""
        member = self.one()
        return f"{member.name} {what}" if member and member.producer and (what := member.producer.step()) else ""

    def parking_mood(self) -> str:
        if self.parking is None:
            return ""
        self.parking.mood = self.rng.choice(list(PARKING_MOODS))
        if self.parking.mood == "gone":  # and what was in it
            for log in self.parking.logs:
                log.retain(log.end)
        return self.parking.mood

    def trouble(self) -> str:
        self.group.troubled = not self.group.troubled
        return str(self.group.troubled)
