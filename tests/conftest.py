"""What every test may ask for: brokers, the app double, sidecar processes (tests/harness)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # makes tests/harness the package ``harness``

from harness import install
from harness.fixtures import apps, broker, kafka, kafka_broker, scenes

__all__ = ["apps", "broker", "kafka", "kafka_broker", "pytest_report_header", "scenes"]


def pytest_report_header() -> list[str]:
    """Says at the top what the skips at the bottom will be about."""
    reasons = {"ON A REAL KAFKA": install.unavailable(), "ON A BAD NETWORK": install.toxiproxy_unavailable()}
    return [f"TESTS {what} WILL NOT RUN: {reason}" for what, reason in reasons.items() if reason is not None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``-m "not kafka"`` leaves out whatever needs the real one."""
    for item in items:
        if {"kafka", "kafka_broker"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.kafka)
