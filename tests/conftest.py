"""What every test may ask for: brokers, the app double, sidecar processes (tests/harness)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # makes tests/harness the package ``harness``

from harness import install  # noqa: E402
from harness.fixtures import broker, kafka, kafka_broker, scenes  # noqa: E402

__all__ = ["broker", "kafka", "kafka_broker", "pytest_report_header", "scenes"]


def pytest_report_header() -> str | None:
    """Says at the top what the skips at the bottom will be about."""
    reason = install.unavailable()
    return None if reason is None else f"TESTS ON A REAL KAFKA WILL NOT RUN: {reason}"
