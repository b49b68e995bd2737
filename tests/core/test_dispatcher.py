"""Schedule against a plain model and its promises; Dispatcher: what comes out of the rings, when, and how it ends."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter, deque
from fractions import Fraction

import pytest
from flow import CLOSING, DEAD, ORPHAN, Flow
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidegate.core.batch import Batch
from tidegate.core.dispatcher import Dispatcher
from tidegate.core.ledger import Ledger
from tidegate.core.ring import Rings
from tidegate.core.schedule import Schedule
from tidegate.types import CLASS_LABELS

CRITICAL, HIGH, NORMAL, BULK = range(4)
WEIGHTS = {HIGH: 8, NORMAL: 4, BULK: 1}
BUDGETS = (1.0, 5.0, 30.0, 300.0)


# ── Schedule ────────────────────────────────────────────────────────────────────────────────────────────────────────


class ModelSchedule:
    """Deficit round robin as in the paper, behind strict priority with a floor of one record in twenty."""

    def __init__(self, quantum: int) -> None:
        self.quantum = quantum
        self.credit = {HIGH: 8 * quantum, NORMAL: 0, BULK: 0}
        self.turn = HIGH
        self.owed = Fraction(0)  # records

    def pick(self, ready: set[int], waited: tuple[float, ...]) -> int:
        others = ready - {CRITICAL}
        if CRITICAL in ready and (not others or self.owed < 1):
            return CRITICAL
        if not others:
            return -1
        while True:
            if self.turn not in others:
                self.credit[self.turn] = 0
            elif self.credit[self.turn] > 0:
                return self.turn
            self.turn = self.turn % 3 + 1
            if self.turn in others:
                aged = int(waited[self.turn] // BUDGETS[self.turn])
                self.credit[self.turn] += self.quantum * WEIGHTS[max(HIGH, self.turn - aged)]

    def book(self, klass: int, records: int, contended: bool) -> None:
        if klass != CRITICAL:
            self.credit[klass] -= records
        if not contended:
            self.owed = Fraction(0)
        else:
            self.owed += Fraction(records, 19) if klass == CRITICAL else -records


steps = st.tuples(
    st.sets(st.sampled_from(range(4))),
    st.tuples(*[st.sampled_from([0.0, 0.5, 4.99, 5.0, 29.0, 31.0, 61.0, 301.0, 1e6])] * 4),
    st.integers(1, 50),
)


@given(st.integers(50, 100), st.lists(steps, max_size=60))
def test_the_schedule_and_the_model_agree(quantum: int, visits: list[tuple[set[int], tuple[float, ...], int]]) -> None:
    schedule, model = Schedule(quantum, BUDGETS), ModelSchedule(quantum)
    for ready, waited, records in visits:
        klass = schedule.pick(ready, waited)
        assert klass == model.pick(ready, waited)
        assert klass in ready or (klass == -1 and not ready)
        if klass >= 0:
            contended = CRITICAL in ready and ready != {CRITICAL}
            schedule.book(klass, records, contended)
            model.book(klass, records, contended)


def serve(
    schedule: Schedule, ready: set[int], visits: int, sizes: list[int], waited: tuple[float, ...] = (0.0,) * 4
) -> list[tuple[int, int]]:
    """(class, records) of each visit while the classes are always ready; ``sizes`` in turn."""
    served = []
    for records in itertools.islice(itertools.cycle(sizes), visits):
        klass = schedule.pick(ready, waited)
        schedule.book(klass, records, CRITICAL in ready and len(ready) > 1)
        served.append((klass, records))
    return served


def shares(served: list[tuple[int, int]]) -> Counter[int]:
    found: Counter[int] = Counter()
    for klass, records in served:
        found[klass] += records
    return found


sizes = st.lists(st.integers(1, 100), min_size=1, max_size=7)


@given(sizes)
def test_backlogged_classes_share_eight_to_four_to_one(batches: list[int]) -> None:
    found = shares(serve(Schedule(100), {HIGH, NORMAL, BULK}, 4000, batches))
    total = found.total()
    for klass, weight in WEIGHTS.items():
        # At any moment a class is off its share by no more than a round and a batch.
        assert abs(found[klass] - total * weight / 13) <= 100 * weight + 100


@given(sizes, st.sets(st.sampled_from([HIGH, NORMAL, BULK]), min_size=1))
def test_the_others_keep_a_floor_of_one_in_twenty(batches: list[int], others: set[int]) -> None:
    found = shares(serve(Schedule(100), {CRITICAL} | others, 4000, batches))
    lower = found.total() - found[CRITICAL]
    assert abs(lower - found.total() / 20) <= 100  # a batch


@given(sizes, st.sets(st.sampled_from([HIGH, NORMAL, BULK]), min_size=1))
def test_no_class_waits_longer_than_its_bound(batches: list[int], others: set[int]) -> None:
    """pressure.md section 3: the head's wait is at most Σw ÷ (0.05 w) of the service, in whole batches."""
    served = serve(Schedule(100), {CRITICAL} | others, 6000, batches)
    for klass in others:
        round_records = 100 * sum(WEIGHTS[k] for k in others) + 100 * len(others)
        bound = 20 * round_records + 200
        since = 0
        for visited, records in served:
            since = 0 if visited == klass else since + records
            assert since <= bound


