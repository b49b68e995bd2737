"""Some hundred seeds, each fault that is planted is found, and a seed repeats itself exactly."""

from __future__ import annotations

import os

import pytest

from sim.runs import Result, failure_text, run_seed
from sim.world import MUTANTS

SEEDS = int(os.environ.get("TIDEGATE_SIM_SEEDS", "300"))
ONLY = os.environ.get("TIDEGATE_SIM_SEED")
MUTANT_SEEDS = 1000  # each is found in fewer than a hundred, as long as nothing changes


def test_no_seed_breaks_a_promise() -> None:
    results = [run_seed(seed) for seed in ([int(ONLY)] if ONLY else range(SEEDS))]
    failed = [result for result in results if result.failure]
    assert not failed, f"{len(failed)} of {len(results)} seeds; the first:\n{failure_text(failed[0])}"
    if not ONLY and SEEDS >= 100:  # a run in which nothing happens proves nothing
        assert min(sum(result.deliveries for result in results), sum(result.commits for result in results)) > SEEDS
        assert any(result.duplicates for result in results)
        least = min(sum(counts) for counts in zip(*((r.parked, r.replayed, r.dropped) for r in results), strict=True))
        assert least > SEEDS, "hardly anything is parked, comes back or is dropped"


def first_failure(mutant: str) -> Result | None:
    return next((found for seed in range(MUTANT_SEEDS) if (found := run_seed(seed, mutant)).failure), None)


@pytest.mark.parametrize(
    ("mutant", "by"),
    [
        ("late-ack", ("I1",)),
        ("gap-jump", ("I1",)),
        ("hold-lost", ("I2", "I8")),
        ("order-lost", ("I6",)),
        ("pause-left", ("I6",)),
        ("park-early", ("I1",)),
        ("late-report", ("I1",)),
        ("back-lost", ("I3", "I8")),
        ("back-gap", ("I8",)),
        ("park-again", ("I9",)),
    ],
)
def test_a_planted_fault_is_found(mutant: str, by: tuple[str, ...]) -> None:
    found = first_failure(mutant)
    assert found is not None, f"{MUTANTS[mutant]}: not found in {MUTANT_SEEDS} seeds"
    assert found.failure.startswith(by), failure_text(found)


def test_a_seed_repeats_itself_and_says_how() -> None:
    first = first_failure("gap-jump")
    assert first is not None
    assert run_seed(first.seed, "gap-jump") == first
    assert f"make sim SEED={first.seed}" in failure_text(first)
    assert len(first.trace) > 10
