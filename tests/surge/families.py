"""The kinds of scenarios, each drawn by a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

from surge.scenario import Scenario, Topic, flash_load, step_load


def random_mix(rng: random.Random, critical: float) -> tuple[float, float, float, float]:
    """A quarter to nothing of what is not critical is high, a third to nothing normal, the rest bulk."""
    high, normal = rng.uniform(0, 0.15), rng.choice([0.0, rng.uniform(0.05, 0.3)])
    left = 1 - critical
    return critical, high * left, normal * left, (1 - high - normal) * left


def _shape(rng: random.Random) -> dict[str, float | int]:
    """An app: 2 to 8 workers, 500 to 6000 records/s, slots of once to twice the workers, decision 14's batches."""
    workers = rng.choice([2, 2, 4, 4, 8])
    rate = math.exp(rng.uniform(math.log(500), math.log(6000)))
    per_record = workers / rate
    batch = max(1, min(500, int(0.25 / 8 / per_record)))
    slots = max(2, round(workers * rng.uniform(1.0, 2.0)))
    return {"workers": workers, "rate": rate, "batch": batch, "slots": slots, "ring_seconds": rng.uniform(4, 30)}


def _base(rng: random.Random) -> float:
    return rng.uniform(0.2, 0.6)


def lasting(family: Callable[[int], Scenario]) -> Callable[[int], Scenario]:
    """Goes on after the surge until the rings can have been emptied, and a while."""

    def lengthened(seed: int) -> Scenario:
        scenario = family(seed)
        free = max(0.2, 0.95 - scenario.load(scenario.seconds))
        return replace(scenario, seconds=math.ceil(scenario.surge[1] + 20 + 0.6 * scenario.ring_seconds / free))

    return lengthened


@lasting
def overload(seed: int, peak: float | None = None) -> Scenario:
    rng = random.Random(f"overload{seed}")
    peak = peak if peak is not None else math.exp(rng.uniform(math.log(0.5), math.log(20)))
    critical = rng.uniform(0.01, min(0.3, 0.78 / peak))
    end = 10 + rng.uniform(30, 60)
    return Scenario(
        "overload", seed, step_load(min(peak, _base(rng)), peak, 10, end), (10, end), end + 20,
        topics=(Topic(random_mix(rng, critical)),), **_shape(rng),
    )  # fmt: skip


@lasting
def halved(seed: int) -> Scenario:
    rng = random.Random(f"halved{seed}")
    peak = rng.uniform(1.2, 4)
    return Scenario(
        "halved", seed, step_load(_base(rng), peak, 10, 70), (10, 70), 90, steps=((30, 0.5), (45, 1.0)),
        topics=(Topic(random_mix(rng, rng.uniform(0.01, 0.35 / peak))),), **_shape(rng),
    )  # fmt: skip


@lasting
def freezing(seed: int) -> Scenario:
    rng = random.Random(f"freezing{seed}")
    begin = rng.uniform(15, 30)
    end = begin + rng.uniform(2, 20)
    peak = rng.choice([0.7, rng.uniform(1.2, 5)])
    return Scenario(
        "freezing", seed, step_load(min(0.5, peak), peak, 10, 60), (10, 60), 90, steps=((begin, 0.0), (end, 1.0)),
        topics=(Topic(random_mix(rng, rng.uniform(0.01, 0.5 / peak))),), **_shape(rng),
    )  # fmt: skip


@lasting
def storms(seed: int) -> Scenario:
    """Retry-After storms: for half a second to two, every few seconds, all is refused."""
    rng = random.Random(f"storms{seed}")
    refusals, at = [], 15.0
    while at < 50:
        length = rng.uniform(0.5, 2)
        refusals.append((at, at + length, rng.choice([0.5, 1.0, 2.0])))
        at += length + rng.uniform(3, 10)
    peak = rng.uniform(1.2, 5)
    return Scenario(
        "storms", seed, step_load(_base(rng), peak, 10, 60), (10, 60), 85, refusals=tuple(refusals),
        topics=(Topic(random_mix(rng, rng.uniform(0.01, 0.3 / peak))),), **_shape(rng),
    )  # fmt: skip


