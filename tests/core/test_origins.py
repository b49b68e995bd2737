"""Numbers for the places at which parked records stood, against a dictionary; and the bytes behind a record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.extra import Extra
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.ring import Rings

CHUNK = 4096
EXTRA_BYTES = 40
NORMAL = 2

names = st.sampled_from([b"orders", b"order", b"orders1", b"a.b_c-1", b"t" * 249]) | st.text(
    "abcXYZ019._-", min_size=1, max_size=12
).map(str.encode)


@given(st.lists(st.tuples(names, st.integers(0, 2) | st.integers(0, 2**31 - 1)), max_size=80))
def test_a_place_has_one_number_and_a_number_one_place(asked: list[tuple[bytes, int]]) -> None:
    ledger = LedgerFace()
    model: dict[tuple[bytes, int], int] = {}
    for place in asked:
        number = ledger.test_origin(*place)
        assert number == model.setdefault(place, len(model) + 1)
    for place, number in model.items():
        assert ledger.test_origin(*place) == number
    for place, number in model.items():
        assert ledger.test_place(number) == place
    with pytest.raises(IndexError):
        ledger.test_place(len(model) + 1)


def test_the_table_is_full_after_65_536_places() -> None:
    """Known ones keep their numbers, also those given before the table grew; a further one gets none, however often."""
    ledger = LedgerFace()
    for n in range(65_536):
        assert ledger.test_origin(b"topic-%d" % (n % 7), n) == n + 1
    for n in (65_536, 65_537, 65_536):
        assert ledger.test_origin(b"topic-0", n) == 0
    for n in range(65_536):
        assert ledger.test_origin(b"topic-%d" % (n % 7), n) == n + 1
        assert ledger.test_place(n + 1) == (b"topic-%d" % (n % 7), n)


@pytest.mark.parametrize(
    "name",
    [b"", b"t" * 250, b"a b", b"a\r\nX-Tidegate-Class: critical", b"a/0:1;b", b"a\x00", "ä".encode(), b"a:", b"@"],
)
def test_what_is_no_topic_gets_no_number(name: bytes) -> None:
    """A parked record may have been written by anybody, and its topic would reach a header."""
    ledger = LedgerFace()
    assert ledger.test_origin(name, 0) == 0
    assert ledger.test_origin(b"orders", 0) == 1


extras = st.builds(
    Extra,
    origin=st.integers(0, 2**32 - 1),
    origin_offset=st.integers(0, 2**63 - 1),
    randomness=st.none() | st.integers(0, 2**56 - 1),
    threshold=st.none() | st.integers(0, 2**56 - 1),
    factor=st.floats(allow_nan=False),
    replayed=st.booleans(),
)
parts = st.tuples(st.binary(max_size=40), st.none() | st.binary(max_size=20), st.binary(max_size=20))


@given(st.lists(st.tuples(parts, st.none() | extras), max_size=30))
def test_what_stands_behind_a_record_comes_back(
    records: list[tuple[tuple[bytes, bytes | None, bytes], Extra | None]],
) -> None:
    """At every length before it, so at every alignment; its neighbours are as they were."""
    rings = Rings(16 * CHUNK, CHUNK)
    for offset, ((value, key, headers), extra) in enumerate(records):
        assert rings.push(NORMAL, value, key=key, headers=headers, offset=offset, extra=extra)
    for offset, ((value, key, _), extra) in enumerate(records):
        assert rings.test_extra(NORMAL) == extra
        assert rings.pop(NORMAL) == (offset, value, key)
    assert rings.test_extra(NORMAL) is None


@given(
    chunks=st.integers(1, 5),
    around=st.integers(-EXTRA_BYTES - 70, EXTRA_BYTES + 70),
    key=st.none() | st.binary(max_size=9),
    headers=st.binary(max_size=9),
    extra=extras,
)
def test_a_record_of_several_chunks_gives_back_all_that_it_took(
    chunks: int, around: int, key: bytes | None, headers: bytes, extra: Extra
) -> None:
    """Around each whole number of chunks, where what stands behind the headers decides how many are taken."""
    rings = Rings(64 * CHUNK, CHUNK)
    assert rings.push(NORMAL, b"first")
    assert rings.pop(NORMAL) is not None
    room = rings.room(NORMAL)
    value = bytes([7]) * (chunks * CHUNK + around - len(key or b"") - len(headers))
    for offset in range(3):
        assert rings.push(NORMAL, value, key=key, headers=headers, offset=offset, extra=extra)
        assert rings.test_extra(NORMAL) == extra
        assert rings.pop(NORMAL) == (offset, value, key)
    # The chunk of the last one is not left until the next is taken.
    assert room - 1 <= rings.room(NORMAL) <= room
