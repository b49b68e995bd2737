"""docs/guarantees.md says nothing that no test measures, and leaves no test of tests/faults out."""

from __future__ import annotations

import re
from pathlib import Path

from faults.page import markdown, named_tests
from faults.rows import Matrix, Row, read
from harness.checker import Report

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "guarantees.md"


def existing() -> set[str]:
    """The tests here that measure a row: they ask for ``matrix``."""
    found = set()
    for path in HERE.glob("test_*.py"):
        for name, arguments in re.findall(r"^def (test_\w+)\(([^)]*)\)", path.read_text(), re.MULTILINE):
            if "matrix: Matrix" in arguments:
                found.add(f"{path.name}::{name}")
    return found


def test_the_page_and_the_tests_belong_together() -> None:
    assert named_tests(PAGE.read_text()) == existing(), "docs/guarantees.md is out of date: make guarantees"


def test_the_page_promises_no_loss() -> None:
    assert re.search(r"^\d+ faults, [\d,]+ records, 0 lost\.", PAGE.read_text(), re.MULTILINE)


def test_rows_survive_their_file_and_show_on_the_page(tmp_path: Path) -> None:
    matrix = Matrix()
    report = Report(records=1200, delivered=1198, pending=2, duplicates=7)
    matrix.add("test_b.py::test_b", "later", "nothing", report, exposed=9, seconds=1.234, timed="all")
    matrix.add("test_a.py::test_a", "sooner", "nothing", Report(records=5, delivered=5), seconds=0, timed="all")
    matrix.write(tmp_path / "deep" / "rows")
    rows = read(tmp_path / "deep" / "rows")
    assert [row.fault for row in rows] == ["sooner", "later"]
    assert rows[1] == Row("test_b.py::test_b", "later", "nothing", 1200, 2, 7, 9, 1.23, "all")
    page = markdown(rows)
    assert "| later | nothing | 1,200 | 2 | 7 | 9 | 1.23 | all | `test_b.py::test_b` |" in page
    assert "2 faults, 1,205 records, 2 lost." in page
    assert named_tests(page) == {"test_a.py::test_a", "test_b.py::test_b"}
