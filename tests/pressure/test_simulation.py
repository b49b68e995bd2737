"""The limiter against simulated targets: are they kept busy, and how long does a critical record wait?"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tidegate.pressure.adaptive import Adaptive
from tidegate.pressure.limiter import Fixed, Limiter

from .baselines import Gradient2, Vegas
from .simulation import Simulation, Target


def steady(value: float) -> Callable[[float], float]:
    return lambda now: value


def workers(count: int) -> Callable[[float], int]:
    return lambda now: count


def adaptive(concurrency: int = 8, seed: int = 1) -> Adaptive:
    return Adaptive(concurrency, 500, Random(seed), 0.0)


def simulated(target: Target, seconds: float, *, concurrency: int = 8, critical: float = 20.0) -> Simulation:
    made = Simulation(adaptive(concurrency), target, concurrency=concurrency, critical=critical)
    made.run(seconds)
    return made


def fixed(target: Target, seconds: float, critical: float = 20.0) -> Simulation:
    made = Simulation(Fixed(500), target, critical=critical, yields=True)
    made.run(seconds)
    return made


# ── a target that stays as it is ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("count", "concurrency"), [(1, 8), (2, 8), (4, 8), (4, 64), (7, 8), (16, 64)])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_workers_are_busy_and_critical_waits_for_little(count: int, concurrency: int, spread: float) -> None:
    """pressure.md's app, 0.8 ms per record, with a bulk queue that never ends."""
    sim = simulated(Target(workers=workers(count), spread=spread), 40, concurrency=concurrency)
    assert sim.utilisation(5, 40, count) >= (0.95 if spread else 0.97)
    # Of times that are exponential the hundredth is 4.6 times the mean, and one worker's line is all before the order.
    assert sim.p99_ms(5) <= (400 if spread else 150)
    assert sim.p99_ms(0, 5) <= (450 if spread else 250)  # while the limit is being found


def test_as_it_compares_with_others() -> None:
    """The app of four workers; all of them keep it busy, but not with the same line in front of an order."""
    others: dict[str, tuple[Limiter, int]] = {
        "fixed, 8 at once": (Fixed(500), 8),
        "vegas": (Vegas(500, Random(1)), 64),
        "gradient2": (Gradient2(500), 64),
    }
    waits = {}
    for name, (limiter, concurrency) in others.items():
        sim = Simulation(limiter, Target(), concurrency=concurrency, yields=True)
        sim.run(40)
        assert sim.utilisation(5, 40) >= 0.97
        waits[name] = sim.p99_ms(5)
    ours = simulated(Target(), 40, concurrency=64).p99_ms(5)
    assert ours * 5 < min(waits.values()), (ours, waits)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("fast", Target(workers=workers(1), per_record=steady(5e-7), fixed=steady(5e-5))),
        ("far", Target(per_record=steady(1e-5), network=steady(0.1))),
        ("dear", Target(per_record=steady(1e-5), fixed=steady(0.05))),
    ],
)
def test_a_target_whose_records_cost_little_gets_full_batches(name: str, target: Target) -> None:
    sim = simulated(target, 20)
    assert sim.limiter.figures().batch_records == 500  # type: ignore[union-attr]
    assert sim.rate_of(5, 20) >= 0.97 * fixed(target, 20).rate_of(5, 20)


def test_a_fast_target_is_at_its_full_rate_at_once() -> None:
    def target() -> Target:
        return Target(workers=workers(1), per_record=steady(5e-7), fixed=steady(5e-5))

    ours, theirs = simulated(target(), 2), fixed(target(), 2)
    assert ours.rate_of(0.25, 2) >= 0.98 * theirs.rate_of(0.25, 2)
    assert ours.settled >= 0.95 * theirs.settled


def test_a_target_that_takes_a_third_of_a_second_per_record() -> None:
    sim = simulated(Target(per_record=steady(0.3)), 120, critical=1.0)
    assert sim.utilisation(20, 120) >= 0.97
    assert sim.p99_ms(20) <= 1000  # a batch of one in front of it, and its own time
    assert max(n for at, _, n in sim.trace if at > 5) <= 4


def test_without_critical_batches_are_as_long_as_high_allows() -> None:
    sim = Simulation(adaptive(), Target(), critical=0.0)
    sim.run(120)
    assert all(n < 100 for at, _, n in sim.trace if 5 < at < 60)  # critical may come
    assert any(n == 500 for at, _, n in sim.trace if at > 70)
    assert sim.utilisation(70, 120) >= 0.97


