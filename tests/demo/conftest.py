"""Demos that are ended whatever becomes of their test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .process import Demo


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.close()
