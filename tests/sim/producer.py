"""The producer of the parking topic, and what becomes of the records in Kafka.

Modelled: librdkafka and the parking topic (Topic), which is slow, refuses, loses answers or is gone. Mirrored, function
by function, because the native ones cannot run without librdkafka: producer.pyx, pool.pyx and reports.pyx. Real is the
ledger underneath.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim.checks import Checks, Slot
from sim.client import Message
from sim.kafka import Log
from tidegate.core.ledger_face import LedgerFace

LIVE, DEAD, ORPHAN = 1, 3, 4  # ledger.pxd
DEFERRED, DISCARDED = 1, 5
PARKED, FULL = "parked", "full"
ATTEMPTS, RETRY_SECONDS, MAX_WAIT_SECONDS = 3, 1.0, 30.0
TIMEOUT_SECONDS = 60.0  # message.timeout.ms
# mood: what becomes of a record that librdkafka has, by weight
MOODS = {
    "well": {"ok": 1},
    "slow": {"ok": 1, "": 8},
    "lossy": {"ok": 3, "unheard": 1, "failed": 1},  # unheard: Kafka has it, and the answer is lost
    "failing": {"ok": 1, "failed": 3},
    "narrow": {"ok": 2, "too large": 1},
    "gone": {"failed": 1},
    "silent": {"": 1},
}


@dataclass(eq=False, slots=True)
class Entry:
    """One record with the producer: what rides along (tg_entry), and the shadow that the checks keep."""

    slot: Slot
    message: Message
    gap: int
    sent: float
    attempts: int = 0
    due: float = 0.0
    # shadow
    appended: int = 0
    unheard: int = 0


class Topic:
    """The parking topic as Kafka has it."""

    def __init__(self, logs: list[Log], rng: Random, checks: Checks) -> None:
        self.logs, self.rng, self.checks = logs, rng, checks
        self.mood = "well"

    def take(self, entry: Entry, overdue: bool) -> str:
        """What Kafka does with one record: "" nothing yet, "ok", or what the report says went wrong."""
        what = "failed" if overdue else self.rng.choices(*zip(*MOODS[self.mood].items(), strict=True))[0]
        if what in ("ok", "unheard") or (overdue and self.rng.random() < 0.5):
            self.append(entry)
        if what == "unheard" or overdue:
            entry.unheard += 1
            what = "failed"
        return what

    def append(self, entry: Entry) -> None:
        log, message = self.rng.choice(self.logs), entry.message
        self.checks.parked(entry.slot.partition, message.offset, log.partition, log.end)
        entry.appended += 1
        self.checks.not_parked_again(entry.slot, message.offset, entry.appended, entry.unheard)
        log.keep(message.klass, message.value, message.born, (entry.slot.partition, message.offset))


class Producer:
    def __init__(
        self,
        topic: Topic,
        ledger: LedgerFace,
        checks: Checks,
        clock: Callable[[], float],
        size: int,
        mutant: str,
        find: Callable[[Slot], Slot | None],
    ) -> None:
        self.topic, self.ledger, self.checks, self.clock, self.size = topic, ledger, checks, clock, size
        self.mutant, self.find = mutant, find  # the slot that a partition has now
        self.rng = topic.rng
        self.stalled = self.resting = False
        self.deferred = [0, 0, 0, 0]
        self.inside = 0  # the pool's entries in use
        self.sent: list[Entry] = []
        self.reports: list[tuple[Entry, str]] = []
        self.waiting: deque[Entry] = deque()
        self.back: deque[Entry] = deque()

    @property
    def idle(self) -> bool:
        return self.inside == 0

    # ── reader ──────────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, slot: Slot, message: Message) -> str:
        """put."""
        if self.stalled or self.inside >= self.size:
            return FULL
        at = self.ledger.test_slot(slot.number)
        gap = self.ledger.test_park(slot.number, message.offset, message.klass)
        assert gap is not None, "looked for before"
        if self.rng.random() < 0.05:  # librdkafka's own queue is full
            self.ledger.test_park_refused(slot.number, at["next"], at["covered"], message.klass)
            return FULL
        entry = Entry(slot, message, gap, self.clock())
        self.inside += 1
        self.sent.append(entry)
        if self.mutant == "park-early":  # planted: it counts as done before Kafka has it
            self.ledger.test_acknowledge(slot.number, message.offset, 1, gap)
        return PARKED

    def has_room(self) -> bool:
        """has_room."""
        return self.resting or (not self.stalled and self.inside < self.size)

    def drop_back(self, entry: Entry) -> None:
        """drop_back."""
        self.ledger.test_park_failed(entry.slot.number, entry.message.klass)
        self.back.popleft()
        self.inside -= 1

    # ── Kafka ───────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self) -> str:
        """Something happens to one record that librdkafka has."""
        if not self.sent:
            return ""
        entry = self.sent[self.rng.randrange(min(len(self.sent), 5))]
        what = self.topic.take(entry, self.clock() - entry.sent > TIMEOUT_SECONDS)
        if what:
            self.sent.remove(entry)
            self.reports.append((entry, what))
        return f"{what}: {entry.slot.partition} {entry.message.offset}" if what else ""

    def abandon(self) -> None:
        """The process is gone: what was on its way may have come to Kafka all the same."""
        for entry in self.sent:
            if self.rng.random() < 0.5:
                self.topic.append(entry)
        self.sent.clear()

    # ── event loop ──────────────────────────────────────────────────────────────────────────────────────────────

    def drain(self) -> None:
        """serve: what was reported, then what waits to be produced again."""
        reports, self.reports = self.reports, []
        self._acknowledge([entry for entry, what in reports if what == "ok"])
        for entry, what in reports:
            if what != "ok":
                self._fail(entry, what)
        self._retry()
        self.stalled = bool(self.waiting)

    def _acknowledge(self, entries: list[Entry]) -> None:
        """_acknowledge: neighbours together."""
        runs: list[list[Entry]] = []
        for entry in entries:
            last = runs[-1][-1] if runs else None
            if (last and entry.slot is last.slot and entry.message.klass == last.message.klass and entry.gap == 0
                    and entry.message.offset == last.message.offset + 1):  # fmt: skip
                runs[-1].append(entry)
            else:
                runs.append([entry])
        for run in runs:
            first, slot = run[0], run[0].slot
            if self.mutant == "late-report" and (now := self.find(slot)) is not None and now is not slot:
                self.ledger.test_acknowledge(now.number, first.message.offset, len(run), first.gap)  # planted
            slot.unsettled.difference_update(entry.message.offset for entry in run)
            self._settle(first, len(run), DEFERRED)
            if self.ledger.test_slot(slot.number)["state"] != DEAD:
                self.checks.frontier(slot, self.ledger.test_slot(slot.number)["frontier"])

    def _settle(self, entry: Entry, count: int, disposition: int) -> None:
        klass, offset = entry.message.klass, entry.message.offset
        self.ledger.test_settle_parked(entry.slot.number, offset, count, entry.gap, klass, disposition)
        self.deferred[klass] += count if disposition == DEFERRED else 0
        self.inside -= count

    def _ours(self, entry: Entry) -> bool:
        return self.ledger.test_slot(entry.slot.number)["state"] in (LIVE, ORPHAN)

    def _fail(self, entry: Entry, what: str) -> None:
        """_fail."""
        entry.attempts += 1
        if not self._ours(entry):
            self._settle(entry, 1, DISCARDED)
        elif entry.attempts >= ATTEMPTS or what == "too large":
            self.back.append(entry)
        else:
            entry.due = self.clock() + min(RETRY_SECONDS * 2 ** (entry.attempts - 1), MAX_WAIT_SECONDS)
            self.waiting.append(entry)

    def _retry(self) -> None:
        """_retry."""
        for _ in range(len(self.waiting)):
            entry = self.waiting.popleft()
            if not self._ours(entry):
                self._settle(entry, 1, DISCARDED)
            elif self.clock() < entry.due:
                self.waiting.append(entry)
            else:
                entry.sent = self.clock()
                self.sent.append(entry)

    def close(self) -> None:
        """close: what Kafka has not acknowledged is discarded, and comes again."""
        self.drain()
        left = [*self.sent, *self.waiting, *self.back]
        self.abandon()
        self.waiting.clear()
        self.back.clear()
        for entry in left:
            self._settle(entry, 1, DISCARDED)
        self.stalled = True
