"""``matrix`` collects the rows of a run; where ``TIDEGATE_TEST_FAULT_ROWS`` names a file, they are left there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # makes tests/faults the package ``faults``

from faults.rows import Matrix
from harness import fixtures
from harness.cluster import KafkaCluster


@pytest.fixture(scope="session")
def matrix() -> Iterator[Matrix]:
    """The run's rows."""
    made = Matrix()
    yield made
    target = os.environ.get("TIDEGATE_TEST_FAULT_ROWS")
    if target:
        made.write(Path(target))


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """Three brokers for the tests of one file: four JVMs beside each other would slow all others down."""
    fixtures.require_java()
    with KafkaCluster() as running:
        yield running
