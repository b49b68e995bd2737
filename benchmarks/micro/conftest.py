"""Says in the results what they were measured on, as the end-to-end ones do."""

from __future__ import annotations

from typing import Any

from benchmarks.e2e.runner import machine


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    output_json["machine"] = machine()
