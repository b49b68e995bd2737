"""The group: who has which partition, what is committed; cooperative and eager rebalances, expulsion."""

from __future__ import annotations

from random import Random

from sim.checks import Checks
from sim.client import ASSIGN, REVOKE, Client
from sim.kafka import NOTHING, Log, Partition


class Group:
    def __init__(self, logs: dict[Partition, Log], rng: Random, checks: Checks, eager: bool) -> None:
        self.logs, self.rng, self.checks, self.eager = logs, rng, checks, eager
        self.committed: dict[Partition, int] = {}
        self.members: list[Client] = []
        self.owner: dict[Partition, Client] = {}
        self.target: dict[Partition, Client] = {}
        self.leaving: list[Client] = []
        self.revoking = False  # eager: everybody gives back what he has, then all are assigned
        self.troubled = False  # offset requests may fail

    # ── membership ──────────────────────────────────────────────────────────────────────────────────────────────

    def join(self, client: Client) -> None:
        self.members.append(client)
        self.rebalance()

    def rebalance(self) -> None:
        """A new target, not a sticky one: partitions move often."""
        self.target = {}
        for partition in self.logs:
            takers = [m for m in self.members if partition.topic in m.topics and not m.closing]
            if takers:
                self.target[partition] = self.rng.choice(takers)
        self.revoking = self.eager

    def expel(self, client: Client) -> None:
        """Its session ended. The others go on at once; it learns of it when it hears of the group again."""
        if client in self.members:
            self.members.remove(client)
            self.owner = {p: m for p, m in self.owner.items() if m is not client}
            client.lost = True
            self.rebalance()

    def leave(self, client: Client) -> None:
        self.leaving.append(client)
        self.rebalance()

    def released(self, client: Client, partitions: list[Partition]) -> None:
        for partition in partitions:
            if self.owner.get(partition) is client:
                del self.owner[partition]

    # ── what the coordinator does by itself ─────────────────────────────────────────────────────────────────────

    def advance(self, clients: list[Client]) -> None:
        """The next event of each client that waits for none."""
        for client in clients:
            if client.lost:
                self._lost(client)
            elif not client.waits and not client.closed:
                self._move(client)

    def _lost(self, client: Client) -> None:
        if client.waits == REVOKE:
            return
        if client.positions or client.waits == ASSIGN:
            client.tell(REVOKE, list(client.positions))
        elif not client.closing:
            client.lost = False
            self.join(client)
        else:
            self._gone(client)

    def _move(self, client: Client) -> None:
        mine = [p for p, m in self.owner.items() if m is client]
        if client in self.leaving:
            if mine:
                client.tell(REVOKE, mine)
            else:
                self._gone(client)
            return
        if client not in self.members:
            return
        give = mine if self.revoking else [p for p in mine if self.target.get(p) is not client]
        if give:
            client.tell(REVOKE, give)
            return
        if self.revoking:
            if self.owner:
                return
            self.revoking = False
        if self.eager and mine:
            return
        take = [p for p, m in self.target.items() if m is client and p not in self.owner]
        if take:
            self.owner.update(dict.fromkeys(take, client))
            client.tell(ASSIGN, take)

    def _gone(self, client: Client) -> None:
        client.closed, client.lost = True, False
        if client in self.members:
            self.members.remove(client)
        if client in self.leaving:
            self.leaving.remove(client)

    # ── offsets ─────────────────────────────────────────────────────────────────────────────────────────────────

    def committed_of(self, partition: Partition) -> int:
        return self.committed.get(partition, NOTHING)

    def commit(self, client: Client, partition: Partition, offset: int) -> bool:
        """Fenced as Kafka does it: who is not in the group with this partition is refused. False: refused, or lost."""
        if self.owner.get(partition) is not client or (self.troubled and self.rng.random() < 0.2):
            return False
        before = self.committed.get(partition, 0)
        if offset != self.committed.get(partition):
            self.checks.committed(self.logs[partition], before, offset, client.name)
            self.committed[partition] = offset
        return True

    @property
    def lag(self) -> int:
        return sum(log.end - self.committed.get(p, 0) for p, log in self.logs.items())
