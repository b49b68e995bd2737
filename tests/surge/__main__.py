"""Runs seeds of every scenario: ``python -m surge --seeds 50`` in tests/, or ``make surge-sim SEEDS=50``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from surge.brains import Tidegate
from surge.families import FAMILIES
from surge.faults import FAULTS
from surge.runs import run

BY_NAME = {"": Tidegate} | {fault.__name__: fault for fault in FAULTS}


def main() -> int:
    parser = argparse.ArgumentParser(prog="surge", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="of each scenario")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--only", choices=sorted(FAMILIES), action="append", help="only this scenario")
    parser.add_argument("--fault", choices=sorted(BY_NAME), default="", help="a planted fault")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    names = args.only or list(FAMILIES)
    seeds = range(args.seeds) if args.seed is None else [args.seed]
    pairs = [(name, seed) for seed in seeds for name in names]
    begun, failed = time.monotonic(), []
    worst: dict[str, dict[str, float]] = {name: {} for name in names}
    with ProcessPoolExecutor(args.jobs) as pool:
        for result in pool.map(run, *zip(*pairs, strict=True), [BY_NAME[args.fault]] * len(pairs)):
            if result.failures:
                failed.append(result)
                print(result, file=sys.stderr, flush=True)
            for key, value in result.figures.items():
                pick = min if key == "utilisation" else max
                worst[result.name][key] = pick(worst[result.name].get(key, value), value)
    for name, figures in worst.items():
        print(f"{name:16s}", "  ".join(f"{key} {value:.3g}" for key, value in figures.items()))
    print(f"{len(pairs)} runs, {len(failed)} failed, {time.monotonic() - begun:.0f} s; figures are the worst of each")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
