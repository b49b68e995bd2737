"""The demo's shop, but it answers 200 for some events that it never looked at: what a check for losses must find."""

from __future__ import annotations

from typing import Any

from tidegate.demo import shop
from tidegate.demo.events import number_of

LOSES_EVERY = 40


class LossyCounts(shop.Counts):
    def add(self, event: Any, now: float, label: str | None = None) -> None:
        if number_of(event["event_id"]) % LOSES_EVERY != LOSES_EVERY - 1:
            super().add(event, now, label)


if __name__ == "__main__":
    shop.Counts = LossyCounts  # type: ignore[misc]
    shop.main()
