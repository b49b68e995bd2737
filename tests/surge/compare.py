"""tidegate beside what was published, on the surge of pressure.md section 0: ``python -m surge.compare`` in tests/."""

from __future__ import annotations

import argparse
from dataclasses import replace
from statistics import mean

from surge.baselines import BASELINES
from surge.brains import Tidegate
from surge.checks import row
from surge.scenario import Scenario, Topic, step_load
from surge.world import World


def reference(seed: int, peak: float = 2.0) -> Scenario:
    """`peak` times the capacity for 60 s, the capacity halved for 15 s of it; 50 workers at 50 ms; no parking topic."""
    return Scenario(
        "reference", seed, step_load(0.5, peak, 10, 70), (10, 70), 150, topics=(Topic((0.03, 0.10, 0.0, 0.87)),),
        workers=50, rate=1000.0, slots=50, batch=1, ring_seconds=10.0, steps=((30, 0.5), (45, 1.0)),
        parking=((0.0, False),), on_pressure={3: "sample"},
    )  # fmt: skip


def table(seeds: int, peak: float = 2.0) -> list[tuple[str, dict[str, float]]]:
    """Means over seeds, by contender."""
    rows = []
    contenders = [(cls.name, cls, {}) for cls in BASELINES]
    contenders += [
        ("tidegate, sampling", Tidegate, {}),
        ("tidegate, deferring", Tidegate, {"parking": ((0.0, True),), "on_pressure": {}}),
    ]
    for name, brain, changes in contenders:
        found = []
        for seed in range(seeds):
            scenario = replace(reference(seed, peak), **changes)
            decider = brain(scenario)
            world = World(scenario, decider)
            world.run()
            found.append(row(world, len(getattr(decider, "changes", ()))))
        rows.append((name, {key: mean(one[key] for one in found) for key in found[0]}))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="surge.compare", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peak", type=float, default=2.0)
    args = parser.parse_args()
    rows = table(args.seeds, args.peak)
    print(f"| contender | {' | '.join(rows[0][1])} |")
    print(f"|---|{'---|' * len(rows[0][1])}")
    for name, figures in rows:
        print(f"| {name} | {' | '.join(f'{value:.3g}' for value in figures.values())} |")


if __name__ == "__main__":
    main()