@pytest.mark.parametrize(("klass", "waited"), [(NORMAL, 31.0), (BULK, 601.0), (BULK, 1e9)])
def test_an_old_head_counts_as_a_higher_class_but_never_as_critical(klass: int, waited: float) -> None:
    ages = tuple(waited if k == klass else 0.0 for k in range(4))
    found = shares(serve(Schedule(100), {HIGH, klass}, 2000, [100], ages))
    assert found[klass] == pytest.approx(found[HIGH], abs=900)
    found = shares(serve(Schedule(100), {CRITICAL, klass}, 2000, [100], ages))
    assert found[klass] / found.total() == pytest.approx(0.05, abs=0.01)


def test_promotion_is_one_class_for_each_budget() -> None:
    found = shares(serve(Schedule(100), {HIGH, BULK}, 3000, [100], (0.0, 0.0, 0.0, 301.0)))
    assert found[HIGH] / found[BULK] == pytest.approx(8 / 4, rel=0.05)


def test_an_idle_class_saves_nothing_up() -> None:
    schedule = Schedule(100)
    serve(schedule, {BULK}, 500, [100])
    found = shares(serve(schedule, {HIGH, NORMAL, BULK}, 26, [100]))
    assert (found[HIGH], found[NORMAL]) == (1600, 800)


def test_critical_alone_owes_nothing() -> None:
    schedule = Schedule(100)
    serve(schedule, {CRITICAL}, 1000, [100])
    assert schedule.pick({CRITICAL, BULK}) == CRITICAL


@pytest.mark.parametrize("budget", [0, -1.0, 1e-10])
def test_an_age_budget_of_nothing_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="age budget"):
        Schedule(1, (1.0, 1.0, budget, 1.0))


# ── Dispatcher: random flows ────────────────────────────────────────────────────────────────────────────────────────


