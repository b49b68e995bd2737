"""Windows of offsets: every offset is read once, as evenly over partitions as their sizes allow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.broker.windows import Range, cut, spread

SIZES = st.dictionaries(st.integers(0, 9), st.integers(0, 50), max_size=6)


@given(st.integers(0, 200), SIZES)
def test_what_is_wanted_is_spread_evenly(wanted: int, sizes: dict[int, int]) -> None:
    taken = spread(wanted, sizes)
    assert taken.keys() == sizes.keys()
    assert sum(taken.values()) == min(wanted, sum(sizes.values()))
    assert all(0 <= taken[name] <= size for name, size in sizes.items())
    most = max(taken.values(), default=0)
    assert all(taken[name] >= most - 1 for name, size in sizes.items() if taken[name] < size), "who has more gives more"


@given(st.dictionaries(st.integers(0, 9), st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=5), st.booleans())
def test_windows_follow_each_other_until_nothing_is_left(parts: dict[int, tuple[int, int]], oldest: bool) -> None:
    rest = {number: Range(start, start + size) for number, (start, size) in parts.items()}
    whole, seen = dict(rest), {number: list[int]() for number in rest}
    asked = 1
    while True:
        windows, rest = cut(rest, asked, oldest=oldest)
        if not windows:
            break
        assert sum(map(len, windows.values())) <= asked
        for number, one in windows.items():
            offsets = list(range(one.start, one.end))
            seen[number] = seen[number] + offsets if oldest else offsets + seen[number]
        asked *= 2
    assert rest == {}
    assert seen == {number: list(range(one.start, one.end)) for number, one in whole.items()}
