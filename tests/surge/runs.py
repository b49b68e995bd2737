"""One scenario by name and seed, as a result."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field

from surge.brains import Tidegate
from surge.checks import failures, row
from surge.families import FAMILIES
from surge.world import World


@dataclass
class Result:
    name: str
    seed: int
    failures: list[str]
    figures: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        again = f"make surge-sim SEED={self.seed} ARGS='--only {self.name}'"
        return f"{self.name} {self.seed}: {'; '.join(self.failures)} (again: {again})"


def run(name: str, seed: int, decider: type[Tidegate] = Tidegate) -> Result:
    """Plays it and checks it; `decider`: with a fault planted."""
    scenario = FAMILIES[name](seed)
    brain = decider(scenario)
    world = World(scenario, brain)
    try:
        world.run()
        return Result(name, seed, failures(world, brain), row(world, len(brain.changes)))
    except Exception:  # a fault of the simulation, or an exception out of the real code
        return Result(name, seed, [traceback.format_exc()])
