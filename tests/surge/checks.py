"""What must hold of every run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean

from surge.brains import Tidegate
from surge.lanes import CLASSES
from surge.tally import Tally
from surge.world import World
from tidegate.pressure.orders import Rung

ALL, SHED = (0, 1, 2, 3), (1, 2, 3)
SHED_POINTS = 0.03
SIGNAL = 0.1
UTILISATION = 0.97
CHANGES_A_MINUTE = 10
CRITICAL_SECONDS = 0.25
HIGH_PARKED = 0.02
HIGH_SECONDS = 6.0
RECOVERY_SECONDS = 15.0
WEIGHTS = (0, 8, 4, 1)  # of the dispatcher's round robin


@dataclass(frozen=True)
class Oracle:
    """Knows every second's arrivals and capacity: critical first, the rest as far as it goes, nothing buffered.

    Attributes:
        shed: records that it would shed.
        offered: of the classes that it may shed.
        capacity: records that the app could complete in seconds with at least as many arrivals.
        completed: what it did complete in them.
    """

    shed: float
    offered: int
    capacity: float
    completed: int


def oracle(world: World) -> Oracle:
    scenario, tally = world.scenario, world.tally
    begin, end = math.ceil(scenario.surge[0]), int(scenario.surge[1])
    backlog = shed = capacity = 0.0
    completed = 0
    for second in range(begin, end):
        able = world.capacity.work(second + 1) - world.capacity.work(second) - tally.closed.get(second, 0.0)
        able = max(0.0, able) * scenario.rate
        critical = tally.total(tally.arrived, (0,), second, second + 1) + backlog
        others = tally.total(tally.arrived, SHED, second, second + 1)
        backlog = max(0.0, critical - able)
        shed += max(0.0, others - max(0.0, able - critical))
        if critical + others >= able:
            capacity += able
            for table in (tally.delivered, tally.replayed):
                completed += tally.total(table, ALL, second, second + 1)
    return Oracle(shed, tally.total(tally.arrived, SHED, begin, end), capacity, completed)


def longest_stop(world: World) -> float:
    """Seconds in which the app can have kept everything waiting without a break."""
    stops = [0.0]
    steps = world.scenario.steps
    stops += [b[0] - a[0] for a, b in pairwise(steps) if a[1] == 0]
    stops += [2 * after + end - begin for begin, end, after in world.scenario.refusals]
    return max(stops)


def failures(world: World, brain: Tidegate) -> list[str]:
    """In words; none: all is well."""
    scenario, tally = world.scenario, world.tally
    found: list[str] = []

    def check(holds: bool, text: str) -> None:
        if not holds:
            found.append(text)

    begin, end = math.ceil(scenario.surge[0]), int(scenario.surge[1])
    total = {name: tally.total(getattr(tally, name), ALL, -math.inf, math.inf) for name in
             ("arrived", "delivered", "replayed", "dropped")}  # fmt: skip
    gone = total["delivered"] + total["replayed"] + total["dropped"] + tally.left + tally.unread
    check(gone == total["arrived"], f"{total['arrived']} came, {gone} are accounted for")
    check(not tally.parked[0] and not tally.dropped[0], "critical records were shed")
    check(not tally.dropped[1], "high records were dropped")
    if scenario.name == "starving":
        return found + starved(world)
    if scenario.name == "fast":
        rate = tally.total(tally.delivered, ALL, 2, end) / (end - 2) / scenario.rate
        check(not any(tally.parked), "records were parked, though the app is only slower than reading")
        check(rate >= UTILISATION, f"utilisation {rate:.3f}")
        return found
    if scenario.name == "backlog":
        late = tally.age(0, 0.99, end + 1)
        check(late <= CRITICAL_SECONDS, f"critical p99 {late:.3f} s, when they should have caught up")
        check(brain.ladder.rung is Rung.NORMAL, f"at the end {brain.ladder.rung.name}")
        return found
    stop = longest_stop(world)
    seen = [(offered, service) for at, offered, service in tally.seen if begin + 3 <= at < end]
    came = tally.total(tally.arrived, ALL, begin + 3, end) / (end - begin - 3)
    share = mean(offered for offered, _ in seen) / came
    most = 1 + (SIGNAL if stop == 0 else 3 * SIGNAL)  # what is caught up after a stop is wanted as well
    check(1 - SIGNAL <= share <= most, f"of the demand, {share:.2f} was seen")
    if min(scenario.load(second) for second in range(begin, end)) > 1.1 and stop == 0:
        able = (world.capacity.work(end) - world.capacity.work(begin + 3)) / (end - begin - 3) * scenario.rate
        share = mean(service for _, service in seen) / able
        check(abs(share - 1) <= SIGNAL, f"of the service, {share:.2f} was seen")
    ideal = oracle(world)
    if ideal.capacity > 10 * scenario.rate:  # less is mostly the seconds' edges
        used = ideal.completed / ideal.capacity
        check(used >= UTILISATION, f"utilisation {used:.3f}")
    changes = [at for at, _ in brain.changes]
    most = max((sum(1 for other in changes if at <= other < at + 60) for at in changes), default=0)
    check(most <= CHANGES_A_MINUTE, f"{most} changes of the rung within a minute")
    waited = tally.unread_at[max(tally.unread_at) - 10] > scenario.rate / 10  # a lane was behind until lately
    last = Rung.DEFER if waited else Rung.NORMAL
    check(brain.ladder.rung <= last, f"at the end {brain.ladder.rung.name}")
    if scenario.name == "walled":
        check(any(change.after is Rung.HOLD for _, change in brain.changes), "there was no hold")
        return found
    if ideal.offered:
        over = tally.total(tally.parked, SHED, begin, end) + tally.total(tally.dropped, SHED, begin, end) - ideal.shed
        check(over <= SHED_POINTS * ideal.offered, f"{over / ideal.offered:.3f} more shed than by the oracle")
    bound = CRITICAL_SECONDS + stop
    age = tally.age(0, 0.99)
    check(age <= bound, f"critical p99 {age:.3f} s, over {bound:.3f}")
    check(
        stop > 0 or higher(world) > 0.9 or high_is_well(tally), "high was parked or late, though there was room for it"
    )
    settled = next((at for at, _ in reversed(brain.changes)), 0.0)
    free = scenario.rate * max(0.1, 0.95 - scenario.load(scenario.seconds))
    bound = RECOVERY_SECONDS + (tally.queued_at(end) + tally.unread_at.get(end, 0)) / free
    check(settled <= end + bound, f"NORMAL only {settled - end:.1f} s after the surge, over {bound:.1f}")
    after = tally.age(0, 0.99, end + 1)
    check(after <= CRITICAL_SECONDS, f"critical p99 {after:.3f} s after the surge")
    if max(scenario.load(t / 10) for t in range(round(scenario.seconds * 10))) < 0.85 and not scenario.steps:
        check(not brain.changes, "the ladder moved, though nothing was short")
    return found + replayed(world, brain, settled)


def higher(world: World) -> float:
    """The most that critical and high together bring, of the least capacity."""
    scenario = world.scenario
    least = min((factor for _, factor in scenario.steps), default=1.0)
    times = [t / 10 for t in range(round(scenario.seconds * 10))]
    return max(scenario.load(t) * sum(sum(topic.mix[:2]) for topic in scenario.topics_at(t)) for t in times) / least


def high_parked(tally: Tally) -> float:
    """The share of high that was parked."""
    parked, came = (tally.total(table, (1,), -math.inf, math.inf) for table in (tally.parked, tally.arrived))
    return parked / max(1, came)


def high_is_well(tally: Tally) -> bool:
    """Hardly any of it was parked, and what was let in came within its age budget, nearly."""
    return high_parked(tally) <= HIGH_PARKED and tally.age(1, 0.99) <= HIGH_SECONDS


def replayed(world: World, brain: Tidegate, settled: float) -> list[str]:
    """From the last change to the end the parking topic is emptied, as fast as the headroom leaves, and no faster."""
    scenario, tally = world.scenario, world.tally
    seconds = [s for s in range(int(settled) + 6, int(scenario.seconds) - 1) if tally.parked_at(s + 1) > 0]
    if len(seconds) < 3 or not any(tally.parked):
        return []
    done = [tally.total(tally.replayed, ALL, s, s + 1) for s in seconds]
    own = [tally.total(tally.delivered, ALL, s, s + 1) for s in seconds]
    owned = sum(own) / (scenario.rate * len(seconds))
    used = owned + sum(done) / (scenario.rate * len(seconds))
    return [] if 0.6 <= used <= 0.1 + max(0.8, owned) else [f"while replaying, utilisation {used:.3f} instead of 0.8"]


def starved(world: World) -> list[str]:
    """Of what is served, class k gets 0.05 w/Σw at least while all of them wait; aging lets each w rise to 8."""
    scenario, tally = world.scenario, world.tally
    begin, end = math.ceil(scenario.surge[0]) + 5, int(scenario.surge[1])
    counts = [tally.total(tally.delivered, (k,), begin, end) for k in range(CLASSES)]
    found = []
    for klass in SHED:
        least = 0.05 * WEIGHTS[klass] / (len(SHED) * max(WEIGHTS)) * sum(counts)
        # A batch is served whole: one of each class may be outstanding at either end.
        if counts[klass] < least - 2 * scenario.batch:
            found.append(f"class {klass} got {counts[klass]} of {sum(counts)}, less than {least:.0f}")
    return found


def row(world: World, brain_changes: int) -> dict[str, float]:
    """Figures for a table."""
    tally, ideal = world.tally, oracle(world)
    begin, end = math.ceil(world.scenario.surge[0]), int(world.scenario.surge[1])
    critical = tally.total(tally.arrived, (0,), 0, math.inf)
    lost = tally.total(tally.dropped, (0,), 0, math.inf) + tally.total(tally.parked, (0,), 0, math.inf)
    shed = tally.total(tally.parked, SHED, begin, end) + tally.total(tally.dropped, SHED, begin, end)
    return {
        "critical_p99_s": tally.age(0, 0.99),
        "high_p99_s": tally.age(1, 0.99),
        "critical_lost": lost / max(1, critical),
        "shed": shed / max(1, ideal.offered),
        "oracle": ideal.shed / max(1, ideal.offered),
        "utilisation": ideal.completed / ideal.capacity if ideal.capacity else 1.0,
        "high_parked": high_parked(tally),
        "bulk_p99_s": tally.age(3, 0.99),
        "changes": brain_changes,
    }
