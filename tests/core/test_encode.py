"""Bodies of the three formats, offsets and idempotency keys: what the app parses is what was in Kafka."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import pytest
from flow import Flow
from hypothesis import assume, given
from hypothesis import strategies as st

from tidegate.core.batch import Batch

NORMAL = 2
BOM = b"\xef\xbb\xbf"


def whitespace(text: str) -> st.SearchStrategy[str]:
    return st.text(" \t\r\n", max_size=3).map(lambda blank: blank.join(["", text, ""]))


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=12)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """A JSON value in one of its spellings: indented, with CR, with blanks around, with a byte order mark."""
    text = json.dumps(draw(documents), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    try:
        raw = draw(whitespace(text)).encode()
    except UnicodeEncodeError:  # a lone surrogate: only possible as an escape
        raw = json.dumps(json.loads(text)).encode()
    raw = raw.replace(b"\n", draw(st.sampled_from([b"\n", b"\r\n", b"\r"])))
    return (BOM if draw(st.booleans()) else b"") + raw


blanks = st.text(" \t\r\n", max_size=3).map(str.encode)
anything = st.one_of(
    st.binary(max_size=20), st.sampled_from([b"{", b"[1,]", b"1 2", b'"\x01"', b"\xff", b'{"a":1}}', b"nul"])
)


def parsed(value: bytes | None) -> object:
    """The value as Python's json sees it."""
    text = (value or b"").decode("utf-8-sig")
    return json.loads(text) if text.strip(" \t\r\n") else None


def refuse(constant: str) -> object:
    raise ValueError(constant)  # Python's json takes NaN and Infinity, JSON does not


def valid(value: bytes) -> bool:
    try:
        json.loads(value.decode("utf-8-sig"), parse_constant=refuse)
    except ValueError:
        return not value.removeprefix(BOM).strip(b" \t\r\n")
    return True


def one_batch(flow: Flow) -> Batch:
    batch = flow.dispatcher.take()
    assert batch is not None
    flow.dispatcher.settle(batch)
    assert flow.dispatcher.take() is None
    return batch


@given(st.lists(values() | blanks, min_size=1, max_size=8))
def test_each_line_is_its_record(records: list[bytes]) -> None:
    flow = Flow()
    for value in records:
        flow.add(NORMAL, value)
    body = one_batch(flow).body
    assert b"\r" not in body
    lines = body.split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line.decode()) for line in lines] == [parsed(value) for value in records]


@given(st.lists(values() | blanks, min_size=1, max_size=8))
def test_each_element_is_its_record(records: list[bytes]) -> None:
    flow = Flow("json")
    for value in records:
        flow.add(NORMAL, value)
    body = one_batch(flow).body
    assert json.loads(body.decode()) == [parsed(value) for value in records]


@given(st.lists(values() | blanks | anything, min_size=1, max_size=8))
def test_a_bad_value_never_reaches_its_neighbours(records: list[bytes]) -> None:
    flow = Flow("json")
    for value in records:
        flow.add(NORMAL, value)
    plain, alone = [], []
    while (batch := flow.dispatcher.take()) is not None:
        if batch.content_type == "application/octet-stream":
            assert batch.records == 1
            alone.append(batch.body)
        else:
            plain += json.loads(batch.body.decode())
    assert alone == [value for value in records if not valid(value)]
    assert plain == [parsed(value) for value in records if valid(value)]


def text(raw: bytes | None) -> object:
    """A key or header as the envelope shows it."""
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw or b"").decode()}