@lasting
def skewed(seed: int) -> Scenario:
    """Producers' clocks are wrong by up to an hour, either way; sometimes nothing else is."""
    rng = random.Random(f"skewed{seed}")
    peak = rng.choice([0.8, rng.uniform(1.2, 5)])
    critical = rng.uniform(0.01, 0.5 / max(1, peak))
    mix = random_mix(rng, critical)
    errors = [rng.choice([-3600, -60, -2, 2, 60, 3600]) * rng.uniform(0.5, 1) for _ in range(2)]
    topics = tuple(Topic(tuple(part / 2 for part in mix), clock_error=error) for error in errors)
    return Scenario(
        "skewed", seed, step_load(min(peak, _base(rng)), peak, 10, 60), (10, 60), 80, topics=topics, **_shape(rng)
    )  # fmt: skip


@lasting
def unknown(seed: int) -> Scenario:
    """A release brings a type that no rule knows: nine tenths of the traffic are high at once."""
    rng = random.Random(f"unknown{seed}")
    peak = rng.uniform(1.5, 8)
    critical = rng.uniform(0.01, 0.5 / peak)
    before, after = Topic(random_mix(rng, critical)), Topic((critical, 0.9, 0.0, max(0.0, 0.1 - critical)))
    total = sum(after.mix)
    after = Topic(tuple(part / total for part in after.mix))
    return Scenario(
        "unknown", seed, step_load(_base(rng), peak, 15, 60), (15, 60), 80, topics=(before,), later=(15, (after,)),
        **_shape(rng),
    )  # fmt: skip


@lasting
def flash(seed: int) -> Scenario:
    rng = random.Random(f"flash{seed}")
    amplitude, base = rng.choice([2, 5, 10, 20]), rng.uniform(0.3, 0.8)
    tau = rng.uniform(20, 60)  # pressure.md says 120 to 600 s: shortened, the law knows nothing longer than a second
    load = flash_load(base, amplitude, 10, rng.uniform(1, 5), tau)
    peak = base * (1 + amplitude)
    end = 25 + tau * math.log(max(1.05, base * amplitude / max(0.05, 1 - base)))
    critical = min(0.03, 0.78 / peak / 3)
    calm, busy = (critical, 0.1, 0.1, 0.8 - critical), (3 * critical, 0.24, 0.09, 0.67 - 3 * critical)
    return Scenario(
        "flash", seed, load, (10, end), end + 20, topics=(Topic(calm),), later=(10, (Topic(busy),)), **_shape(rng)
    )  # fmt: skip


@lasting
def sampled(seed: int) -> Scenario:
    """Without parking, bulk and normal may be sampled; high is protected then."""
    rng = random.Random(f"sampled{seed}")
    peak = math.exp(rng.uniform(math.log(1.2), math.log(8)))
    critical, high = rng.uniform(0.01, 0.3 / peak), rng.uniform(0, 0.2 / peak)
    normal = rng.choice([0.0, rng.uniform(0.05, 0.2)])
    mix = (critical, high, normal, 1 - critical - high - normal)
    return Scenario(
        "sampled", seed, step_load(_base(rng), peak, 10, 70), (10, 70), 90, topics=(Topic(mix),),
        parking=((0.0, False),), on_pressure={2: "defer,sample", 3: "sample"}, **_shape(rng),
    )  # fmt: skip


def parted(seed: int) -> Scenario:
    """Topics of one class beside a mixed one: what can wait in Kafka is not parked."""
    rng = random.Random(f"parted{seed}")
    peak = rng.uniform(1.2, 5)
    critical = rng.uniform(0.01, 0.4 / peak)
    mixed, clicks = rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.4)
    topics = (
        Topic((critical, 0.1 * mixed, 0.0, 0.9 * mixed)),
        Topic((0.0, 0.0, 0.0, clicks), waits=True),
        Topic((0.0, 0.0, 1 - critical - mixed - clicks, 0.0), waits=True),
    )
    return Scenario(
        "parted", seed, step_load(_base(rng), peak, 10, 50), (10, 50), 70, topics=topics, **_shape(rng)
    )  # fmt: skip


