"""Leaf: what can be asked of the demo. The command line imports it, so it imports next to nothing."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

SECONDS: Final = 45
RATE: Final = 300
SURGE: Final = 10.0
SEED: Final = 1
TOPIC: Final = "shop.events"  # one for all: orders stand behind page views in the same partitions


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``seconds``: how long the shop is open; ``rate``: usual events per second; ``surge``: how many times it is the
    peak; ``topics``: as ``scene.topics_by_class``; ``sink_url``: an app of the user's own in place of the shop;
    ``report``: a file to write."""

    seconds: int = SECONDS
    rate: int = RATE
    surge: float = SURGE
    seed: int = SEED
    json: bool = False
    topics: tuple[str, ...] = (TOPIC,)
    sink_url: str | None = None
    report: str | None = None

    def command(self) -> str:
        """The command line that repeats it."""
        words = ["tidegate", "demo", "--seconds", str(self.seconds), "--surge", f"{self.surge:g}"]
        words += ["--seed", str(self.seed), "--rate", str(self.rate)]
        if self.topics != (TOPIC,):
            words += ["--topics", ",".join(self.topics)]
        if self.sink_url is not None:
            words += ["--sink-url", self.sink_url]
        return shlex.join(words)