# ── a target that changes ───────────────────────────────────────────────────────────────────────────────────────────


def between(begin: float, end: float, then: float, otherwise: float) -> Callable[[float], float]:
    return lambda now: then if begin <= now < end else otherwise


def test_half_the_workers_for_a_while() -> None:
    sim = simulated(Target(workers=lambda now: 2 if 20 <= now < 40 else 4), 60)
    assert sim.utilisation(21, 40, 2) >= 0.97
    assert sim.utilisation(42, 60) >= 0.97
    assert sim.p99_ms(22, 40) <= 150
    assert sim.p99_ms(20, 22) <= 250


def test_records_that_cost_twice_as_much_for_a_while() -> None:
    sim = simulated(Target(per_record=between(20, 40, 0.0016, 0.0008)), 60)
    assert sim.utilisation(20, 60) >= 0.97
    assert sim.p99_ms(20, 40) <= 150
    sizes = [n for at, _, n in sim.trace if 30 <= at < 40]
    assert max(sizes) <= 32  # 50 ms


def test_records_that_cost_ten_times_as_much_are_a_target_begun_anew() -> None:
    sim = simulated(Target(per_record=between(20, 40, 0.008, 0.0008)), 60)
    assert sim.utilisation(22, 40) >= 0.97
    assert sim.utilisation(45, 60) >= 0.97
    assert max(n for at, _, n in sim.trace if 24 <= at < 40) <= 8
    assert sim.p99_ms(24, 40) <= 150
    assert sim.p99_ms(20, 24) <= 1000  # what was in hand takes ten times as long


def test_a_latency_that_is_not_of_our_making_does_not_hold_the_limit_down() -> None:
    """As in a rolling restart: ten times the round trip for 30 s, at no cost in work. Where a single batch in hand
    takes as long, it is no queue."""
    sim = simulated(Target(network=between(20, 50, 0.3, 0.0005)), 70)
    assert sim.sending(30, 50) > 6
    assert sim.rate_of(30, 50) >= 1500  # batches may be as long as the way; of 39 records they would bring 1040
    assert sim.utilisation(52, 70) >= 0.97
    assert sim.p99_ms(55, 70) <= 150


def test_what_is_expected_does_not_follow_a_standing_queue() -> None:
    """Each minute's least would be a little more than the last one's, and the queue as much longer."""
    sim = simulated(Target(), 300, concurrency=64)
    assert sim.utilisation(5, 300) >= 0.97
    assert sim.sending(240, 300) <= 1.25 * sim.sending(5, 60)
    assert sim.p99_ms(240, 300) <= 1.5 * sim.p99_ms(5, 60)


def test_overload_does_not_become_what_is_expected() -> None:
    """Records that cost a percent more each second for two minutes, with as many slots as one likes."""
    sim = simulated(Target(per_record=lambda now: 0.0008 * 1.01 ** min(now, 120)), 180, concurrency=64)
    assert sim.utilisation(5, 180) >= 0.97
    assert sim.p99_ms(120, 180) <= 250


# ── a target that says so ───────────────────────────────────────────────────────────────────────────────────────────


def lost(sim: Simulation) -> int:
    """Records that are neither settled nor in anyone's hand."""
    held = [batch for _, _, batch in sim.retries] + list(sim.in_hand)
    return sim.taken - sim.settled - sum(batch.records for batch in held)


def test_a_target_that_takes_five_requests_and_refuses_the_sixth() -> None:
    def target() -> Target:
        return Target(refuses=lambda now, there: there >= 5)

    sim, other = simulated(target(), 60), fixed(target(), 60)
    assert sim.utilisation(5, 60) >= 0.95 > other.utilisation(5, 60)
    assert sim.p99_ms(5) <= 150 < other.p99_ms(5)
    assert sim.limiter.figures().congestions["overload"] <= 60  # type: ignore[union-attr]
    assert lost(sim) == 0


def test_storms_of_503_lose_nothing_and_are_over_soon() -> None:
    sim = simulated(Target(refuses=lambda now, there: 20 <= now < 21 or 40 <= now < 41), 70)
    assert lost(sim) == 0
    assert sim.utilisation(30, 40) >= 0.97
    assert sim.utilisation(50, 70) >= 0.97


def test_a_target_that_answers_one_request_at_a_time() -> None:
    sim = simulated(Target(workers=workers(1), refuses=lambda now, there: there >= 1), 60)
    assert sim.utilisation(5, 60, 1) >= 0.94  # each round trip costs the way there and back
    assert sim.p99_ms(5) <= 150
    assert lost(sim) == 0
