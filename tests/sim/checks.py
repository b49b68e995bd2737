"""The invariants, judged from what Kafka and the app saw and from a shadow of each slot; never from the ledger alone.

I1  no offset is stored or committed behind a record that was read and is not settled
I2  every record below a commit was processed by the app, or Kafka had deleted it
I3  records read = ended + buffered + in flight, by class, at every step
I4  commits rise, and only for partitions that the member has (client.py refuses the others)
I5  a record goes into one batch per assignment, is not read again below its start, and the app sees it once more only
    after an answer that was lost
I6  a lane that the control holds is not read, and a partition is paused only while its lane is: also over rebalances
I8  without faults the lag becomes 0, everything is delivered, and no lane is held (world.py)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sim.kafka import Log, Partition, ViolationError


@dataclass(eq=False)
class Slot:
    """One partition during one assignment: the reader's fields of tg_slot, and the shadow that the checks keep."""

    number: int
    partition: Partition
    start: int  # -1: the first record's
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

    def __repr__(self) -> str:
        return f"slot {self.number} of {self.partition}"


class Checks:
    """What is known of the whole run: which records the app has processed, by whatever way."""

    def __init__(self) -> None:
        self.processed: dict[Partition, set[int]] = {}
        self.deliveries = 0
        self.duplicates = 0
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
        seen = self.processed.get(log.partition, set())
        for at in range(before, offset):
            if at in log.known and at not in seen and at not in log.gone:
                raise ViolationError(f"I2 lost: {who} commits {offset} for {log.partition}; nobody was given {at}")

    # ── records ─────────────────────────────────────────────────────────────────────────────────────────────────

    def taken(self, slot: Slot, offset: int) -> None:
        """A record went into a batch."""
        if offset in slot.batched:
            raise ViolationError(f"I5 twice: {offset} of {slot} went into two batches")
        if offset not in slot.unsettled:
            raise ViolationError(f"I3 unknown: {offset} of {slot} was never read, or is settled")
        slot.batched.add(offset)

    def at_app(self, slot: Slot, offset: int) -> None:
        """The app processed a record."""
        seen = self.processed.setdefault(slot.partition, set())
        self.deliveries += 1
        self.duplicates += offset in seen
        seen.add(offset)
        slot.processed[offset] += 1
        if slot.processed[offset] > 1 + slot.unanswered[offset]:
            raise ViolationError(f"I5 duplicate: {offset} of {slot} came again, although it had been answered")

    def delivered(self, logs: dict[Partition, Log]) -> None:
        """At the end: everything that Kafka kept reached the app."""
        for partition, log in logs.items():
            if missing := log.known.keys() - self.processed.get(partition, set()) - log.gone:
                raise ViolationError(f"I2 never: {partition} offsets {sorted(missing)[:5]} never reached the app")
