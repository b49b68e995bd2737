"""The invariants, judged from what Kafka and the app saw and from a shadow of each slot; never from the ledger alone.

I1  no offset is stored or committed behind a record that was read and is not settled
I2  every record below a commit was processed by the app, is in the parking topic, was dropped by order, or Kafka had
    deleted it; in the end each was processed or dropped, a parked one unless Kafka deleted the copy
I3  records read = ended + buffered + in flight + being parked, by class, at every step, and by each
    end that is not the app: deferred, sampled, expired
I4  commits rise, and only for partitions that the member has (client.py refuses the others)
I5  a record goes into one batch per assignment, is not read again below its start, and the app sees it once more only
    after an answer that was lost
I6  a lane that the control holds is not read, and a partition is paused only while its lane is: also over rebalances
I8  without faults the lag becomes 0, everything is delivered, and no lane is held (world.py)
I9  nothing that was parked is parked again, and nothing twice but where the answer was lost, or the assignment
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.kafka import PARKING, Log, Partition, Record, ViolationError

if TYPE_CHECKING:
    from sim.client import Message


@dataclass(eq=False)
class Slot:
    """One partition during one assignment: the reader's fields of tg_slot, and the shadow that the checks keep."""

    number: int
    partition: Partition
    start: int  # -1: the first record's
    checks: Checks
    # reader
    end: int = -1
    stored: int = -1
    reset_from: int = -1
    resetting: int = 0
    anew: bool = False
    # shadow
    first: int | None = None  # record of this assignment
    position: int = 0  # behind the last record read
    unsettled: set[int] = field(default_factory=set)
    batched: set[int] = field(default_factory=set)
    processed: Counter[int] = field(default_factory=Counter)
    unanswered: Counter[int] = field(default_factory=Counter)

    def read(self, offset: int) -> None:
        if offset < max(self.position, self.start):
            raise ViolationError(f"I5 read again: {self} reads {offset}, it stood at {max(self.position, self.start)}")
        self.unsettled.add(offset)
        self.position = offset + 1

    def drop(self, offset: int) -> None:
        """Read, and done with at once: sampled away, or too old."""
        self.read(offset)
        self.unsettled.discard(offset)

    def __repr__(self) -> str:
        return f"slot {self.number} of {self.partition}"


class Checks:
    """What is known of the whole run: which records the app has processed, by whatever way."""

    def __init__(self) -> None:
        self.processed: dict[Partition, set[int]] = {}
        self.dropped: dict[Partition, set[int]] = {}
        self.copies: dict[tuple[Partition, int], list[tuple[Partition, int]]] = {}  # of records that were parked
        self.deliveries = 0
        self.duplicates = self.replayed = 0
        self.commits = 0

    # ── offsets ─────────────────────────────────────────────────────────────────────────────────────────────────

    def frontier(self, slot: Slot, frontier: int) -> None:
        """Called after each settlement and before each store."""
        if slot.unsettled and frontier > (lowest := min(slot.unsettled)):
            raise ViolationError(f"I1 frontier: {slot} says {frontier}, but {lowest} was read and is not settled")

    def committed(self, log: Log, before: int, offset: int, who: str) -> None:
        self.commits += 1
        if offset < before:
            raise ViolationError(f"I4 back: {who} commits {offset} for {log.partition} after {before}")
        if offset > log.end:
            raise ViolationError(f"I1 ahead: {who} commits {offset} for {log.partition}, which ends at {log.end}")
        seen = self.processed.get(log.partition, set()) | self.dropped.get(log.partition, set())
        for at in range(before, offset):
            if at in log.known and at not in seen and at not in log.gone and (log.partition, at) not in self.copies:
                raise ViolationError(f"I2 lost: {who} commits {offset} for {log.partition}; nobody was given {at}")

    # ── records ─────────────────────────────────────────────────────────────────────────────────────────────────

    def taken(self, slot: Slot, offset: int) -> None:
        """A record went into a batch."""
        if offset in slot.batched:
            raise ViolationError(f"I5 twice: {offset} of {slot} went into two batches")
        if offset not in slot.unsettled:
            raise ViolationError(f"I3 unknown: {offset} of {slot} was never read, or is settled")
        slot.batched.add(offset)

    def at_app(self, slot: Slot, record: Record) -> None:
        """The app processed a record."""
        offset = record.offset
        if record.origin is not None:
            self.processed.setdefault(record.origin[0], set()).add(record.origin[1])
            self.replayed += 1
        seen = self.processed.setdefault(slot.partition, set())
        self.deliveries += 1
        self.duplicates += offset in seen
        seen.add(offset)
        slot.processed[offset] += 1
        if slot.processed[offset] > 1 + slot.unanswered[offset]:
            raise ViolationError(f"I5 duplicate: {offset} of {slot} came again, although it had been answered")

    # ── parked and dropped records ──────────────────────────────────────────────────────────────────────────────

    def parked(self, partition: Partition, offset: int, parking: Partition, at: int) -> None:
        """Kafka has a copy of a record in the parking topic, at an offset."""
        self.copies.setdefault((partition, offset), []).append((parking, at))

    def not_parked_again(self, slot: Slot, offset: int, appended: int, unheard: int) -> None:
        """What was parked is delivered; one assignment parks a record once, and once more where it hears nothing."""
        if slot.partition.topic == PARKING:
            raise ViolationError(f"I9 again: {offset} of {slot} was parked before, and is once more")
        if appended > 1 + unheard:
            raise ViolationError(f"I9 twice: {offset} of {slot} is in the parking topic {appended} times")

    def dropped_for_good(self, partition: Partition, record: Record | Message) -> None:
        """Somebody sampled it away, or it was too old; with it, what it was a copy of."""
        self.dropped.setdefault(partition, set()).add(record.offset)
        if record.origin is not None:
            self.dropped.setdefault(record.origin[0], set()).add(record.origin[1])

    def delivered(self, logs: dict[Partition, Log]) -> None:
        """At the end: everything that Kafka kept reached the app, or was dropped; directly, or by way of a copy that
        Kafka kept."""
        for partition, log in logs.items():
            seen = self.processed.get(partition, set()) | self.dropped.get(partition, set())
            for offset in sorted(log.known.keys() - seen - log.gone):
                if all(at not in logs[parking].gone for parking, at in self.copies.get((partition, offset), [])):
                    raise ViolationError(f"I2 never: {offset} of {partition} never reached the app")
