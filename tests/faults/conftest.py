"""``matrix`` collects the rows of a run; where ``TIDEGATE_TEST_FAULT_ROWS`` names a file, they are left there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # makes tests/faults the package ``faults``

from faults.rows import Matrix


@pytest.fixture(scope="session")
def matrix() -> Iterator[Matrix]:
    """The run's rows."""
    made = Matrix()
    yield made
    target = os.environ.get("TIDEGATE_TEST_FAULT_ROWS")
    if target:
        made.write(Path(target))
