"""Ledger against a plain model: which offsets are read, and which of them are not settled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidegate.core.ledger import DISPOSITIONS
from tidegate.core.ledger_face import LedgerFace
from tidegate.types import CLASS_LABELS, Disposition

FREE, LIVE, CLOSING, DEAD, ORPHAN = range(5)
DELIVERED = DISPOSITIONS.index(Disposition.DELIVERED)
DISCARDED = DISPOSITIONS.index(Disposition.DISCARDED)
SAMPLED = DISPOSITIONS.index(Disposition.SAMPLED)
EXPIRED = DISPOSITIONS.index(Disposition.EXPIRED)
LANES = ("orders", "clicks")


@dataclass
class ModelSlot:
    number: int
    lane: int
    partition: int
    next: int  # -1: not known before the first record
    covered: int = -1  # behind the last record that was read; up to `next` they were dropped
    state: int = LIVE
    pending: dict[int, tuple[int, int]] = field(default_factory=dict)  # offset: (missing before it, class)
    abandoned: dict[int, int] = field(default_factory=dict)  # offset: missing before it; ended, never acknowledged
    parked: set[int] = field(default_factory=set)  # those of `pending` that are with the producer
    given: int = 0  # records ever parked, less those that went back into a ring
    fixed: int | None = None  # the frontier at the end of the assignment
    log_end: int = -1
    highest: int = -1

    @property
    def frontier(self) -> int:
        """First offset that is not settled; the missing ones before a record are settled with it."""
        if self.fixed is not None:
            return self.fixed
        first = [offset - gap for offset, (gap, _) in self.pending.items()]
        first += [offset - gap for offset, gap in self.abandoned.items()]
        return min(first, default=self.covered)

    def move(self, offset: int) -> None:
        self.next = self.covered = offset


class LedgerMachine(RuleBasedStateMachine):
    @initialize(span=st.sampled_from([1, 64, 65, 200]))
    def start(self, span: int) -> None:
        self.ledger = LedgerFace(span)
        self.span = 64
        while self.span < span:
            self.span *= 2
        assert self.ledger.span == self.span
        for lane in LANES:
            self.ledger.add_lane(lane)
        self.slots: list[ModelSlot] = []
        self.polled: Counter[tuple[int, int]] = Counter()
        self.ended: Counter[tuple[int, int, int]] = Counter()
        self.stale = 0
        self.assignments: dict[tuple[int, int], object] = {}  # lane, its number → what it stood for

    def _some(self, data: st.DataObject, *states: int) -> ModelSlot | None:
        found = [slot for slot in self.slots if slot.state in states]
        return data.draw(st.sampled_from(found)) if found else None

    # ── the reader ──────────────────────────────────────────────────────────────────────────────────────────────

    @rule(lane=st.integers(0, 1), partition=st.integers(0, 3), start=st.sampled_from([-1, 0, 1, 63, 1000, 1 << 40]))
    def assign(self, lane: int, partition: int, start: int) -> None:
        number = self.ledger.test_open(lane, partition, start)
        for slot in self.slots:
            if slot.number == number:  # used again: only when nothing can name the old one any more
                assert slot.state in (DEAD, ORPHAN)
                assert not slot.pending
                slot.state = FREE
        self.slots = [slot for slot in self.slots if slot.number != number]
        self.slots.append(ModelSlot(number, lane, partition, start, start, highest=start))
        fresh = self.ledger.test_slot(number)
        assert (fresh["read"], fresh["settled"], fresh["marked"], fresh["state"]) == (0, 0, 0, LIVE)

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), step=st.sampled_from([0, 0, 0, 0, 1, 2, 30, 63, 64, 300]), klass=st.integers(0, 3))
    def read(self, data: st.DataObject, step: int, klass: int) -> None:
        if (slot := self._some(data, LIVE)) is not None:
            self._read(slot, step, klass)

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), times=st.integers(2, 150))
    def read_many(self, data: st.DataObject, times: int) -> None:
        if (slot := self._some(data, LIVE)) is not None:
            for _ in range(times):
                self._read(slot, 0, 1)

    def _read(self, slot: ModelSlot, step: int, klass: int, park: bool = False) -> None:
        offset = max(slot.next, 0) + step
        idle = not slot.pending and not slot.abandoned
        gap = (self.ledger.test_park if park else self.ledger.test_read)(slot.number, offset, klass)
        if not idle and offset - slot.frontier >= self.span:
            assert gap is None
            return
        assert gap == (0 if idle else offset - slot.covered)
        slot.pending[offset] = (gap, klass)
        slot.move(offset + 1)
        self.polled[slot.lane, klass] += 1
        if park:
            slot.parked.add(offset)
            slot.given += 1

    @precondition(lambda self: self.slots)
    @rule(
        data=st.data(),
        step=st.sampled_from([0, 0, 0, 1, 30, 64, 300]),
        klass=st.integers(0, 3),
        times=st.integers(1, 70),
    )
    def park(self, data: st.DataObject, step: int, klass: int, times: int) -> None:
        """The producer takes the record: read and polled, but in no ring."""
        if (slot := self._some(data, LIVE)) is not None:
            for _ in range(times):
                self._read(slot, step, klass, park=True)
                step = 0

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), step=st.sampled_from([0, 1, 30, 300]), klass=st.integers(0, 3))
    def park_in_vain(self, data: st.DataObject, step: int, klass: int) -> None:
        """The producer takes it not, and it is as if nothing had been asked but for the gap."""
        slot = self._some(data, LIVE)
        if slot is None:
            return
        offset = max(slot.next, 0) + step
        if self.ledger.test_skip(slot.number, offset) is None:
            return
        before = self.ledger.test_slot(slot.number)
        self.ledger.test_park(slot.number, offset, klass)
        assert self.ledger.test_slot(slot.number)["next"] == offset + 1
        self.ledger.test_park_refused(slot.number, before["next"], before["covered"], klass)
        assert self.ledger.test_slot(slot.number) == before
        slot.next, slot.covered = before["next"], before["covered"]

    @precondition(lambda self: self.slots)
    @rule(
        data=st.data(),
        step=st.sampled_from([0, 0, 1, 64, 300]),
        klass=st.integers(0, 3),
        times=st.integers(1, 70),
        disposition=st.sampled_from([SAMPLED, EXPIRED]),
    )
    def drop(self, data: st.DataObject, step: int, klass: int, times: int, disposition: int) -> None:
        """The reader ends records by itself: settled at once, or with what is outstanding before them."""
        if (slot := self._some(data, LIVE)) is None:
            return
        for _ in range(times):
            offset = max(slot.next, 0) + step
            idle = not slot.pending and not slot.abandoned
            dropped = self.ledger.test_drop(slot.number, offset, klass, disposition)
            assert dropped == (idle or offset - slot.frontier < self.span)
            if not dropped:
                return
            slot.next = offset + 1
            if idle:
                slot.covered = slot.next
            self.polled[slot.lane, klass] += 1
            self.ended[slot.lane, klass, disposition] += 1
            step = 0

    @precondition(lambda self: any(slot.parked for slot in self.slots))
    @rule(data=st.data())
    def park_failed(self, data: st.DataObject) -> None:
        """A record comes back and goes into a ring."""
        slot = data.draw(st.sampled_from([slot for slot in self.slots if slot.parked]))
        offset = data.draw(st.sampled_from(sorted(slot.parked)))
        self.ledger.test_park_failed(slot.number, slot.pending[offset][1])
        slot.parked.remove(offset)
        slot.given -= 1

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), beyond=st.sampled_from([0, 1, 5, 1000]))
    def end_of_partition(self, data: st.DataObject, beyond: int) -> None:
        """Control records behind the last record: settled when nothing is outstanding, and not before."""
        slot = self._some(data, LIVE)
        if slot is None:
            return
        end = max(slot.next, 0) + beyond
        self.ledger.test_end(slot.number, end)
        if not slot.pending and not slot.abandoned:
            slot.move(max(slot.next, end))

    # ── the event loop ──────────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: any(slot.pending for slot in self.slots))
    @rule(
        data=st.data(),
        count=st.integers(1, 130),
        disposition=st.sampled_from([DELIVERED, DELIVERED, DELIVERED, *range(len(DISPOSITIONS))]),
    )
    def settle(self, data: st.DataObject, count: int, disposition: int) -> None:
        slot = data.draw(st.sampled_from([slot for slot in self.slots if slot.pending]))
        first = data.draw(st.sampled_from(sorted(slot.pending)))
        self._settle(slot, first, count, disposition)

    @precondition(lambda self: any(slot.pending for slot in self.slots))
    @rule(data=st.data(), backwards=st.booleans(), length=st.integers(1, 70))
    def settle_all(self, data: st.DataObject, backwards: bool, length: int) -> None:
        slot = data.draw(st.sampled_from([slot for slot in self.slots if slot.pending]))
        while slot.pending:
            self._settle(slot, max(slot.pending) if backwards else min(slot.pending), length, DELIVERED)
        if slot.state == LIVE and not slot.abandoned:
            stands = self.ledger.test_slot(slot.number)
            assert stands["frontier"] == stands["next"]
            assert stands["marked"] == 0

    def _settle(self, slot: ModelSlot, first: int, most: int, disposition: int) -> None:
        """A run as batches make them: neighbours of one class, nothing missing between them."""
        gap, klass = slot.pending[first]
        run = [first]
        parked = first in slot.parked
        while (
            len(run) < most
            and slot.pending.get(run[-1] + 1) == (0, klass)
            and (run[-1] + 1 in slot.parked) == parked  # one way or the other: never both in one batch
        ):
            run.append(run[-1] + 1)
        settle = self.ledger.test_settle_parked if parked else self.ledger.test_settle
        settle(slot.number, first, len(run), gap, klass, disposition)
        slot.parked.difference_update(run)
        self.ended[slot.lane, klass, disposition] += len(run)
        for offset in run:
            missing, _ = slot.pending.pop(offset)
            if disposition == DISCARDED and slot.fixed is None:
                slot.abandoned[offset] = missing
        if slot.state == DEAD and disposition != DISCARDED:
            self.stale += len(run)
        if slot.state in (LIVE, CLOSING):  # the reader's sweep
            self.ledger.test_catch_up(slot.number)
            if not slot.pending and not slot.abandoned:
                slot.covered = slot.next

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), end=st.integers(0, 500))
    def learn_end(self, data: st.DataObject, end: int) -> None:
        if (slot := self._some(data, LIVE)) is not None:
            slot.log_end = end
            self.ledger.test_log_end(slot.number, end)

    # ── revocation ──────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def begin_revoke(self, data: st.DataObject) -> None:
        if (slot := self._some(data, LIVE)) is not None:
            slot.state = CLOSING
            self.ledger.test_state(slot.number, CLOSING)

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def end_revoke(self, data: st.DataObject) -> None:
        if (slot := self._some(data, LIVE, CLOSING)) is not None:
            slot.fixed = slot.frontier
            slot.state = DEAD
            self.ledger.test_state(slot.number, DEAD)

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def orphan(self, data: st.DataObject) -> None:
        if (slot := self._some(data, LIVE)) is not None:
            slot.state = ORPHAN
            self.ledger.test_state(slot.number, ORPHAN)

    # ── what always holds ───────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def progress(self) -> None:
        """Sums over the live slots of a lane; a number that says which they are."""
        if not hasattr(self, "slots"):
            return
        for lane, (span, position, end, assignment, _, polled) in enumerate(self.ledger.progress()):
            live = [slot for slot in self.slots if slot.lane == lane and slot.state == LIVE]
            known = [slot for slot in live if slot.next >= 0 and slot.log_end >= 0]
            assert span == max((slot.next - slot.frontier for slot in live if slot.frontier >= 0), default=0)
            assert position == sum(slot.next for slot in known)
            assert end == (sum(max(slot.next, slot.log_end) for slot in known) if known else None)
            assert polled == tuple(self.polled[lane, klass] for klass in range(4))
            stood_for = frozenset(map(id, live)), frozenset(map(id, known))
            assert self.assignments.setdefault((lane, assignment), stood_for) == stood_for
        assert self.ledger.ended() == tuple(
            tuple(sum(self.ended[lane, k, d] for lane in range(len(LANES))) for d in range(len(DISPOSITIONS)))
            for k in range(4)
        )

    @invariant()
    def frontiers(self) -> None:
        for slot in getattr(self, "slots", []):
            stands = self.ledger.test_slot(slot.number)
            assert stands["next"] == slot.next
            assert stands["covered"] == slot.covered
            assert stands["frontier"] == slot.frontier  # so never past a record that is not settled (I1)
            assert slot.frontier >= slot.highest  # and it never goes back
            slot.highest = slot.frontier
            assert stands["read"] - stands["settled"] == len(slot.pending)
            assert stands["parked"] == slot.given

    @invariant()
    def books(self) -> None:
        if not hasattr(self, "slots"):
            return
        buffered: Counter[tuple[int, int]] = Counter()
        for slot in self.slots:
            for _, klass in slot.pending.values():
                buffered[slot.lane, klass] += 1
        parked = [sum(slot.pending[o][1] == k for slot in self.slots for o in slot.parked) for k in range(4)]
        assert self.ledger.parking() == tuple(parked)
        counts = self.ledger.counts()
        for lane, name in enumerate(LANES):
            for klass, label in enumerate(CLASS_LABELS):
                row = counts[name][label]
                ended = {d.value: self.ended[lane, klass, n] for n, d in enumerate(DISPOSITIONS)}
                assert row == {"polled": self.polled[lane, klass]} | ended
                assert row["polled"] == sum(ended.values()) + buffered[lane, klass]
        totals = self.ledger.totals()
        assert sum(row["polled"] for row in totals.values()) == self.polled.total()
        assert self.ledger.irregular()["stale"] == self.stale
        live = sorted(
            (LANES[slot.lane], slot.partition, slot.next, slot.frontier) for slot in self.slots if slot.state == LIVE
        )
        assert sorted(row[:4] for row in self.ledger.partitions()) == live


TestLedger = LedgerMachine.TestCase


# ── by example ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def ledger() -> LedgerFace:
    ledger = LedgerFace(128)
    ledger.add_lane("orders")
    return ledger


def frontier(ledger: LedgerFace, slot: int) -> int:
    return int(ledger.test_slot(slot)["frontier"])


def test_the_bitmap_is_made_only_when_something_is_out_of_order(ledger: LedgerFace) -> None:
    slot = ledger.test_open(0, 0, 0)
    for offset in range(10):
        ledger.test_read(slot, offset)
    ledger.test_settle(slot, 0, 5)
    assert not ledger.test_slot(slot)["mapped"]
    ledger.test_settle(slot, 6, 4)
    assert ledger.test_slot(slot)["mapped"]
    assert frontier(ledger, slot) == 5
    ledger.test_settle(slot, 5)
    assert frontier(ledger, slot) == 10


def test_a_full_span_takes_no_more_until_its_first_record_is_settled(ledger: LedgerFace) -> None:
    slot = ledger.test_open(0, 0, 1000)
    for offset in range(1000, 1128):
        assert ledger.test_read(slot, offset) == 0
    assert ledger.test_read(slot, 1128) is None
    ledger.test_settle(slot, 1001, 127)
    assert ledger.test_read(slot, 1128) is None
    ledger.test_settle(slot, 1000)
    assert frontier(ledger, slot) == 1128
    assert ledger.test_read(slot, 1128) == 0


def test_a_jump_beyond_the_span_waits_for_what_is_outstanding_and_no_longer(ledger: LedgerFace) -> None:
    slot = ledger.test_open(0, 0, 0)
    ledger.test_read(slot, 0)
    assert ledger.test_read(slot, 1 << 40) is None
    ledger.test_settle(slot, 0)
    assert ledger.test_read(slot, 1 << 40) == 0
    assert frontier(ledger, slot) == 1 << 40


def test_a_late_acknowledgement_reaches_no_later_assignment(ledger: LedgerFace) -> None:
    """The partition goes and comes back while a batch is in flight: the batch settles nothing in its new life."""
    old = ledger.test_open(0, 3, 50)
    ledger.test_read(old, 50)
    ledger.test_state(old, DEAD)
    new = ledger.test_open(0, 3, 50)
    assert new != old
    ledger.test_read(new, 50)
    ledger.test_settle(old, 50)
    assert frontier(ledger, new) == 50
    assert ledger.irregular()["stale"] == 1
    ledger.test_settle(new, 50)
    assert frontier(ledger, new) == 51
    assert ledger.test_open(0, 4, 0) == old  # nothing names it any more


def test_a_slot_that_is_used_again_remembers_nothing(ledger: LedgerFace) -> None:
    old = ledger.test_open(0, 0, 0)
    for offset in range(100):
        ledger.test_read(old, offset)
    ledger.test_settle(old, 1, 99)  # bits of 1…99 stay set
    ledger.test_state(old, DEAD)
    ledger.test_settle(old, 0)
    new = ledger.test_open(0, 0, 0)
    assert new == old
    for offset in range(100):
        ledger.test_read(new, offset)
    ledger.test_settle(new, 0)
    assert frontier(ledger, new) == 1
    ledger.test_settle(new, 6, 10)  # a bit left over would not be counted as set now,
    ledger.test_settle(new, 1, 5)  # and the frontier would stop in front of it
    assert frontier(ledger, new) == 16


def test_the_end_of_a_partition_that_was_never_read_is_settled(ledger: LedgerFace) -> None:
    slot = ledger.test_open(0, 0, -1)
    ledger.test_end(slot, 77)
    assert ledger.partitions() == [("orders", 0, 77, 77, -1, -1)]


def test_an_end_before_the_position_changes_nothing(ledger: LedgerFace) -> None:
    slot = ledger.test_open(0, 0, 10)
    ledger.test_end(slot, 5)
    assert frontier(ledger, slot) == 10


def test_names_are_kept_for_as_long_as_the_ledger() -> None:
    ledger = LedgerFace()
    for number in range(4096):
        assert ledger.add_lane(f"topic-{number}") == number
    with pytest.raises(ValueError, match="more than 4096 topics"):
        ledger.add_lane("one more")
    assert list(ledger.counts())[:2] == ["topic-0", "topic-1"]
    slot = ledger.test_open(4095, 0, 0)
    assert ledger.topic_of(slot) == "topic-4095"