class FlowMachine(RuleBasedStateMachine):
    """Records come out once, whole, in the order of their class, in batches of one class and within the limits."""

    @initialize(
        format=st.sampled_from(["ndjson", "json", "envelope"]),
        max_records=st.integers(1, 9),
        max_bytes=st.sampled_from([1, 60, 400, 1 << 20]),
    )
    def start(self, format: str, max_records: int, max_bytes: int) -> None:  # noqa: A002
        self.flow = Flow(format, max_records=max_records, max_bytes=max_bytes, topics=("orders", "clicks"))
        self.max_records, self.max_bytes = max_records, max_bytes
        self.waiting: list[deque[tuple[tuple[str, int, int], bytes, int]]] = [deque() for _ in range(4)]
        self.flying: list[Batch] = []
        self.gone: set[int] = set()  # slots that are no longer ours

    @rule(
        klass=st.integers(0, 3),
        topic=st.sampled_from(["orders", "clicks"]),
        partition=st.integers(0, 1),
        step=st.sampled_from([0, 0, 0, 1, 7]),
        times=st.integers(1, 12),
        value=st.sampled_from(
            [b"1", b'"text"', b"{}", b'{"a": [1, 2, 3]}', b'"' + b"x" * 90 + b'"', b"", b"{", b"\xff"]
        ),
    )
    def read(self, klass: int, topic: str, partition: int, step: int, times: int, value: bytes) -> None:
        if self.flow.slot(topic, partition) in self.gone:
            return
        for _ in range(times):
            offset = self.flow.add(klass, value, topic=topic, partition=partition, step=step)
            assert offset is not None
            self.waiting[klass].append(((topic, partition, offset), value, self.flow.slot(topic, partition)))

    @rule(classes=st.integers(0, 15))
    def take(self, classes: int) -> None:
        batch = self.flow.dispatcher.take(classes)
        for klass in range(4):
            if classes >> klass & 1:  # what was revoked goes as soon as it is the head
                while self.waiting[klass] and self.waiting[klass][0][2] in self.gone:
                    self.waiting[klass].popleft()
        due = [klass for klass in range(4) if classes >> klass & 1 and self.waiting[klass]]
        if not due:
            assert batch is None
            return
        assert batch is not None
        assert batch.klass in due
        taken = [self.waiting[batch.klass].popleft() for _ in range(batch.records)]
        assert batch.ids() == [record[0] for record in taken]
        assert 1 <= batch.records == len(batch) <= self.max_records
        assert batch.headers["X-Tidegate-Class"] == CLASS_LABELS[batch.klass]
        assert batch.headers["X-Tidegate-Records"] == str(batch.records)
        if self.flow.dispatcher.format != 2:  # escapes and base64 are not foreseen in an envelope
            assert batch.records == 1 or len(batch.body) <= self.max_bytes
        self._check_body(batch, [record[1] for record in taken])
        self.flying.append(batch)

    def _check_body(self, batch: Batch, values: list[bytes]) -> None:
        kind = batch.headers["X-Tidegate-Format"]
        if kind == "opaque":
            assert [batch.body] == values
            assert values[0] in (b"{", b"\xff")
            assert batch.content_type == "application/octet-stream"
            return
        parsed = [None if value == b"" else json.loads(value) for value in values if value not in (b"{", b"\xff")]
        if kind == "json":
            assert json.loads(batch.body) == parsed
            assert batch.content_type == "application/json"
            return
        lines = [json.loads(line) for line in batch.body.split(b"\n")[:-1]]
        assert batch.body.endswith(b"\n")
        assert len(lines) == batch.records
        if kind == "envelope":
            assert [line["id"] for line in lines] == [f"{t}/{p}/{o}" for t, p, o in batch.ids()]
            lines = [line["value"] for line in lines if "value" in line]
        assert lines == parsed
        assert batch.content_type == "application/x-ndjson"

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), deliver=st.sampled_from([True, True, True, False]))
    def end(self, data: st.DataObject, deliver: bool) -> None:
        batch = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        if deliver:
            self.flow.dispatcher.settle(batch)
        else:
            assert self.flow.dispatcher.discard(batch) == batch.records
        with pytest.raises(ValueError, match="settled before"):
            self.flow.dispatcher.settle(batch)
        with pytest.raises(ValueError, match="settled before"):
            self.flow.dispatcher.discard(batch)

    @rule(
        topic=st.sampled_from(["orders", "clicks"]), partition=st.integers(0, 1), state=st.sampled_from([CLOSING, DEAD])
    )
    def revoke(self, topic: str, partition: int, state: int) -> None:
        slot = self.flow.slot(topic, partition)
        if len(self.gone) < 3:
            self.gone.add(slot)
            self.flow.ledger.test_state(slot, state)

    @invariant()
    def nothing_is_lost_on_the_way(self) -> None:
        if not hasattr(self, "flow"):
            return
        totals = self.flow.ledger.totals()
        states = self.flow.dispatcher.states()
        for klass, label in enumerate(CLASS_LABELS):
            row = totals[label]
            buffered, _, flying = states[klass]
            assert flying == sum(batch.records for batch in self.flying if batch.klass == klass)
            assert row["polled"] == sum(n for name, n in row.items() if name != "polled") + buffered + flying
        assert set(self.flow.dispatcher.conservation()) == {0}

    def teardown(self) -> None:
        if hasattr(self, "flow"):
            buffered = sum(records for records, _, _ in self.flow.dispatcher.states().values())
            assert self.flow.dispatcher.discard_buffered() == buffered
            assert self.flow.dispatcher.due_in() is None