@lasting
def failing_parking(seed: int) -> Scenario:
    """The parking topic goes away amid the surge and comes back."""
    rng = random.Random(f"failing{seed}")
    peak = rng.uniform(1.5, 5)
    mix = (rng.uniform(0.01, 0.3 / peak), 0.0, 0.1, 0.0)
    mix = (mix[0], 0.0, 0.1, 0.9 - mix[0])
    return Scenario(
        "failing_parking", seed, step_load(_base(rng), peak, 10, 70), (10, 70), 95, topics=(Topic(mix),),
        parking=((0.0, True), (rng.uniform(20, 30), False), (rng.uniform(40, 50), True)),
        on_pressure={2: "defer,sample", 3: "defer,sample"}, **_shape(rng),
    )  # fmt: skip


def walled(seed: int) -> Scenario:
    """Without parking, more high than can be served: there is nowhere to put it, so reading stops."""
    rng = random.Random(f"walled{seed}")
    peak = rng.uniform(4, 6)
    mix = (0.05, 0.6, 0.0, 0.35)
    return Scenario(
        "walled", seed, step_load(_base(rng), peak, 10, 40), (10, 40), 200, topics=(Topic(mix),),
        parking=((0.0, False),), on_pressure={3: "sample"}, **_shape(rng),
    )  # fmt: skip


def starving(seed: int) -> Scenario:
    """Every class saturated, critical alone over the app's capacity, nothing may be shed."""
    rng = random.Random(f"starving{seed}")
    topics = tuple(Topic(tuple(0.3 if k == one else 0.0 for k in range(4))) for one in range(4))
    return Scenario(
        "starving", seed, step_load(0.3, 4.0, 10, 60), (10, 60), 61, topics=topics, forced=((0.0, 0),),
        **(_shape(rng) | {"ring_seconds": 4.0}),
    )  # fmt: skip


@lasting
def between(seed: int) -> Scenario:
    """As `sampled`, bulk only, and its share lies badly between two notches."""
    rng = random.Random(f"between{seed}")
    share = rng.uniform(0.54, 0.59) / 2 ** rng.randrange(3)
    peak = 0.05 + 0.95 / share
    topic = Topic((0.05 / peak, 0, 0, 1 - 0.05 / peak))
    shape = _shape(rng) | {"ring_seconds": rng.uniform(3, 8)}
    return Scenario(
        "between", seed, step_load(0.4, peak, 10, 60), (10, 60), 80, topics=(topic,),
        parking=((0.0, False),), on_pressure={3: "sample"}, **shape,
    )  # fmt: skip


def backlog(seed: int) -> Scenario:
    """A start with minutes of backlog in a mixed topic; what comes now could be served easily."""
    rng = random.Random(f"backlog{seed}")
    base, critical, behind, shape = rng.uniform(0.2, 0.5), rng.uniform(0.01, 0.1), rng.uniform(60, 600), _shape(rng)
    surge = 5 + behind * base * critical / (1 - base * critical)  # the critical ones of it take so long, at full speed
    seconds = surge + shape["ring_seconds"] / (1 - base) + 20
    return Scenario(
        "backlog", seed, step_load(base, base, 0, 1), (0, surge), seconds, backlog_seconds=behind,
        topics=(Topic(random_mix(rng, critical)),), **shape,
    )  # fmt: skip


def fast(seed: int) -> Scenario:
    """A start with backlog and an app so fast that the rings hold a tenth of a second of its work, or two."""
    rng = random.Random(f"fast{seed}")
    base, behind, shape = rng.uniform(0.2, 0.5), rng.uniform(60, 200), _shape(rng)
    return Scenario(
        "fast", seed, step_load(base, base, 0, 1), (0, behind * base), behind * base, backlog_seconds=behind,
        topics=(Topic(random_mix(rng, rng.uniform(0.01, 0.1))),), **(shape | {"ring_seconds": rng.uniform(0.05, 0.25)}),
    )  # fmt: skip


FAMILIES: dict[str, Callable[[int], Scenario]] = {
    "overload": overload,
    "halved": halved,
    "freezing": freezing,
    "storms": storms,
    "skewed": skewed,
    "unknown": unknown,
    "flash": flash,
    "sampled": sampled,
    "between": between,
    "backlog": backlog,
    "fast": fast,
    "parted": parted,
    "failing_parking": failing_parking,
    "walled": walled,
    "starving": starving,
}
