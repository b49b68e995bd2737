"""The report: one file with the pictures of the run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tidegate.demo import page
from tidegate.demo.history import Moment, Plain
from tidegate.demo.plan import Plan
from tidegate.demo.report import PlainRow, Row
from tidegate.errors import ConfigError
from tidegate.pressure.orders import Rung
from tidegate.types import CLASSES

NONE = (0,) * 4
MOMENT = Moment(
    0.5, (1.0,) * 4, (1.0,) * 4, (5.0,) * 4, (9.0, None, 9.0, 9.0), NONE, NONE, 3, 2, Rung.NORMAL, Plain(4, 7.0, 8000.0)
)
STORY = page.Story(
    plan=Plan(45, 300, 10),
    capacity=1200,
    moments=[replace(MOMENT, at=at / 2) for at in range(1, 90)],
    rows=[Row(klass, 9, 7, 1, 1, 20.0, 40.0, 50.0, 3, 1) for klass in CLASSES],
    plain=[PlainRow(8, 1, 1.0, None, 125_000.0) for _ in CLASSES],
    sentences=["1 < 2 & so on.", "<b>"],
    command="tidegate demo --topics '<x>'",
)


def svgs(text: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def test_the_page_has_everything_and_needs_nothing() -> None:
    text = page.html(STORY)
    assert len(svgs(text)) == 5
    assert not re.search(r"<script|<link|\ssrc=|href=|@import|url\(", text)
    assert "1 &lt; 2 &amp; so on. &lt;b&gt;" in text
    assert "--topics &#x27;&lt;x&gt;&#x27;" in text
    assert text.count("plain loop") >= 4 + 2
    assert "2m 05s" in text
    assert "no data" not in text


def test_without_a_plain_loop_or_a_known_shop_nothing_is_said_of_them() -> None:
    alone = replace(STORY, plain=None, capacity=None, moments=[replace(MOMENT, at=at, plain=None) for at in (1, 2)])
    text = page.html(alone)
    assert "plain loop" not in text
    assert "what the shop can do" not in text


def test_a_run_that_was_over_at_once_has_a_page_too() -> None:
    assert page.html(replace(STORY, moments=[])).count("no data") >= 4


@pytest.mark.parametrize("name", ["out.html", "out.svg"])
def test_it_is_written_where_it_was_asked_for(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    page.check(str(place))
    assert not place.exists(), "a run that fails leaves no empty report"
    page.write(str(place), STORY)
    text = place.read_text()
    if name.endswith(".svg"):
        assert "purchases" in "".join(ElementTree.fromstring(text).itertext())
    else:
        assert text.startswith("<!doctype html>")


def test_a_report_of_before_is_there_until_it_is_replaced(tmp_path: Path) -> None:
    (place := tmp_path / "out.html").write_text("before")
    page.check(str(place))
    assert place.read_text() == "before"


@pytest.mark.parametrize("name", ["out.png", "out", "nowhere/out.html", "."])
def test_what_cannot_be_written_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--report"):
        page.check(str(tmp_path / name))