def name(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


raw_text = st.one_of(
    st.binary(max_size=9),
    st.text(max_size=9).map(lambda t: t.encode("utf-8", "replace")),
    st.sampled_from([b'"\\', b"\x00\x1f\x7f"]),
)
header_lists = st.lists(st.tuples(raw_text, st.none() | raw_text), max_size=5)


@given(
    st.lists(
        st.tuples(
            (values() | blanks | anything).filter(valid), st.none() | raw_text, header_lists, st.integers(-1, 1 << 60)
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 3),
    st.integers(0, (1 << 62)),
    st.integers(0, 2**31 - 1),
)
def test_an_envelope_holds_every_part(
    records: list[tuple[bytes, bytes | None, list[tuple[bytes, bytes | None]], int]],
    klass: int,
    start: int,
    partition: int,
) -> None:
    flow = Flow("envelope", topics=("a.b-C_9",))
    flow.slot("a.b-C_9", partition, start)
    for value, key, headers, stamp in records:
        flow.add(klass, value, topic="a.b-C_9", partition=partition, key=key, headers=headers, timestamp_ms=stamp)
    batch = one_batch(flow)
    lines = batch.body.split(b"\n")
    assert lines.pop() == b""
    for n, (line, (value, key, headers, stamp)) in enumerate(zip(lines, records, strict=True)):
        pairs = json.loads(line.decode(), object_pairs_hook=list)
        members = dict(pairs)
        assert [key for key, _ in pairs][:6] == ["id", "class", "weight", "ts", "key", "headers"]
        assert members["id"] == f"a.b-C_9/{partition}/{start + n}"
        assert (members["class"], members["weight"]) == (("critical", "high", "normal", "bulk")[klass], 1)
        assert members["ts"] == (None if stamp < 0 else stamp)
        object_ = json.loads(line.decode())
        assert object_["key"] == text(key)
        # Every header is there, in order, the same name twice included; {} and [] look alike to the hook.
        assert [(k, v) for k, v in members["headers"]] == [(name(k), _pairs(text(v))) for k, v in headers]
        assert object_["value"] == parsed(value)
        assert len(pairs) == 7


def _pairs(shown: object) -> object:
    return [*shown.items()] if isinstance(shown, dict) else shown


@pytest.mark.parametrize("length", range(8))
def test_base64_of_every_remainder(length: int) -> None:
    flow = Flow("envelope")
    raw = b"\xff\x00\xfb\xef\xbe\x80\x01\x3f"[:length] or b"\xc0"
    flow.add(NORMAL, b"{}", key=raw)
    line = json.loads(one_batch(flow).body)
    assert line["key"]["base64"] == base64.b64encode(raw).decode()


@pytest.mark.parametrize("format", ["ndjson", "json", "envelope"])
def test_large_values(format: str) -> None:  # noqa: A002
    """Values of several chunks, and keys and headers whose escapes make them six times as long."""
    flow = Flow(format, max_bytes=1 << 30, budget=64 << 20)
    large = json.dumps({"a": "é" * 1_000_000, "b": ["\n"] * 100_000}, indent=1).encode()
    for value in (large, b"\xff" * 500_000, large):
        flow.add(NORMAL, value, key=b"\x01" * 300_000, headers=[(b"\x02" * 1000, b"\x03" * 200_000)] * 3)
    bodies = flow.bodies()
    assert len(bodies) == 3
    assert bodies[1] == b"\xff" * 500_000
    first = json.loads(bodies[0])
    if format != "envelope":
        assert first in (parsed(large), [parsed(large)])
        return
    assert first["key"] == "\x01" * 300_000
    assert first["headers"] == {"\x02" * 1000: "\x03" * 200_000}
    assert first["value"] == parsed(large)


def test_escapes_make_the_longest_line() -> None:
    """Nothing is written behind what was reserved, whatever grows most; the sanitized build watches."""
    for key in (b"\x01" * 999, b"\xff" * 999, b'"' * 999, b"\xff"):
        for headers in ([(key, key)], [(b"", None)] * 100, [(b"", b"\xff")] * 100, [(b"\xff", b"\xff")] * 100):
            flow = Flow("envelope", topics=("t" * 249,))
            flow.slot("t" * 249, 2**31 - 1, (1 << 62) - 1)
            for value in (b"0", b"", b'"%s"' % (b"x" * 1000)):
                flow.add(
                    0, value, topic="t" * 249, partition=2**31 - 1, key=key, headers=headers, timestamp_ms=2**63 - 1
                )
            for line in one_batch(flow).body.splitlines():
                json.loads(line)


# ── offsets and keys ────────────────────────────────────────────────────────────────────────────────────────────────


def read_offsets(header: str) -> list[tuple[str, int, int]]:
    """What an app would write after reading the description in `Batch.offsets`."""
    ids = []
    for part in header.split(";"):
        where, items = part.split(":")
        topic, _, partition = where.rpartition("/")
        last = 0
        for n, item in enumerate(items.split(",")):
            begin, _, count = item.partition("x")
            assert begin.startswith("+") == (n > 0)
            first = last + int(begin)
            last = first + int(count or 1) - 1
            ids += [(topic, int(partition), offset) for offset in range(first, last + 1)]
    return ids


moves = st.lists(
    st.tuples(
        st.sampled_from(["orders", "a.b_c-1"]), st.integers(0, 2), st.sampled_from([0, 0, 0, 0, 1, 9, 10, 12345])
    ),
    min_size=1,
    max_size=60,
)


def batch_of(script: Sequence[tuple[str, int, int]], start: int, klass: int = NORMAL, value: bytes = b"1") -> Batch:
    flow = Flow(topics=("orders", "a.b_c-1"))
    for topic, partition, step in script:
        flow.slot(topic, partition, start)
        flow.add(klass, value, topic=topic, partition=partition, step=step)
    batch = flow.dispatcher.take()
    assert batch is not None
    assert batch.records == len(script)
    return batch


@given(moves, st.sampled_from([0, 1, 99, 1 << 40]))
def test_the_offsets_header_names_every_record(script: list[tuple[str, int, int]], start: int) -> None:
    batch = batch_of(script, start)
    assert read_offsets(batch.offsets) == batch.ids()
    assert batch.headers["X-Tidegate-Offsets"] == batch.offsets
    following = dict.fromkeys(((topic, partition) for topic, partition, _ in script), start)
    expected = []
    for topic, partition, step in script:
        offset = following[topic, partition] + step
        expected.append((topic, partition, offset))
        following[topic, partition] = offset + 1
    assert batch.ids() == expected


def test_the_documented_example() -> None:
    batch = batch_of([("orders", 0, 0)] * 20 + [("orders", 0, 2)] + [("orders", 0, 0)] * 5, 100)
    assert batch.offsets == "orders/0:100x20,+3x6"


@given(moves, moves, st.sampled_from([0, 5]), st.sampled_from([0, 5]))
def test_the_idempotency_key_says_which_records(
    one: list[tuple[str, int, int]], two: list[tuple[str, int, int]], start1: int, start2: int
) -> None:
    first, again, other = batch_of(one, start1), batch_of(one, start1, value=b"2"), batch_of(two, start2)
    key = first.headers["Idempotency-Key"]
    assert len(key) == 32
    assert int(key, 16) >= 0
    assert again.headers["Idempotency-Key"] == key == first.idempotency_key
    assume(first.ids() != other.ids())
    assert other.headers["Idempotency-Key"] != key


def test_a_batch_is_the_same_for_every_attempt() -> None:
    batch = batch_of([("orders", 0, 0)], 0)
    headers, body = batch.headers, batch.body
    batch.attempts += 1
    assert batch.headers is headers
    assert batch.body is body
    assert headers == {
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": batch.idempotency_key,
        "X-Tidegate-Class": "normal",
        "X-Tidegate-Records": "1",
        "X-Tidegate-Format": "ndjson",
        "X-Tidegate-Offsets": "orders/0:0",
    }
    with pytest.raises(AttributeError):
        batch.body = b""  # type: ignore[misc]
