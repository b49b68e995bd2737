"""``matrix`` collects the rows of a run; where ``TIDEGATE_TEST_FAULT_ROWS`` names a file, they are left there.

Every scene here is watched: memory, books, liveness, ends and all commits (harness/watched.py).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # makes tests/faults the package ``faults``

from faults.rows import Matrix
from harness.apps import AppPool
from harness.fixtures import Scenes, made_scenes
from harness.watched import WatchedScene


@pytest.fixture
def scenes(tmp_path: Path, apps: AppPool) -> Iterator[Scenes]:
    """As everywhere, but watched."""
    with made_scenes(tmp_path, apps, WatchedScene) as make:
        yield make


@pytest.fixture(scope="session")
def matrix() -> Iterator[Matrix]:
    """The run's rows."""
    made = Matrix()
    yield made
    target = os.environ.get("TIDEGATE_TEST_FAULT_ROWS")
    if target:
        made.write(Path(target))