TestFlow = FlowMachine.TestCase


# ── Dispatcher: by example ──────────────────────────────────────────────────────────────────────────────────────────


def test_critical_overtakes() -> None:
    flow = Flow()
    for klass in (BULK, NORMAL, HIGH, CRITICAL):
        flow.add(klass, b"%d" % klass)
    assert flow.bodies()[0] == b"0\n"


def test_the_offsets_header_stays_within_four_kibibytes() -> None:
    """Offsets of which every second is missing cost most; what does not fit goes with the next batch."""
    flow = Flow(max_records=100_000)
    taken = []
    for _ in range(5000):
        flow.add(NORMAL, b"1", step=1)
    while (batch := flow.dispatcher.take()) is not None:
        assert len(batch.headers["X-Tidegate-Offsets"]) <= 4096
        taken.append(batch.records)
        flow.dispatcher.settle(batch)
    assert sum(taken) == 5000
    assert taken[0] > 1300  # three bytes each: the limit is used, not only kept
    assert flow.ledger.partitions()[0][3] == 10_000


@pytest.mark.parametrize("topic", ["t", "t" * 249])
def test_the_offsets_header_of_many_partitions(topic: str) -> None:
    flow = Flow(max_records=100_000, topics=(topic,))
    for partition in range(300):
        flow.slot(topic, partition, 1 << 60)
        flow.add(NORMAL, b"1", topic=topic, partition=partition)
        flow.add(NORMAL, b"1", topic=topic, partition=partition)
    total = 0
    while (batch := flow.dispatcher.take()) is not None:
        assert len(batch.headers["X-Tidegate-Offsets"]) <= 4096
        total += batch.records
    assert total == 600


def test_neighbours_in_great_number_take_one_batch() -> None:
    flow = Flow(max_records=100_000)
    for _ in range(20_000):
        flow.add(NORMAL, b"1")
    batch = flow.dispatcher.take()
    assert batch is not None
    assert batch.headers["X-Tidegate-Offsets"] == "orders/0:0x20000"


@pytest.mark.parametrize("format", ["ndjson", "json"])
def test_a_hostile_record_stands_alone(format: str) -> None:  # noqa: A002
    flow = Flow(format)
    for value in (b"1", b"2", b'{"a":1},{"b":2}', b"{", b"3", b"\xff\xfe", b"4"):
        flow.add(NORMAL, value)
    found = []
    while (batch := flow.dispatcher.take()) is not None:
        found.append((batch.content_type, batch.headers["X-Tidegate-Format"], batch.body))
    opaque = ("application/octet-stream", "opaque")
    assert [body for *kind, body in found if tuple(kind) == opaque] == [b'{"a":1},{"b":2}', b"{", b"\xff\xfe"]
    plain = [body for *kind, body in found if tuple(kind) != opaque]
    assert plain == ([b"1\n2\n", b"3\n", b"4\n"] if format == "ndjson" else [b"[1,2]", b"[3]", b"[4]"])


