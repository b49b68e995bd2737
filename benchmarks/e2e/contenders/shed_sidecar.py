"""The sidecar, to the end of a backlog, with one order that stands in place of the ladder's.

    python shed_sidecar.py deliver|drop|park SHARE

SHARE of the normal and bulk records is let in, the rest dropped or parked; settings come from the environment as for
`tidegate run`. What decides is left out, because it would have to see a surge first; everything that touches a record,
the control's looks and the settling are the real ones. What was parked does not come back.

Prints the run's summary with `threads`: CPU µs per record by thread, from the first look at the assignment on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

from tidegate import allocator

LOW = (2, 3)  # normal and bulk
DEADLINE_SECONDS = 120.0


def threads() -> dict[str, float]:
    """CPU seconds of this process's threads by name, those of one name together."""
    found: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            name = (task / "comm").read_text().strip()
            found[name] = found.get(name, 0.0) + int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def main(what: str, share: float) -> None:
    import uvloop

    from tidegate import assembly, sidecar
    from tidegate.config import read
    from tidegate.core.gate import DROP, PARK
    from tidegate.core.process import tune_allocator
    from tidegate.deferral import Deferral
    from tidegate.summary import summary

    if what == "park":  # a run with an end would park nothing
        assembly.Deferral = lambda settings, *, until_end, tell: Deferral(settings, tell=tell)  # type: ignore

    class Standing(sidecar.Sidecar):
        begun: dict[str, float]
        used: dict[str, float]

        async def _wait_for_end(self) -> None:
            """As the sidecar's, but for the parking topic, which is not read."""
            self.begun = threads()
            deadline = time.monotonic() + DEADLINE_SECONDS
            while True:
                found = [p for p in self.ledger.partitions() if p[0] != self.deferral.topic]
                if found and all(target >= 0 and frontier >= target for *_, frontier, target, _ in found):
                    break
                if time.monotonic() > deadline:
                    sys.exit(f"not at the end: {found}")
                await asyncio.sleep(0.02)
            self.used = {name: used - self.begun.get(name, 0.0) for name, used in threads().items()}

    tune_allocator()
    made = Standing(read(os.environ, running=True).settings, until_end=True)
    actuator = made.actuator
    actuator.shed = lambda sheds: None  # type: ignore[method-assign]
    actuator.replay = lambda rate: None  # type: ignore[method-assign]
    if what != "deliver":
        for klass in LOW:
            actuator._gate.order(klass, share, DROP if what == "drop" else PARK)
        made.reader.park_overflow(LOW if what == "park" else ())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(made.run())
    told = summary(made.ledger, made.deferral.topic)
    n = told["records"]
    low = [told["classes"][name] for name in ("normal", "bulk")]
    kept = sum(row["delivered"] for row in low) / sum(row["polled"] for row in low)
    if not share * 0.8 <= kept <= share * 1.2:
        sys.exit(f"{kept:.4f} of normal and bulk was delivered: this is not what was to be measured")
    micros = {name: round(used * 1e6 / n, 4) for name, used in sorted(made.used.items()) if used * 1e6 / n >= 0.001}
    print(json.dumps({**told, "threads": micros}))


if __name__ == "__main__":
    allocator.begin_again()  # as `tidegate run` does
    allocator.catch_up()
    main(sys.argv[1], float(sys.argv[2]))
