"""Every scenario once, each planted fault found, and the figures that decided between tidegate's law and others'."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from surge.baselines import CoDel, Dagor, PauseOnly, PiRejector
from surge.brains import Tidegate
from surge.checks import row
from surge.compare import reference
from surge.families import FAMILIES
from surge.faults import FAULTS
from surge.runs import run
from surge.target import App, Capacity
from surge.world import World

SEEDS = int(os.environ.get("TIDEGATE_TEST_SURGE_SEEDS", "1"))


@pytest.mark.parametrize("name", FAMILIES)
def test_no_seed_breaks_a_promise(name: str) -> None:
    results = [run(name, seed) for seed in range(SEEDS)]
    assert not [str(result) for result in results if result.failures]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault: type[Tidegate]) -> None:
    name, seed, words = FAULTS[fault]
    found = run(name, seed, fault).failures
    assert any(words in text for text in found), found or "nothing was found"


def test_beside_what_was_published() -> None:
    """The surge of pressure.md section 0, without a parking topic; each loses in the way that is known of it."""
    figures = {}
    for brain in (PauseOnly, CoDel, Dagor, PiRejector, Tidegate):
        scenario = replace(reference(0), seconds=90, workers=20, slots=20, rate=400.0)
        world = World(scenario, brain(scenario))
        world.run()
        figures[brain] = row(world, 0)
    ours = figures[Tidegate]
    assert figures[PauseOnly]["critical_p99_s"] > 30
    assert figures[CoDel]["critical_lost"] > 0.2
    assert ours["critical_lost"] == 0
    assert ours["critical_p99_s"] < 0.2
    assert ours["utilisation"] > max(figures[Dagor]["utilisation"], figures[PiRejector]["utilisation"])
    assert abs(ours["shed"] - ours["oracle"]) < 0.01


def test_a_run_repeats_itself() -> None:
    assert run("overload", 3).figures == run("overload", 3).figures


def test_the_app_stands_still_slows_down_and_refuses() -> None:
    capacity = Capacity([(10.0, 0.0), (12.0, 0.5), (20.0, 1.0)])
    assert capacity.end(9.0, 1.0) == pytest.approx(10.0)
    assert capacity.end(9.0, 2.0) == pytest.approx(14.0)
    assert capacity.end(11.0, 6.0) == pytest.approx(22.0)
    assert capacity.work(21.0) == pytest.approx(10 + 0 + 4 + 1)
    app = App(1, 0.1, capacity, [(1.0, 2.0, 5.0)])
    assert app.send(0.0, 5) == (0.5, None)
    assert app.send(0.1, 5) == (1.0, None)  # behind the first
    assert app.send(1.5, 5) == (1.505, 5.0)
