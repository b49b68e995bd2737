"""Delivery's figures, as a test wants them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Class:
    bytes: int = 0
    acks: int = 0


@dataclass
class Figures:
    """What control and senses use of them."""

    classes: list[Class] = field(default_factory=lambda: [Class() for _ in range(4)])
    ahead_bytes: int = 0
    target: str = "open"
    busy_seconds: float = 0.0
