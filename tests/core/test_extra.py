"""Parked and sampled records at the app: whose ids, which weight, and what may stand in one batch; against a model."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from extra_model import Id, decimal, tracestate, weight, write_offsets
from flow import Flow
from hypothesis import assume, given
from hypothesis import strategies as st

from tidegate.core import encode
from tidegate.core.batch import Batch
from tidegate.core.extra import Extra

NORMAL, BULK = 2, 3
PARKED = "tidegate.shop.parked"
HALF, THREE_QUARTERS = 1 << 55, 3 << 54
TOPICS = (PARKED, "orders")


def flow_of(format: str = "ndjson", max_records: int = 500) -> Flow:  # noqa: A002
    return Flow(format, max_records=max_records, topics=TOPICS)


def batches(flow: Flow) -> list[Batch]:
    """Takes and settles all that is due."""
    found = []
    while (batch := flow.dispatcher.take()) is not None:
        found.append(batch)
        assert batch.headers  # made while the slots are known
        flow.dispatcher.settle(batch)
    return found


# ── random flows ────────────────────────────────────────────────────────────────────────────────────────────────────

places = st.tuples(st.sampled_from(["shop.events", "clicks"]), st.integers(0, 1))
#: Where it is read from, how far behind the last one there, its value, the place where it was and the step there
#: (None: nowhere else), and how it was sampled (None: nothing is known).
reads = st.tuples(
    st.tuples(st.sampled_from(TOPICS), st.integers(0, 1)),
    st.sampled_from([0, 0, 0, 0, 1, 9]),
    st.sampled_from([b"1", b"1", b'{"a":2}', b"", b"{"]),
    st.none() | st.tuples(places, st.sampled_from([1, 1, 1, 2, 100, -1, 0])),
    st.none()
    | st.sampled_from(
        [
            Extra(),
            Extra(replayed=True),
            Extra(threshold=HALF, randomness=HALF + 5),
            Extra(threshold=THREE_QUARTERS, randomness=THREE_QUARTERS),
            Extra(threshold=HALF, randomness=HALF, replayed=True),
            Extra(factor=2.0),  # as a half, but said of no threshold
            Extra(threshold=1 << 54, randomness=2**56 - 1),  # 4/3
        ]
    ),
)


class Model:
    """Cuts records into batches as the dispatcher promises to."""

    def __init__(self, format: str, max_records: int) -> None:  # noqa: A002
        self.format, self.max_records = format, max_records
        self.batches: list[list[tuple[Id, Id, bytes, Extra | None]]] = []

    def add(self, stands: Id, known_by: Id, value: bytes, extra: Extra | None) -> None:
        record = (stands, known_by, value, extra)
        if self.batches and self._fits(self.batches[-1], record):
            self.batches[-1].append(record)
        else:
            self.batches.append([record])

    def _fits(
        self, batch: list[tuple[Id, Id, bytes, Extra | None]], record: tuple[Id, Id, bytes, Extra | None]
    ) -> bool:
        first = batch[0]
        if len(batch) == self.max_records or b"{" in (first[2], record[2]):
            return False
        if (first[3] or Extra()).replayed != (record[3] or Extra()).replayed:
            return False
        return self.format == "envelope" or weight(first[3]) == weight(record[3])


@given(
    st.sampled_from(["ndjson", "json", "envelope"]),
    st.sampled_from([1, 4, 500]),
    st.lists(reads, min_size=1, max_size=60),
)
def test_batches_hold_like_records_and_say_where_they_stood(
    format: str,  # noqa: A002
    max_records: int,
    script: list[tuple[tuple[str, int], int, bytes, tuple[tuple[str, int], int] | None, Extra | None]],
) -> None:
    flow, model = flow_of(format, max_records), Model(format, max_records)
    at: dict[tuple[str, int], int] = {}
    for (topic, partition), step, value, origin, how in script:
        extra = how
        known_by = None
        if origin is not None:
            place, forward = origin
            at[place] = max(0, at.get(place, 50) + forward)
            number = flow.ledger.test_origin(place[0].encode(), place[1])
            extra = replace(how or Extra(replayed=True), origin=number, origin_offset=at[place])
            known_by = (*place, at[place])
        offset = flow.add(NORMAL, value, topic=topic, partition=partition, step=step, extra=extra)
        assert offset is not None
        model.add((topic, partition, offset), known_by or (topic, partition, offset), value, extra)
    found = []
    while (batch := flow.dispatcher.take()) is not None:
        found.append(batch)
    assert len(found) == len(model.batches)
    for batch, expected in zip(found, model.batches, strict=True):
        check(flow, batch, expected)
    for batch in found:
        flow.dispatcher.settle(batch)
    for topic, partition, position, frontier, _, _ in flow.ledger.partitions():
        assert position == frontier, (topic, partition)
    assert set(flow.dispatcher.conservation()) == {0}


def check(flow: Flow, batch: Batch, expected: list[tuple[Id, Id, bytes, Extra | None]]) -> None:
    ids = [known_by for _, known_by, _, _ in expected]
    first = expected[0][3]
    assert batch.ids() == ids
    assert batch.offsets == write_offsets(ids) == batch.headers["X-Tidegate-Offsets"]
    settles = [
        (slot, offset) for slot, start, records, _ in batch.test_runs() for offset in range(start, start + records)
    ]
    assert settles == [(flow.slot(topic, partition), offset) for (topic, partition, offset), _, _, _ in expected]
    assert batch.replayed == (first or Extra()).replayed
    assert batch.headers.get("X-Tidegate-Replayed") == ("true" if batch.replayed else None)
    kind = batch.headers["X-Tidegate-Format"]
    assert (kind == "opaque") == (expected[0][2] == b"{")
    if kind == "envelope":
        assert batch.weight == 1.0
        assert "X-Tidegate-Weight" not in batch.headers
        lines = batch.body.splitlines()
        assert len(lines) == len(expected)
        for line, (_, (topic, partition, offset), _, extra) in zip(lines, expected, strict=True):
            ot = tracestate(extra)
            said = f',"ot":"{ot}"' if ot else ""
            begin = (
                f'{{"id":"{topic}/{partition}/{offset}","class":"normal","weight":{decimal(weight(extra))}{said},"ts":'
            )
            assert line.startswith(begin.encode())
            json.loads(line)
    else:
        assert batch.weight == weight(first)
        shown = decimal(batch.weight)
        assert batch.headers.get("X-Tidegate-Weight") == (None if shown == "1" else shown)


# ── the header's bound ──────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.sampled_from(["shop.events", "t", "t" * 249]),
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([1, 1, 1, 2, 1000, -5]), st.integers(1, 200)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([1, 97, 10**17]),
    st.booleans(),
)
def test_a_batch_has_as_many_ids_as_its_header_has_room_for(
    topic: str, script: list[tuple[int, int, int]], start: int, jumps: bool
) -> None:
    """Four KiB with origins as without, to the byte."""
    flow = Flow(max_records=100_000, topics=(PARKED,))
    ids: list[Id] = []
    at = dict.fromkeys(range(4), start)
    for partition, step, times in script * 10:
        for n in range(times):
            where = (partition + n) % 4 if jumps else partition
            at[where] = max(0, at[where] + (1 if n % 3 else step))
            extra = Extra(flow.ledger.test_origin(topic.encode(), where), at[where], replayed=True)
            assert flow.add(BULK, b"1", topic=PARKED, step=n % 2, extra=extra) is not None
            ids.append((topic, where, at[where]))
    for batch in batches(flow):
        header = batch.headers["X-Tidegate-Offsets"]
        assert header == write_offsets(ids[: batch.records])
        assert len(header) <= 4096
        if len(ids) > batch.records:
            assert len(write_offsets(ids[: batch.records + 1])) > 4096
        del ids[: batch.records]
    assert not ids


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
def test_places_that_have_no_number_stand_beside_those_that_have(script: list[tuple[int, bool]]) -> None:
    """The table was full: such a record is known by its place in the parking topic. A slot's number is no origin's, and
    what has the next offset in another partition is no neighbour."""
    flow = Flow(max_records=100_000, topics=(PARKED,))
    for partition in range(4):
        assert flow.slot(PARKED, partition) == partition
        assert flow.ledger.test_origin(b"orders", partition) == partition + 1
    ids: list[Id] = []
    offsets = [0] * 4
    for n, (partition, known) in enumerate(script * 300):
        extra = Extra(partition + 1 if known else 0, n, replayed=True)
        offset = flow.add(BULK, b"1", topic=PARKED, partition=partition, step=n - offsets[partition], extra=extra)
        assert offset == n
        offsets[partition] = n + 1
        ids.append(("orders", partition, n) if known else (PARKED, partition, n))
    for batch in batches(flow):
        assert batch.ids() == ids[: batch.records]
        assert batch.offsets == write_offsets(ids[: batch.records])
        assert len(ids) == batch.records or len(write_offsets(ids[: batch.records + 1])) > 4096
        del ids[: batch.records]
    assert not ids


def test_a_batch_of_one_partition_s_parked_records_is_one_item() -> None:
    flow = flow_of()
    for n in range(500):
        extra = Extra(flow.ledger.test_origin(b"shop.events", n // 250), 7_000_000 + n, replayed=True)
        flow.add(BULK, b"1", topic=PARKED, step=n % 2, extra=extra)
    (batch,) = batches(flow)
    assert batch.offsets == "shop.events/0:7000000x250;shop.events/1:7000250x250"


def test_the_key_is_that_of_the_same_records_at_their_origin() -> None:
    """An app that has seen the batch before, in the same cut, knows it again."""
    before, after = flow_of(), flow_of()
    origin = after.ledger.test_origin(b"orders", 0)
    for n in range(9):
        offset = before.add(BULK, b"1", topic="orders", step=n % 2)
        assert offset is not None
        after.add(BULK, b"1", topic=PARKED, extra=Extra(origin, offset, replayed=True))
    (first,), (again,) = batches(before), batches(after)
    assert first.offsets == again.offsets
    assert first.idempotency_key == again.idempotency_key


# ── by example ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_documented_headers() -> None:
    flow = flow_of()
    origin = flow.ledger.test_origin(b"shop.events", 3)
    flow.slot(PARKED, 0, 1000)
    extra = Extra(origin, 41, HALF + HALF // 2, THREE_QUARTERS, replayed=True)
    for n in range(3):
        flow.add(BULK, b"1", topic=PARKED, extra=replace(extra, origin_offset=41 + n))
    (batch,) = batches(flow)
    assert batch.headers == {
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": batch.idempotency_key,
        "X-Tidegate-Class": "bulk",
        "X-Tidegate-Records": "3",
        "X-Tidegate-Format": "ndjson",
        "X-Tidegate-Offsets": "shop.events/3:41x3",
        "X-Tidegate-Weight": "4",
        "X-Tidegate-Replayed": "true",
    }
    assert flow.ledger.test_slot(flow.slot(PARKED, 0))["frontier"] == 1003


def test_the_documented_envelope() -> None:
    flow = flow_of("envelope")
    flow.slot("orders", 1, 7)
    flow.add(
        BULK,
        b'{"event":"view"}',
        topic="orders",
        partition=1,
        key=b"k",
        headers=[(b"a", b"b")],
        timestamp_ms=5,
        extra=Extra(randomness=0xD29D6A7215CED0, threshold=0xC0000000000000),
    )
    (batch,) = batches(flow)
    assert batch.body == (
        b'{"id":"orders/1/7","class":"bulk","weight":4,"ot":"th:c;rv:d29d6a7215ced0","ts":5,"key":"k",'
        b'"headers":{"a":"b"},"value":{"event":"view"}}\n'
    )


@pytest.mark.parametrize("format", ["ndjson", "json", "envelope"])
def test_a_hostile_record_that_was_sampled_and_parked_stands_alone_and_says_so(format: str) -> None:  # noqa: A002
    flow = flow_of(format)
    extra = Extra(flow.ledger.test_origin(b"orders", 5), 9, HALF, HALF, 1.5, replayed=True)
    flow.add(BULK, b"{", topic=PARKED, extra=extra)
    (batch,) = batches(flow)
    assert (batch.body, batch.headers["X-Tidegate-Format"]) == (b"{", "opaque")
    assert batch.headers["X-Tidegate-Weight"] == "3"
    assert batch.headers["X-Tidegate-Replayed"] == "true"
    assert batch.headers["X-Tidegate-Offsets"] == "orders/5:9"


def test_a_record_of_several_chunks_keeps_its_origin_and_weight() -> None:
    flow = flow_of("envelope")
    origin = flow.ledger.test_origin(b"t" * 249, 2**31 - 1)
    value = b'"' + b"x" * 600_000 + b'"'
    for n in range(3):
        extra = Extra(origin, 2**63 - 3 + n, 2**56 - 1, 2**56 - 1, 1 / 3, replayed=True)
        assert flow.add(BULK, value, key=b"\x01" * 999, headers=[(b"\xff", b"\x03" * 99)] * 3, extra=extra) is not None
    for n, batch in enumerate(batches(flow)):
        line = json.loads(batch.body)
        assert line["id"] == f"{'t' * 249}/{2**31 - 1}/{2**63 - 3 + n}"
        assert (line["ot"], line["weight"]) == ("th:ffffffffffffff;rv:ffffffffffffff", 2**56 / 3)
        assert line["value"] == json.loads(value)
    assert set(flow.dispatcher.conservation()) == {0}


def test_what_was_sampled_costs_the_longest_line() -> None:
    """Nothing is written behind what was reserved, where each part is the longest; the sanitized build watches."""
    flow = flow_of("envelope")
    origin = flow.ledger.test_origin(b"t" * 249, 2**31 - 1)
    extra = Extra(origin, 2**63 - 1, 2**56 - 1, 2**56 - 1, 1.7976931348623157e282, replayed=True)
    for value in (b"", b"0", b'"' + b"x" * 999 + b'"'):
        for factor in (extra.factor, -extra.factor, 1 / 3e290, 0.00012345678901234567 / 2**56):
            flow.add(0, value, key=b"\x01" * 999, timestamp_ms=2**63 - 1, extra=replace(extra, factor=factor))
    for batch in batches(flow):
        for line in batch.body.splitlines():
            assert len(json.loads(line)["ot"]) == 35


# ── weights ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**17), 10**17).map(float))
def test_a_decimal_is_python_s(value: float) -> None:
    assume(value == 0 or abs(value) >= 2.2250738585072014e-308)
    text = encode.decimal(value)
    assert float(text) == value
    assert json.loads(text) == value
    if math.frexp(value)[0] not in (0.5, -0.5):  # a power of two may have a digit more
        expected = repr(value)
        assert text == (expected.removesuffix(".0").replace("-0", "0") if value == 0 else expected.removesuffix(".0"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4.0, "4"),
        (4 / 3, "1.3333333333333333"),
        (1.5, "1.5"),
        (64.0, "64"),
        (1e15, "1000000000000000"),
        (1e16, "1e+16"),
    ],
)
def test_weights_as_they_are_written(value: float, text: str) -> None:
    assert encode.decimal(value) == text


samples = st.builds(
    Extra,
    randomness=st.none() | st.integers(0, 2**56 - 1),
    threshold=st.none() | st.integers(0, 2**56 - 1),
    factor=st.floats(min_value=1e-300, max_value=1e300) | st.integers(1, 1000).map(float),
)


@given(st.lists(samples, min_size=1, max_size=40))
def test_each_line_says_its_own_weight_exactly(extras: list[Extra]) -> None:
    """More of them than texts are kept, and the same again."""
    flow = flow_of("envelope")
    for extra in extras * 2:
        flow.add(BULK, b"1", extra=extra)
    lines = [json.loads(line) for batch in batches(flow) for line in batch.body.splitlines()]
    assert [line["weight"] for line in lines] == [weight(extra) for extra in extras * 2]
    assert [line.get("ot") for line in lines] == [tracestate(extra) for extra in extras * 2]


@pytest.mark.parametrize("factor", [math.nan, math.inf, -math.inf, 0.0, -2.0, 5e-324, 1.7976931348623157e308])
def test_what_is_no_weight_is_none(factor: float) -> None:
    extra = Extra(randomness=HALF, threshold=HALF, factor=factor)
    for format in ("ndjson", "envelope"):  # noqa: A001
        flow = flow_of(format)
        flow.add(BULK, b"1", extra=extra)
        (batch,) = batches(flow)
        assert "X-Tidegate-Weight" not in batch.headers
        assert b'"weight":1,' in batch.body or format == "ndjson"


def test_what_was_calm_and_what_was_sampled_take_turns_in_one_envelope() -> None:
    flow = flow_of("envelope")
    for n in range(20):
        flow.add(BULK, b"1", extra=Extra(randomness=HALF, threshold=HALF) if n % 2 else None)
    (batch,) = batches(flow)
    assert batch.body.count(b'"weight":1,"ts"') == batch.body.count(b'"weight":2,"ot":"th:8;rv:80000000000000"') == 10
