"""What delivery has in hand: batches being sent or waiting to be sent again, counted in bytes against an allowance.

A batch in flight keeps its body until it is settled, so this is memory, part of the one budget. Classes other than
critical may use 80 % of it: held bulk never locks critical out. Pure bookkeeping; single-threaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count

from tidegate.sinks.base import SinkBatch
from tidegate.types import CLASSES, EventClass

OTHERS_SHARE = 0.8
ALL_CLASSES = (1 << len(CLASSES)) - 1
CRITICAL_BIT = 1 << EventClass.CRITICAL
_CRITICAL = int(EventClass.CRITICAL)
_OTHERS = tuple(int(c) for c in CLASSES if c is not EventClass.CRITICAL)


class Held:
    """One batch on its way.

    Attributes:
        due: when it may be sent again.
        asked: no earlier than this, by the target's own word (Retry-After).
        began: when the send under way began.
        epoch, generation: `Pacing`'s and the limiter's, of the send under way.
        round: the last round of probes it took part in.
        acks_at_failure: acknowledgements of all batches when it last failed with DOWN; None: it never did.
        excused: that failure was the target's, not its own.
    """

    __slots__ = (
        "acks_at_failure",
        "asked",
        "batch",
        "began",
        "due",
        "epoch",
        "excused",
        "generation",
        "klass",
        "round",
        "size",
    )

    def __init__(self, batch: SinkBatch) -> None:
        self.batch = batch
        self.klass = batch.klass
        self.size = len(batch.body)
        self.due = 0.0
        self.asked = 0.0
        self.began = 0.0
        self.epoch = 0
        self.generation = 0
        self.round = 0
        self.acks_at_failure: int | None = None
        self.excused = False


class InFlight:
    """Every batch taken and not yet settled or discarded.

    Three places: being sent, waiting for a retry, or *ahead*: taken, but found too large for what is left of the
    allowance (a batch's size is known only once it is built); at most one per class, and none of its class is taken
    meanwhile. The allowance bounds the first two. A batch too large for its class's allowance goes when nothing else
    of its class is in flight: else it would never go.
    """

    def __init__(self, allowance_bytes: int) -> None:
        self.allowance_bytes = allowance_bytes
        self.others_bytes = int(allowance_bytes * OTHERS_SHARE)
        self.batches = [0] * len(CLASSES)
        self.records = [0] * len(CLASSES)
        self.bytes = [0] * len(CLASSES)
        self.ahead: list[Held | None] = [None] * len(CLASSES)
        self._all: dict[Held, None] = {}  # sending or waiting, in the order of taking
        self._waiting: list[list[tuple[float, int, Held]]] = [[] for _ in CLASSES]
        self._order = count()  # equal dues keep the order of the failures

    def __contains__(self, held: Held) -> bool:
        return held in self._all

    def __len__(self) -> int:
        """Batches in all three places."""
        return len(self._all) + sum(held is not None for held in self.ahead)

    def __iter__(self) -> Iterator[Held]:
        yield from self._all
        yield from (held for held in self.ahead if held is not None)

    def waiting(self, klass: int) -> int:
        """Batches of a class that wait for a retry."""
        return len(self._waiting[klass])

    @property
    def waits(self) -> bool:
        """Whether anything waits for a retry or for room."""
        return any(self._waiting) or any(held is not None for held in self.ahead)

    def takable(self) -> int:
        """Bits of the classes that have any room left and none ahead."""
        critical = self.bytes[_CRITICAL]
        others = sum(self.bytes) - critical
        bits = 0
        if critical + min(others, self.others_bytes) < self.allowance_bytes or not self.batches[_CRITICAL]:
            bits = CRITICAL_BIT
        if others < self.others_bytes and critical + others < self.allowance_bytes:
            bits |= ALL_CLASSES & ~CRITICAL_BIT
        for klass in CLASSES:
            if self.ahead[klass] is not None:
                bits &= ~(1 << klass)
        return bits

    def fits(self, held: Held) -> bool:
        """Whether a batch may go in flight now."""
        critical = self.bytes[_CRITICAL]
        others = sum(self.bytes) - critical
        if held.klass == _CRITICAL:
            fits = critical + min(others, self.others_bytes) + held.size <= self.allowance_bytes
            certain = self.allowance_bytes - self.others_bytes
        else:
            fits = others + held.size <= self.others_bytes and critical + others + held.size <= self.allowance_bytes
            certain = self.others_bytes
        return fits or (held.size > certain and not self.batches[held.klass])

    def add(self, held: Held) -> None:
        """Goes in flight, to be sent now."""
        klass = held.klass
        self._all[held] = None
        self.batches[klass] += 1
        self.records[klass] += held.batch.records
        self.bytes[klass] += held.size

    def remove(self, held: Held) -> None:
        """Settled or discarded, while not in a queue."""
        klass = held.klass
        del self._all[held]
        self.batches[klass] -= 1
        self.records[klass] -= held.batch.records
        self.bytes[klass] -= held.size

    def clear(self) -> None:
        """Everything was discarded."""
        for queue in self._waiting:
            queue.clear()
        self._all.clear()
        for klass in CLASSES:
            self.batches[klass] = self.records[klass] = self.bytes[klass] = 0
            self.ahead[klass] = None

    def set_aside(self, held: Held) -> None:
        """Taken, but does not fit yet."""
        assert self.ahead[held.klass] is None
        self.ahead[held.klass] = held

    def pop_ahead(self, classes: int) -> Held | None:
        """Puts the first batch that was set aside and fits by now in flight."""
        for klass, held in enumerate(self.ahead):
            if held is not None and classes >> klass & 1 and self.fits(held):
                self.ahead[klass] = None
                self.add(held)
                return held
        return None

    def wait(self, held: Held, due: float) -> None:
        """A send failed: queues for `due`."""
        held.due = due
        heappush(self._waiting[held.klass], (due, next(self._order), held))

    def first_waiting(self, critical: bool) -> Held | None:
        """The waiting batch that is due first, of critical or of the others; it stays there."""
        first = None
        for klass in (_CRITICAL,) if critical else _OTHERS:
            queue = self._waiting[klass]
            if queue and (first is None or queue[0] < first):
                first = queue[0]
        return None if first is None else first[2]

    def first_due(self) -> float | None:
        """When the first of the waiting batches is due; None: none waits."""
        return min((queue[0][0] for queue in self._waiting if queue), default=None)

    def pop(self, klass: int) -> Held:
        """The batch of a class that is longest due."""
        return heappop(self._waiting[klass])[2]

    def pop_probe(self, round_: int, critical: bool) -> Held | None:
        """Any waiting batch, due or not, that has not yet been a probe in this round: the one due first."""
        classes = (_CRITICAL,) if critical else _OTHERS
        entries = [entry for klass in classes for entry in self._waiting[klass] if entry[2].round < round_]
        if not entries:
            return None
        entry = min(entries)
        queue = self._waiting[entry[2].klass]
        queue.remove(entry)
        heapify(queue)
        return entry[2]

    def forgive(self, now: float) -> None:
        """The target is back: what failed through no fault of its own is due now, however long its backoff was."""
        for queue in self._waiting:
            for _, _, held in queue:
                if held.excused:
                    held.due = min(held.due, now)
        self._reorder()

    def hasten(self, now: float) -> None:
        """The end is near: every waiting batch gets a try now, or when the target asked for it."""
        for queue in self._waiting:
            for _, _, held in queue:
                held.due = min(held.due, max(held.asked, now))
        self._reorder()

    def _reorder(self) -> None:
        for klass, queue in enumerate(self._waiting):
            self._waiting[klass] = [(held.due, order, held) for _, order, held in queue]
            heapify(self._waiting[klass])
