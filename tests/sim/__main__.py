"""Runs seeds: ``python -m sim --seeds 10000`` in tests/, or ``make sim SEEDS=10000``; ``--seed 17`` repeats one."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from sim.runs import failure_text, run_seed
from sim.world import MUTANTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("TIDEGATE_SIM_SEEDS", "300")))
    parser.add_argument("--seed", type=int, default=os.environ.get("TIDEGATE_SIM_SEED"), help="only this one")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--mutant", choices=sorted(MUTANTS), default="", help="a planted fault")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.seeds) if args.seed is None else [int(args.seed)]
    begun, failed, totals = time.monotonic(), [], [0] * 5
    with ProcessPoolExecutor(args.jobs) as pool:
        for result in pool.map(run_seed, seeds, [args.mutant] * len(seeds), chunksize=min(50, 1 + len(seeds) // 20)):
            counts = result.deliveries, result.duplicates, result.parked, result.replayed, result.dropped
            totals = [total + count for total, count in zip(totals, counts, strict=True)]
            if result.failure:
                failed.append(result.seed)
                if len(failed) <= 3:
                    print(failure_text(result), file=sys.stderr, flush=True)
    seconds = time.monotonic() - begun
    print(
        f"{len(seeds)} seeds, {len(failed)} failed{f' {failed[:20]}' if failed else ''}; {totals[0]} deliveries, "
        f"{totals[1]} of them duplicates, {totals[2]} records parked, {totals[3]} replayed, {totals[4]} dropped; "
        f"{seconds:.1f} s, {len(seeds) / seconds:.0f} seeds/s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
