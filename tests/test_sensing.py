"""What the tick looks at: from the core's counters to what signals and holds want."""

from __future__ import annotations

import pytest

from harness.figures import Class, Figures
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.ring import Rings
from tidegate.pressure.policy import policies
from tidegate.sensing import Look, Senses
from tidegate.types import EventClass, LaneState


class Looking:
    """Senses over real rings and a real ledger, a look each tenth of a second."""

    def __init__(self, texts: dict[EventClass, str] | None = None) -> None:
        self.rings, self.ledger, self.figures = Rings(4 << 20), LedgerFace(1000), Figures()
        self.senses = Senses(self.rings, self.ledger, policies(texts or {}), 100 << 20)
        self.now = 10.0

    def look(self, *states: LaneState, seconds: float = 0.1) -> Look:
        self.now += seconds
        return self.senses.look(self.now, states, self.figures)


def state(klass: int = -1, reason: str = "flowing", **more: object) -> LaneState:
    return LaneState("t", reason, klass, 0.0, 0, 0.0, 0.0)._replace(lane_klass=klass, **more)


def test_records_acknowledged_queued_and_memory() -> None:
    looking = Looking()
    slot = looking.ledger.test_open(looking.ledger.add_lane("t"), 0, 0)
    for offset in range(5):
        looking.ledger.test_read(slot, offset, klass=3)
        looking.rings.push(3, b"x" * 100, slot=slot, offset=offset)
    looking.ledger.test_settle(slot, 0, 2, 0, 3, disposition=0)
    looking.ledger.test_settle(slot, 2, 1, 0, 3, disposition=5)  # discarded: not the target's work
    looking.figures.classes[3] = Class(bytes=1 << 20, acks=2)
    looking.figures.busy_seconds = 1.5
    look = looking.look(state(queued_bytes=2 << 20, span=256))
    counts = look.counts
    assert (counts.service.records, counts.service.answers, counts.service.busy_seconds) == (2, 2, 1.5)
    assert (counts.queued, counts.completed) == ((0, 0, 0, 5), (0, 0, 0, 2))
    assert look.accounted_bytes == looking.rings.chunk_bytes + (3 << 20)
    assert counts.memory == pytest.approx(look.accounted_bytes / (100 << 20))
    assert counts.rings[3] > 0 == counts.rings[0]
    assert counts.lanes[0].span == 0.25
    assert not look.quiet


def test_a_hold_between_two_looks_is_seen() -> None:
    looking = Looking()
    assert not looking.look(state(holds=3)).counts.lanes[0].held
    assert looking.look(state(holds=4)).counts.lanes[0].held  # held, and released again
    assert not looking.look(state(holds=4)).counts.lanes[0].held
    assert looking.look(state(holds=5, reason="ring")).counts.lanes[0].held
    assert looking.look(state(holds=5, reason="ring")).counts.lanes[0].held


@pytest.mark.parametrize(("part", "shown"), [(0.75, True), (0.2, False)])
def test_holds_that_come_and_go_add_up(part: float, shown: bool) -> None:
    """Held for three quarters of each second, in pieces of less than one: no look ever sees a second of it."""
    looking, held, share = Looking(), 0.0, 0.0
    for tick in range(100):
        holding = tick % 8 < part * 8 - 1e-9
        held += 0.1 * holding
        one = state(own=holding, holds=tick // 8, ring_seconds=held, reason="ring" if holding else "flowing")
        share = looking.look(one).levels.lanes[0].own_share
    assert (share >= 0.5) is shown


def test_what_may_wait_is_what_the_operator_says() -> None:
    states = [state(klass) for klass in (-1, 0, 1, 2, 3)]
    look = Looking().look(*states)
    assert [lane.waits for lane in look.counts.lanes.values()] == [False, False, False, True, True]
    assert [lane.deferrable for lane in look.levels.lanes.values()] == [False, False, False, True, True]
    look = Looking({EventClass.NORMAL: "keep"}).look(*states)
    assert [lane.waits for lane in look.counts.lanes.values()] == [False, False, False, False, True]
    assert [lane.deferrable for lane in look.levels.lanes.values()] == [False, False, False, False, True]


def test_where_nothing_is_to_be_seen_it_is_quiet() -> None:
    looking = Looking()
    assert looking.look(state()).quiet
    assert not looking.look(state(queued=1)).quiet
    assert not looking.look(state(reason="operator")).quiet
    looking.figures.target = "down"
    assert not looking.look(state()).quiet


def test_a_parking_topic_with_nothing_in_it_is_quiet() -> None:
    """It is shut, so the ends of its partitions stay in its queue, as if they were records."""
    looking = Looking()
    assert looking.look(state(parking=True, queued=8, position=30, end=30)).quiet
    assert not looking.look(state(parking=True, queued=9, position=30, end=31)).quiet
    assert not looking.look(state(parking=True, queued=8, position=30, end=None)).quiet, "nobody knows"
    assert not looking.look(state(queued=8, position=30, end=30)).quiet, "of others that are read: for a moment"
