"""One seed as a result: what it came to, or how it failed and how to see it again."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from sim.kafka import ViolationError
from sim.world import World


@dataclass(slots=True)
class Result:
    seed: int
    mutant: str
    failure: str = ""
    trace: tuple[str, ...] = ()
    deliveries: int = 0
    duplicates: int = 0
    commits: int = 0
    parked: int = 0
    replayed: int = 0
    dropped: int = 0


def run_seed(seed: int, mutant: str = "") -> Result:
    world = World(seed, mutant)
    failure = ""
    try:
        world.run()
    except ViolationError as error:
        failure = str(error)
    except Exception:  # a fault of the simulation, or an exception out of the native parts
        failure = traceback.format_exc()
    checks = world.checks
    trace = (str(world.shape), *world.trace) if failure else ()
    return Result(
        seed, mutant, failure, trace, checks.deliveries, checks.duplicates, checks.commits,
        parked=sum(map(len, checks.copies.values())), replayed=checks.replayed,
        dropped=sum(map(len, checks.dropped.values())),
    )  # fmt: skip


def failure_text(result: Result) -> str:
    mutant = f" ARGS='--mutant {result.mutant}'" if result.mutant else ""
    return "\n".join(
        [*result.trace, f"seed {result.seed}: {result.failure}", f"again: make sim SEED={result.seed}{mutant}"]
    )
