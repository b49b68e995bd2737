"""Rows of the fault matrix: what a fault was expected to cost, and what it did cost in the run."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.checker import Report

# Multiplies rounds and lengths: 1 is the short form of ``make test``, ``make faults`` sets it to 20.
ROUNDS = int(os.environ.get("TIDEGATE_TEST_FAULT_ROUNDS", "1"))
JOB_SECONDS = 240.0 * ROUNDS  # what stands longer side by side with others is stuck


@dataclass(frozen=True, slots=True)
class Row:
    """One line of docs/guarantees.md.

    ``test`` is the function that measured it (``test_file.py::test_name``), ``exposed`` the bound on duplicates that
    the run itself gave (what was unsettled at the fault), ``seconds`` what ``timed`` says.
    """

    test: str
    fault: str
    expected: str
    records: int
    lost: int
    duplicates: int
    exposed: int
    seconds: float
    timed: str


class Matrix:
    """Collects rows from any thread; ``write`` leaves them as JSON, one per line, in a stable order."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._lock = threading.Lock()

    def add(
        self, test: str, fault: str, expected: str, report: Report, *, exposed: int = 0, seconds: float, timed: str
    ) -> None:
        """Adds what a run came to. ``report`` has passed ``require``, or there would be no row."""
        lost = sum(kind == "lost" for kind, _ in report.violations) + report.pending
        row = Row(test, fault, expected, report.records, lost, report.duplicates, exposed, round(seconds, 2), timed)
        counts = f"{row.records} records, {lost} lost, {row.duplicates} twice (bound {exposed})"
        print(f"{fault}: {counts}, {row.seconds} s {timed}")
        with self._lock:
            self.rows.append(row)

    def write(self, path: Path) -> None:
        """Writes the rows."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = sorted(self.rows, key=lambda row: (row.test, row.fault))
        path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def read(path: Path) -> list[Row]:
    """The rows of a file that ``Matrix.write`` made."""
    return [Row(**json.loads(line)) for line in path.read_text().splitlines()]
