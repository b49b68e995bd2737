"""Charts are well-formed, keep everything inside the card, and say what they do not know as a gap."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.demo import chart
from tidegate.demo.chart_parts import even_ticks, log_ticks, powers, short, spread, wide

NS = "{http://www.w3.org/2000/svg}"
LONG = "a contender whose name goes on and on " * 4
values = st.none() | st.sampled_from([math.nan, math.inf, -math.inf]) | st.floats(-1e9, 1e15) | st.floats(0, 1e7)
names = st.text(max_size=60)


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{NS}svg"
    assert not [node for node in root.iter() if node.tag == f"{NS}script"]
    return root


def inside(root: ElementTree.Element) -> None:
    """Everything that was drawn is on the card, texts too as far as their width is known."""
    width, height = (float(one) for one in root.attrib["viewBox"].split()[2:])
    for node in root.iter():
        places: list[tuple[float, float]] = []
        if node.tag == f"{NS}polyline":
            places = [tuple(map(float, one.split(","))) for one in node.attrib["points"].split()]  # type: ignore[misc]
        elif node.tag == f"{NS}circle":
            places = [(float(node.attrib["cx"]), float(node.attrib["cy"]))]
        elif node.tag == f"{NS}rect":
            x, y = float(node.attrib["x"]), float(node.attrib["y"])
            assert float(node.attrib["width"]) >= 0
            places = [(x, y), (x + float(node.attrib["width"]), y + float(node.attrib["height"]))]
        elif node.tag == f"{NS}text":
            x, y = float(node.attrib["x"]), float(node.attrib["y"])
            long = wide(node.text or "", float(node.attrib["font-size"]), bold="font-weight" in node.attrib)
            before = {"start": 0.0, "middle": long / 2, "end": long}[node.get("text-anchor", "start")]
            places = [(x - before, y), (x - before + long, y)]
        for x, y in places:
            assert -0.5 <= x <= width + 0.5, (node.tag, node.attrib, node.text)
            assert -0.5 <= y <= height + 0.5, (node.tag, node.attrib, node.text)


def texts(root: ElementTree.Element) -> list[str]:
    return [node.text or "" for node in root.iter(f"{NS}text")]


def lines_of(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    return [
        [(float(one.split(",")[0]), float(one.split(",")[1])) for one in node.attrib["points"].split()]
        for node in root.iter(f"{NS}polyline")
    ]


# ── lines ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.dictionaries(names, st.lists(st.tuples(st.floats(-1e6, 1e6), values), max_size=6), max_size=12),
    st.booleans(),
    st.sampled_from([480, 720, 960]),
)
def test_whatever_is_drawn_is_on_the_card(
    series: dict[str, list[tuple[float, float | None]]], log: bool, width: int
) -> None:
    bands = [chart.Band(-5, 5, LONG), chart.Band(2, 3)]
    drawn = chart.lines(
        "t & <t>", series, log=log, width=width, bands=bands, x_label="s", y_label="ms", y_text=chart.milliseconds
    )
    inside(parsed(drawn))


def test_a_greater_value_stands_higher_and_a_later_one_further_right() -> None:
    root = parsed(chart.lines("t", {"a": [(0, 1.0), (10, 100.0), (20, 50.0)]}))
    ((one, two, three),) = lines_of(root)
    assert one[0] < two[0] < three[0]
    assert two[1] < three[1] < one[1]


def test_on_a_logarithmic_scale_a_decade_is_as_high_as_another() -> None:
    root = parsed(chart.lines("t", {"a": [(0, 1.0), (1, 10.0), (2, 100.0), (3, 0.0)]}, log=True))
    ((_, one), (_, ten), (_, hundred), (_, zero)) = lines_of(root)[0]
    assert one - ten == pytest.approx(ten - hundred, abs=0.2)
    assert zero == one  # no place of its own: at the foot
    assert {"1", "10", "100"} <= set(texts(root))


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_what_is_not_known_is_a_gap_and_a_point_by_itself_a_dot(missing: float | None) -> None:
    root = parsed(chart.lines("t", {"a": [(0, 1), (1, 2), (2, missing), (3, 2), (4, missing)]}))
    assert [len(line) for line in lines_of(root)] == [2]
    assert len(list(root.iter(f"{NS}circle"))) == 1


def test_nothing_to_draw_is_said() -> None:
    for series in ({}, {"a": []}, {"a": [(0.0, None)]}):
        root = parsed(chart.lines("t", series))  # type: ignore[arg-type]
        assert "no data" in texts(root)
        inside(root)
    assert "no data" not in texts(parsed(chart.lines("t", {"a": [(0, 0)]})))


def test_each_line_is_named_beside_its_end_and_no_two_names_on_one_another() -> None:
    series = {f"line {index}": [(0, 1.0), (1, 1.0)] for index in range(30)}
    root = parsed(chart.lines("t", series, highlight=["line 3"], dashed=["line 4"]))
    inside(root)
    found = {node.text: node for node in root.iter(f"{NS}text") if (node.text or "").startswith("line")}
    assert set(found) == set(series)
    heights = sorted(float(node.attrib["y"]) for node in found.values())
    assert min(two - one for one, two in itertools.pairwise(heights)) >= 15
    assert [name for name, node in found.items() if node.get("font-weight")] == ["line 3"]
    dashed = [node.get("stroke-dasharray") is not None for node in root.iter(f"{NS}polyline")]
    assert [index for index, one in enumerate(dashed) if one] == [4, *range(len(chart.COLOURS), 30)]


def test_a_band_is_as_long_as_it_says_and_named() -> None:
    root = parsed(chart.lines("t", {"a": [(0, 1), (100, 1)]}, bands=[chart.Band(25, 75, "surge")]))
    ((begin, _), (end, _)) = lines_of(root)[0]
    (band,) = [node for node in root.iter(f"{NS}rect") if node.get("fill-opacity")]
    assert float(band.attrib["width"]) == pytest.approx((end - begin) / 2, abs=0.2)
    assert "surge" in texts(root)


def test_texts_are_escaped_long_ones_cut_and_long_titles_wrapped() -> None:
    root = parsed(chart.lines("a & b \x00 " + LONG, {f"<i>{LONG}": [(0, 1)]}, width=480, note=LONG))
    inside(root)
    assert any(text.startswith("<i>") and text.endswith("…") for text in texts(root))
    assert sum("goes on" in text or "contender" in text for text in texts(root)) > 3


# ── bars ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.dictionaries(names, st.tuples(values, values), max_size=12), st.booleans(), st.sampled_from([480, 720, 960]))
def test_whatever_bars_are_drawn_are_on_the_card(
    rows: dict[str, tuple[float | None, float | None]], log: bool, width: int
) -> None:
    inside(parsed(chart.bars("t", rows, series=("p50", "p99"), log=log, width=width, note=LONG)))


def drawn_bars(root: ElementTree.Element) -> list[float]:
    return [float(node.attrib["width"]) for node in root.iter(f"{NS}rect") if node.get("rx") == "2"]


def test_a_bar_is_as_long_as_its_value_and_says_it() -> None:
    root = parsed(chart.bars("t", {"one": [1e6], "two": [2e6], "none": [None]}, highlight=["two"]))
    one, two = drawn_bars(root)
    assert two == pytest.approx(2 * one, rel=0.01)
    assert {"1 M", "2 M", "–"} <= set(texts(root))
    assert [node.text for node in root.iter(f"{NS}text") if node.get("font-weight")] == ["t", "two", "2 M"]


def test_bars_on_a_logarithmic_scale_stand_on_a_power_of_ten_that_is_shown() -> None:
    root = parsed(chart.bars("t", {"a": [10.0, 1000.0]}, series=("p50", "p99"), log=True, text=chart.milliseconds))
    least, most = drawn_bars(root)
    assert least < 3 < most
    assert {"10 ms", "100 ms", "1 s", "p50 10 ms", "p99 1 s"} <= set(texts(root))


def test_a_row_with_too_few_values_is_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        chart.bars("t", {"a": [1.0]}, series=("p50", "p99"))


# ── what they are made of ───────────────────────────────────────────────────────────────────────────────────────────


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e9), st.integers(2, 12))
def test_even_ticks_are_round_within_and_not_too_many(low: float, length: float, most: int) -> None:
    ticks = even_ticks(low, low + length, most)
    assert len(ticks) <= most + 1
    assert all(low - length * 1e-6 <= tick <= low + length * (1 + 1e-6) for tick in ticks)


@given(st.lists(st.floats(1e-9, 1e12), min_size=1), st.integers(2, 9))
def test_powers_hold_all_values_and_have_ticks(values: list[float], most: int) -> None:
    low, high = powers(values)
    assert low <= min(values) * (1 + 1e-9)
    assert high >= max(values) * (1 - 1e-9)
    assert 2 <= len(log_ticks(low, high, most)) <= most + 2


@given(st.lists(st.floats(0, 300), max_size=10))
def test_names_are_spread_in_their_order(wanted: list[float]) -> None:
    places = spread(wanted, 20, 0, 300)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for one, two in itertools.pairwise(order):
        assert places[two] - places[one] >= 20 - 1e-6
    assert all(-1e-6 <= place <= 300 + 1e-6 for place in places)


@given(st.text(max_size=80), st.floats(20, 300))
def test_a_short_text_fits(text: str, width: float) -> None:
    assert wide(short(text, width)) <= width


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (999.4, "999"), (999.6, "1 k"), (12_345, "12.3 k"), (999_960, "1 M"), (2e9, "2 G")]
)
def test_numbers(value: float, text: str) -> None:
    assert chart.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5 ms"), (48, "48 ms"), (999.4, "999 ms"), (999.6, "1 s"), (68_300, "68.3 s"), (1_234_567, "1,235 s")],
)
def test_times(value: float, text: str) -> None:
    assert chart.milliseconds(value) == text
