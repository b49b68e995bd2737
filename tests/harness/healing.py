"""How long it takes until the lag of a moment is gone (I8)."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.scene import Scene
from harness.sidecar import Sidecar
from harness.topics import Partition

HEALED_SECONDS = 30.0  # after whatever it was is over

Offsets = dict[Partition, int]


def behind(ends: Offsets, committed: Offsets) -> Offsets:
    """The lag, by partition, where there is any."""
    return {p: end - committed.get(p, 0) for p, end in ends.items() if committed.get(p, 0) < end}


def lag_gone(
    sidecar: Sidecar,
    ends: Offsets,
    committed: Callable[[], Offsets],
    within: float = HEALED_SECONDS,
    what: str = "healing",
) -> float:
    """Waits until nothing before ``ends`` is unsettled; returns the seconds. Raises AssertionError with the rest."""
    begun = time.monotonic()
    left = behind(ends, committed())
    while left:
        assert sidecar.alive, f"{sidecar.name} ended after {what} with lag {left}\n{sidecar.tail()}"
        assert time.monotonic() - begun <= within, f"{within} s after {what} still lag {left}\n{sidecar.tail()}"
        time.sleep(0.05)
        left = behind(ends, committed())
    return time.monotonic() - begun


def catch_up(scene: Scene, sidecar: Sidecar, within: float = HEALED_SECONDS, what: str = "healing") -> float:
    """Waits until the lag of this moment is gone; returns the seconds."""
    return lag_gone(sidecar, scene.ends(), scene.committed, within, what)