def test_a_bad_literal_harms_a_line_but_would_harm_an_array() -> None:
    """Decision 8: structure is enough where a line can only harm itself."""
    for format, bodies in (("ndjson", [b"1\nnul\n"]), ("json", [b"[1]", b"nul"])):  # noqa: A001
        flow = Flow(format)
        flow.add(NORMAL, b"1")
        flow.add(NORMAL, b"nul")
        assert flow.bodies() == bodies


def test_one_record_larger_than_a_batch_goes_alone() -> None:
    flow = Flow(max_bytes=100)
    large = b'"' + b"x" * 300 + b'"'
    for value in (b"1", large, b"2"):
        flow.add(NORMAL, value)
    assert flow.bodies() == [b"1\n", large + b"\n", b"2\n"]


def test_linger_delays_a_part_of_a_batch_but_never_critical() -> None:
    flow = Flow(linger=30.0, max_records=3, max_bytes=100)
    assert flow.dispatcher.due_in() is None
    flow.add(BULK, b"1", waited=10.0)
    flow.add(NORMAL, b"2", waited=25.0)
    assert flow.dispatcher.take() is None
    due = flow.dispatcher.due_in()
    assert due is not None
    assert 4.0 < due <= 5.0
    flow.add(CRITICAL, b"3")
    assert flow.dispatcher.due_in() == 0.0
    batch = flow.dispatcher.take()
    assert batch is not None
    assert batch.body == b"3\n"
    assert flow.dispatcher.take() is None
    flow.add(NORMAL, b"4", waited=25.0)
    flow.add(NORMAL, b"5", waited=25.0)
    assert flow.bodies() == [b"2\n4\n5\n"]  # full by records
    flow.add(HIGH, b'"' + b"x" * 120 + b'"')
    assert len(flow.bodies()) == 1  # full by bytes
    assert flow.dispatcher.take() is None
    flow.dispatcher.draining = True
    assert flow.dispatcher.due_in() == 0.0
    assert flow.bodies() == [b"1\n"]


def test_what_has_waited_its_linger_is_due() -> None:
    flow = Flow(linger=0.05)
    flow.add(BULK, b"1")
    assert flow.dispatcher.take() is None
    time.sleep(0.06)
    assert flow.dispatcher.due_in() == 0.0
    assert flow.bodies() == [b"1\n"]


def test_what_was_revoked_is_discarded_and_moves_no_offset() -> None:
    flow = Flow()
    for partition in (0, 1, 0, 1, 0):
        flow.add(NORMAL, b"%d" % partition, partition=partition)
    flow.ledger.test_state(flow.slot("orders", 0), CLOSING)
    assert flow.bodies() == [b"1\n", b"1\n"]
    row = flow.ledger.totals()["normal"]
    assert (row["polled"], row["delivered"], row["discarded"]) == (5, 2, 3)
    assert flow.ledger.test_slot(flow.slot("orders", 0))["frontier"] == 0


def test_what_was_in_flight_when_it_was_revoked_still_settles() -> None:
    flow = Flow()
    flow.add(NORMAL, b"1")
    batch = flow.dispatcher.take()
    assert batch is not None
    slot = flow.slot("orders", 0)
    flow.ledger.test_state(slot, CLOSING)
    flow.dispatcher.settle(batch)
    assert flow.ledger.test_slot(slot)["frontier"] == 1


def test_what_was_read_from_a_log_that_was_replaced_is_delivered() -> None:
    flow = Flow()
    flow.add(NORMAL, b"1")
    flow.ledger.test_state(flow.slot("orders", 0), ORPHAN)
    assert flow.bodies() == [b"1\n"]


