"""The benchmarks page says what the results' files say, and they say what their rows do."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from benchmarks.e2e.runner import medians as e2e_medians
from benchmarks.page.__main__ import DOCS, files
from benchmarks.page.results import PLACE, Results, load
from benchmarks.page.words import better, duration, filled, times
from benchmarks.peers.__main__ import middle
from pydantic import ValidationError

RESULTS = load()


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return files(RESULTS)


def test_the_page_and_its_pictures_are_those_of_the_results(made: dict[str, str]) -> None:
    stale = [name for name, text in made.items() if (DOCS / name).read_text() != text]
    assert not stale, f"{', '.join(stale)}: run `make bench-page`"
    assert {f"img/{path.name}" for path in (DOCS / "img").glob("bench-*.svg")} == set(made) - {"benchmarks.md"}


def test_each_picture_is_shown_once_and_well_formed(made: dict[str, str]) -> None:
    shown = re.findall(r"\]\((img/[^)]+)\)", made["benchmarks.md"])
    assert sorted(shown) == sorted(set(made) - {"benchmarks.md"})
    for name in shown:
        assert ElementTree.fromstring(made[name]).tag.endswith("svg")


def test_each_table_has_as_many_cells_in_each_row_and_nothing_is_left_to_fill_in(made: dict[str, str]) -> None:
    page = made["benchmarks.md"]
    for block in re.findall(r"(?:^\|.*\n)+", page, re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block
    assert not re.search(r"\bnan\b|\binf\b|None|[{}]", page)
    assert max(len(line) for line in page.splitlines() if not line.startswith(("|", "!"))) <= 120


def test_each_file_of_results_is_on_the_page() -> None:
    assert {path.stem for path in PLACE.glob("*.json")} == set(Results.model_fields)


def test_medians_are_those_of_the_rows() -> None:
    for found, of in (
        (RESULTS.drain, e2e_medians),
        (RESULTS.push, e2e_medians),
        (RESULTS.hold, e2e_medians),
        (RESULTS.shed, e2e_medians),
        (RESULTS.peers_drain, middle),
        (RESULTS.peers_push, middle),
    ):
        again = of(found.rows)
        assert set(again) == set(found.medians), found.title
        for name, row in again.items():
            assert found.medians[name].model_dump() == pytest.approx(row), (found.title, name)


def test_tidegate_is_everywhere_and_every_turn_delivered_all() -> None:
    for found in (RESULTS.drain, RESULTS.peers_drain, RESULTS.peers_push):
        assert "tidegate" in found.medians
    for row in (*RESULTS.peers_push.rows, *RESULTS.peers_drain.rows):
        assert row["contender"] != "tidegate" or (
            not row.get("missing") and not row.get("twice") and "error" not in row
        )


@pytest.mark.parametrize("change", ["missing", "unknown", "type"])
@pytest.mark.parametrize("name", sorted(set(Results.model_fields)))
def test_a_file_of_another_form_is_refused(tmp_path: Path, name: str, change: str) -> None:
    for path in PLACE.glob("*.json"):
        shutil.copy(path, tmp_path)
    path = tmp_path / f"{name}.json"
    told = json.loads(path.read_text())
    if change == "missing":
        del told["machine"]["commit"]
    elif change == "unknown":
        told["more"] = 1
    else:
        told["machine"]["cores"] = "several"
    path.write_text(json.dumps(told))
    with pytest.raises(ValidationError, match=name):
        load(tmp_path)


def test_who_is_ahead_is_said_of_each_figure() -> None:
    row = RESULTS.drain.medians["tidegate"]
    ahead = row.model_copy(update={"records_per_second": 1e9, "cpu_us_per_record": 0.01, "peak_rss_mib": 1.0})
    told = better({"tidegate": row, "other": ahead})
    assert told == (
        "Faster than tidegate: other (1000.00 M/s). Less CPU than tidegate: other (0.01 µs). "
        "Less memory than tidegate: other (1 MiB)."
    )
    behind = row.model_copy(update={"records_per_second": 1.0, "cpu_us_per_record": 9.0, "peak_rss_mib": 1e4})
    assert better({"tidegate": row, "other": behind}).count("nobody here") == 3


def test_words() -> None:
    assert (duration(None), duration(30.0), duration(63_596, True)) == ("–", "30 ms", "≥ 63.6 s")
    assert (times(42, 10), times(63_596, 48)) == ("4.2", "1,300")
    assert all(not line.startswith("+") for line in filled("word + " * 100).splitlines())
