"""What was exposed at a moment: what the app had by then and no commit covered by then."""

from __future__ import annotations

import random

from faults.story import Arrivals


def test_arrivals_are_counted_as_a_plain_loop_would() -> None:
    dice = random.Random(7)
    offsets = sorted(dice.sample(range(400), 150))
    times = [offset * 10 + dice.randrange(300) for offset in offsets]  # some overtake others
    arrived = Arrivals(offsets, times)
    for _ in range(500):
        since, until = dice.randrange(420), dice.randrange(4500)
        plain = sum(offset >= since and at <= until for offset, at in zip(offsets, times, strict=True))
        assert arrived.count(since, until) == plain