def test_a_batch_knows_its_times() -> None:
    flow = Flow()
    for stamp in (1_700_000_000_300, -1, 1_700_000_000_100):
        flow.add(NORMAL, b"1", timestamp_ms=stamp)
    flow.add(HIGH, b"1")
    before = time.monotonic_ns()
    first, second = flow.dispatcher.take(), flow.dispatcher.take()
    assert first is not None
    assert second is not None
    assert (first.oldest_ms, second.oldest_ms) == (-1, 1_700_000_000_100)
    assert before <= first.taken_ns <= time.monotonic_ns()
    assert flow.ledger.times()[1] == 0
    flow.dispatcher.settle(first)
    assert flow.ledger.times()[1] >= first.taken_ns


def test_batches_are_made_by_the_dispatcher_only() -> None:
    with pytest.raises(TypeError, match="Dispatcher"):
        Batch()


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(KeyError):
        Dispatcher(Rings(1 << 20), Ledger(), "xml")


def test_batches_are_as_large_as_they_may_be_at_present() -> None:
    flow = Flow(max_records=10, linger=60.0)
    assert flow.dispatcher.batch_records == 10
    for _ in range(23):
        flow.add(BULK, b"{}")
    assert [body.count(b"\n") for body in flow.bodies()] == [10, 10]  # three linger
    flow.dispatcher.batch_records = 3
    assert [body.count(b"\n") for body in flow.bodies()] == [3]  # a full one does not
    assert flow.dispatcher.max_records == 10
    assert flow.dispatcher.schedule.quantum == 10


@pytest.mark.parametrize("records", [0, 11])
def test_a_batch_can_not_be_made_larger_than_configured(records: int) -> None:
    flow = Flow(max_records=10)
    with pytest.raises(ValueError, match="1 to 10 records"):
        flow.dispatcher.batch_records = records
    assert flow.dispatcher.batch_records == 10


# ── records that are being parked ───────────────────────────────────────────────────────────────────────────────────


def test_what_is_being_parked_is_neither_buffered_nor_lost() -> None:
    """One is delivered, one parked, one comes back from the producer and is delivered: each is counted once."""
    flow = Flow()
    flow.add(BULK, b"{}")
    slot = flow.slot()
    flow.ledger.test_park(slot, 1, BULK)
    flow.ledger.test_park(slot, 2, BULK)
    assert flow.ledger.parking() == (0, 0, 0, 2)
    assert flow.dispatcher.conservation() == (0, 0, 0, 0)
    flow.ledger.test_settle_parked(slot, 1, klass=BULK)
    assert flow.ledger.parking() == (0, 0, 0, 1)
    assert flow.dispatcher.conservation() == (0, 0, 0, 0)
    flow.ledger.test_park_failed(slot, BULK)
    assert flow.rings.push(BULK, b"{}", slot=slot, offset=2, gap=0, flags=0, key=None, headers=b"", timestamp_ms=-1)
    assert flow.ledger.parking() == (0, 0, 0, 0)
    assert flow.dispatcher.conservation() == (0, 0, 0, 0)
    assert len(flow.bodies()) == 1
    stands = flow.ledger.test_slot(slot)
    assert (stands["frontier"], stands["popped"] + stands["parked"], stands["settled"]) == (3, 3, 3)
    row = flow.ledger.totals()["bulk"]
    assert (row["polled"], row["delivered"], row["deferred"]) == (3, 2, 1)
    assert flow.dispatcher.conservation() == (0, 0, 0, 0)


def test_a_parked_record_that_ends_twice_shows() -> None:
    flow = Flow()
    flow.ledger.test_park(flow.slot(), 0, BULK)
    flow.ledger.test_settle_parked(flow.slot(), 0, klass=BULK)
    flow.ledger.test_settle(flow.slot(), 0, klass=BULK)  # planted: as if it had been in a batch as well
    assert flow.dispatcher.conservation() == (0, 0, 0, -1)
