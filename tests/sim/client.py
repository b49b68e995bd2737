"""librdkafka's consumer as the reader sees it: lane queues, positions, stored offsets, rebalance events.

Its habits that matter are kept: a pause, and so every rebalance, throws away what was fetched and goes on behind the
last message handed out; a pause outlives an assignment; messages of an assignment that ended, or from before a pause,
are filtered out of a lane's queue when it is read, error messages are not; letting a partition go clears its forward,
some time later; offsets of a partition that is not assigned are refused; what is stored is committed when the partition
is let go.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sim.kafka import BEGINNING, END, Log, Partition, ViolationError

if TYPE_CHECKING:
    from sim.group import Group

EOF, RESET = "eof", "reset"
ASSIGN, REVOKE = "assign", "revoke"


@dataclass(slots=True)
class Message:
    partition: Partition
    offset: int
    err: str = ""
    klass: int = 0
    value: bytes = b""
    version: int = 0
    born: float = 0.0
    origin: tuple[Partition, int] | None = None


@dataclass(slots=True)
class Position:
    next: int  # to fetch
    handed: int  # behind the last message handed out
    failed: bool = False  # out of range: fetches nothing until it is assigned anew
    ended: int = -1  # the end that was told


class Client:
    def __init__(self, group: Group, topics: list[str], rng: Random, depth: int, name: str) -> None:
        self.group, self.topics, self.rng, self.depth, self.name = group, topics, rng, depth, name
        self.positions: dict[Partition, Position] = {}
        self.paused: set[Partition] = set()  # whether assigned or not
        self.queues: dict[str, deque[Message]] = {topic: deque() for topic in topics}
        self.stored: dict[Partition, int] = {}
        self.events: deque[tuple[str, list[Partition]]] = deque()
        self.waits = ""  # the event that was not answered yet; everything stands still meanwhile
        self.lost = False  # expelled, and what it had is not let go yet
        self.closing = self.closed = False
        self._versions: dict[Partition, int] = {}
        self._forwarded: set[Partition] = set()
        self._clearing: set[Partition] = set()  # forwards that librdkafka's thread has yet to clear

    # ── librdkafka's threads ────────────────────────────────────────────────────────────────────────────────────

    def fetch(self, most: int) -> None:
        """Brings some messages of one partition to its lane."""
        self.settle_forwards()
        if self.waits or not self.positions:
            return
        partition = self.rng.choice(list(self.positions))
        position, queue = self.positions[partition], self.queues[partition.topic]
        if position.failed or partition in self.paused or len(queue) >= self.depth:
            return
        log = self.group.logs[partition]
        if not log.start <= position.next <= log.end:
            position.failed = True
            queue.append(Message(partition, position.next, RESET))  # version 0: never filtered out
            return
        version = self._versions[partition]
        records, position.next = log.read(position.next, most)
        queue.extend(Message(partition, r.offset, "", r.klass, r.value, version, r.born, r.origin) for r in records)
        if position.next == log.end and position.ended != log.end:
            position.ended = log.end
            queue.append(Message(partition, log.end, EOF, version=version))

    def settle_forwards(self) -> None:
        self._forwarded -= self._clearing
        self._clearing.clear()
        if silent := self.positions.keys() - self._forwarded:
            raise ViolationError(f"forward: {self.name} fetches {sorted(silent)} beside the lane")

    def tell(self, event: str, partitions: list[Partition]) -> None:
        """A rebalance event; every partition stands still until it is answered. What was let go before has ended."""
        self.settle_forwards()
        self.waits = event
        self.events.append((event, partitions))
        for partition in self.positions:
            self._bump(partition)

    def _bump(self, partition: Partition) -> None:
        self._versions[partition] = self._versions.get(partition, 0) + 1

    def commit(self) -> None:
        """The auto-commit: what was stored goes to the group, which may refuse it."""
        for partition, offset in self.stored.items():
            self.group.commit(self, partition, offset)

    # ── what the reader calls ───────────────────────────────────────────────────────────────────────────────────

    def consume(self, topic: str, most: int) -> list[Message]:
        found: list[Message] = []
        queue = self.queues[topic]
        while queue and len(found) < most:
            message = queue.popleft()
            if message.version and message.version != self._versions[message.partition]:
                continue
            if not message.err and (position := self.positions.get(message.partition)):
                position.handed = message.offset + 1
            found.append(message)
        return found

    def pause(self, partitions: list[Partition]) -> None:
        """Fetches no more of these, and goes back to what was last handed out."""
        self.paused.update(partitions)
        for partition in partitions:
            self._bump(partition)
            if (position := self.positions.get(partition)) and not position.failed:
                position.next, position.ended = position.handed, -1

    def resume(self, partitions: list[Partition]) -> None:
        self.paused.difference_update(partitions)

    def committed(self, partitions: list[Partition]) -> list[int] | None:
        """Offsets; None: the coordinator does not answer."""
        if self.group.troubled and self.rng.random() < 0.5:
            return None
        return [self.group.committed_of(partition) for partition in partitions]

    def lows(self, partitions: list[Partition]) -> dict[Partition, int]:
        """Where the logs begin; -1: a leader does not answer."""
        silent = 0.3 if self.group.troubled else 0.0
        return {p: -1 if self.rng.random() < silent else self.group.logs[p].start for p in partitions}

    def commit_now(self, offsets: dict[Partition, int]) -> dict[Partition, bool]:
        """By order, but fenced like every commit; what was taken."""
        return {partition: self.group.commit(self, partition, offset) for partition, offset in offsets.items()}

    def forward(self, partition: Partition) -> None:
        self._forwarded.add(partition)

    def assign(self, offsets: dict[Partition, int]) -> None:
        """The union of what it has and these."""
        for partition, offset in offsets.items():
            log: Log = self.group.logs[partition]
            start = log.start if offset == BEGINNING else log.end if offset == END else offset
            self.positions[partition] = Position(start, start)
            self._bump(partition)
        self._answered(ASSIGN)

    def unassign(self, partitions: list[Partition]) -> None:
        """The difference; what was stored for these is committed first, unless they are lost."""
        for partition in partitions:
            offset = self.stored.pop(partition, None)
            if self.positions.pop(partition, None) is None:
                continue
            if offset is not None and not (self.group.troubled and self.rng.random() < 0.3):
                self.group.commit(self, partition, offset)
            self._bump(partition)
            self._clearing.add(partition)
        if self.waits == REVOKE:
            self.group.released(self, partitions)
        self._answered(REVOKE)

    def _answered(self, event: str) -> None:
        if self.waits != event:
            return  # the reader changed it by itself: a repair
        self.waits = ""
        for position in self.positions.values():  # they go on behind what was handed out
            if not position.failed:
                position.next, position.ended = position.handed, -1

    def store(self, offsets: dict[Partition, int]) -> dict[Partition, bool]:
        """Which were taken."""
        taken = {}
        for partition, offset in offsets.items():
            if partition not in self.positions:
                raise ViolationError(f"I4 owned: {self.name} stores {offset} for {partition}, which it does not have")
            self.stored[partition] = offset
            taken[partition] = True
        return taken

    def close(self) -> None:
        self.closing = True
        self.group.leave(self)
