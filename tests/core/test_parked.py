"""The envelope of a parked record against its plain model: both ways, and with bytes that anybody may have written."""

from __future__ import annotations

import parked_model
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.parked import decode, encode
from tidegate.core.parking import Parked

drawn = st.none() | st.integers(0, (1 << 56) - 1)
records = st.builds(
    Parked,
    topic=st.text(max_size=12),
    partition=st.integers(0, (1 << 31) - 1),
    offset=st.integers(0, (1 << 63) - 1),
    timestamp_ms=st.integers(-(1 << 63), (1 << 63) - 1),
    timestamp_type=st.integers(0, 2),
    klass=st.integers(0, 3),
    randomness=drawn,
    threshold=drawn,
    headers=st.lists(
        st.tuples(st.sampled_from([b"", b"a", b"trace"]) | st.binary(max_size=9), st.none() | st.binary(max_size=40)),
        max_size=7,
    ).map(tuple),
    payload=st.none() | st.binary(max_size=300),
)
PLAIN = Parked("orders", 7, 12, 5, 1, 3, 1, 2, ((b"a", b"x"), (b"b", None)), b"{}")


@given(records)
def test_it_is_the_bytes_of_the_model_and_comes_back_whole(record: Parked) -> None:
    data = encode(record)
    assert data == parked_model.encode(record)
    assert decode(data) == ("ok", record)


@given(records, st.data())
def test_damaged_bytes_are_judged_as_the_model_judges_them(record: Parked, data: st.DataObject) -> None:
    damaged = bytearray(encode(record))
    for _ in range(data.draw(st.integers(0, 3))):
        # Mostly among the lengths and flags: payloads may be anything.
        place = data.draw(st.integers(0, min(len(damaged), 56) - 1) | st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.sampled_from([0, 1, 2, 8, 127, 128, 255]) | st.integers(0, 255))
    cut = data.draw(st.just(0) | st.integers(0, len(damaged)))
    more = data.draw(st.just(b"") | st.binary(max_size=9))
    bad = bytes(damaged[: len(damaged) - cut]) + more
    assert decode(bad) == parked_model.decode(bad)


@given(st.binary(max_size=120))
def test_any_bytes_are_judged_as_the_model_judges_them(data: bytes) -> None:
    for one in (data, b"tP\1" + data):
        assert decode(one) == parked_model.decode(one)


@given(records)
def test_nothing_is_accepted_in_two_forms(record: Parked) -> None:
    data = bytearray(encode(record))
    for place in range(min(len(data), 8)):
        for bit in range(8):
            data[place] ^= 1 << bit
            status, found = decode(bytes(data))
            assert status != "ok" or (found is not None and encode(found) == bytes(data))
            data[place] ^= 1 << bit


@pytest.mark.parametrize(
    ("status", "data"),
    [
        ("magic", b"{}"),
        ("version", b"tP\2"),
        ("truncated", b""),
        ("truncated", encode(PLAIN)[:-1]),
        ("length", encode(PLAIN) + b"x"),
        ("field", encode(PLAIN)[:4] + b"\4" + encode(PLAIN)[5:]),
    ],
)
def test_each_status_is_known_by_its_name(status: str, data: bytes) -> None:
    assert decode(data) == (status, None) == parked_model.decode(data)


@pytest.mark.parametrize("wrong", [{"klass": 4}, {"partition": -1}, {"offset": -1}, {"timestamp_type": 3}])
def test_a_field_out_of_range_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="cannot be parked"):
        encode(PLAIN._replace(**wrong))


@pytest.mark.parametrize("wrong", [{"topic": "x" * 65536}, {"randomness": 1 << 56}, {"threshold": 1 << 56}])
def test_what_does_not_fit_its_field_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cannot be parked"):
        encode(PLAIN._replace(**wrong))
