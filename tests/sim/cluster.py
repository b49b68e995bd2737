"""What there is: Kafka, the group, the app and the processes, in the shape that a seed draws.

The sizes are small, so that rings fill, spans end and lanes are held all the time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random

from sim.app import App
from sim.checks import Checks
from sim.client import Client
from sim.group import Group
from sim.kafka import PARKING, Log, Partition
from sim.member import ENDED, Member
from sim.producer import Topic


@dataclass(slots=True)
class Shape:
    span: int
    chunks: int
    batch: int
    carry: int
    depth: int
    concurrency: int
    inflight: int
    members: int
    split: bool
    eager: bool
    parking: int  # partitions of the parking topic; 0: there is none
    pool: int  # records with the producer
    ttl: float
    mutant: str


class Cluster:
    def __init__(self, seed: int, mutant: str = "") -> None:
        self.seed, self.now = seed, 0.0
        self.rng = rng = Random(seed)
        self.trace: deque[str] = deque(maxlen=60)
        self.shape = Shape(
            span=rng.choice((64, 64, 128)),
            chunks=rng.choice((8, 8, 12, 24)),
            batch=rng.choice((1, 3, 10, 40)),
            carry=rng.choice((3, 10, 40)),
            depth=rng.choice((30, 100, 1000)),
            concurrency=rng.choice((1, 2, 4, 8)),
            inflight=rng.choice((2_000, 10_000, 100_000)),
            members=rng.choice((1, 2, 2, 3)),
            split=rng.random() < 0.3,
            eager=rng.random() < 0.3,
            parking=rng.choice((0, 1, 1, 2)),
            pool=rng.choice((2, 8, 40)),
            ttl=rng.choice((0.0, 0.0, 1.0, 10.0)),
            mutant=mutant,
        )
        self.partitions = [Partition(t, n) for t in ("orders", "clicks") for n in range(rng.choice((1, 1, 2, 3)))]
        parked = [Partition(PARKING, n) for n in range(self.shape.parking)]
        self.logs = {partition: Log(partition) for partition in [*self.partitions, *parked]}
        self.checks = Checks()
        self.group = Group(self.logs, rng, self.checks, self.shape.eager)
        self.parking = Topic([self.logs[one] for one in parked], rng, self.checks) if parked else None
        self.app = App(self.logs, rng, self.checks)
        self.sizes = rng.choice(((20, 60), (60, 300), (200, 1500), (20, 6000)))
        self.members: list[Member] = []
        self.dead: list[tuple[float, Client]] = []
        self.started = 0
        for _ in range(self.shape.members):
            self.start()

    def note(self, what: str) -> None:
        self.trace.append(f"{self.now:9.3f}  {what}")

    def tidy(self) -> None:
        for when, client in self.dead:
            if when <= self.now:
                self.group.expel(client)
        self.dead = [(when, client) for when, client in self.dead if when > self.now]
        for member in [member for member in self.members if member.phase == ENDED]:
            self.bury(member)
        self.group.advance([client for member in self.members for client in member.clients])

    def bury(self, member: Member) -> None:
        member.books()
        self.members.remove(member)
        if member.producer is not None:
            member.producer.abandon()
        self.app.abandon(member)
        self.dead += [(self.now + self.rng.choice((0, 1, 10)), c) for c in member.clients if not c.closed]

    def one(self) -> Member | None:
        return self.rng.choice(self.members) if self.members else None

    def start(self) -> str:
        if len(self.members) >= self.shape.members:
            return ""
        self.started += 1
        name, topics = f"m{self.started}", sorted({p.topic for p in self.logs})
        # Critical topics have a consumer of their own; what is parked is read by the other one.
        parts = [["orders"], [topic for topic in topics if topic != "orders"]] if self.shape.split else [topics]
        clients = [Client(self.group, part, self.rng, self.shape.depth, f"{name}.{n}") for n, part in enumerate(parts)]
        self.members.append(self._member(name, clients))
        for client in clients:
            self.group.join(client)
        return name

    def _member(self, name: str, clients: list[Client]) -> Member:
        return Member(name, clients, self.app, self.checks, lambda: self.now, self.rng, self.shape, self.parking)
