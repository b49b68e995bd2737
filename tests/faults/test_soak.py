"""Memory stays within the budget and what the libraries take, whatever the records, partitions, app and backlog are.

The short form is one cycle of each case: more than a budget is waiting while the app is down, until everything
is full and held; then the app is slow, then fast, until nothing is left. ``make soak MINUTES=60`` goes on with cycles
for as long, beside cases whose app is down throughout; there memory must not grow from cycle to cycle either.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from faults.rows import Matrix
from harness.checker import Report
from harness.parallel import side_by_side
from harness.produce import Event
from harness.scene import Broker
from harness.sidecar import Sidecar
from harness.topics import delete_topic
from harness.watch import LIBRARIES_BYTES
from harness.watched import WatchedScene, WatchedScenes

MINUTES = float(os.environ.get("TIDEGATE_TEST_SOAK_MINUTES", "0"))
BUDGET_MIB = 96  # the default
LIMIT_BYTES = (BUDGET_MIB << 20) + LIBRARIES_BYTES
HELD_SECONDS, SLOW_SECONDS = (60.0, 60.0) if MINUTES else (3.0, 2.0)
GROWTH_MIB = 4.0  # with everything held: over a long run, from one end of the fitted line to the other
# Peaks of cycles differ by 5 MiB either way: 42 cycles of 6 s had 138 to 147 MiB from the third on, and rose no more.
RISE_MIB = 6.0
WARM_CYCLES, JUDGED_CYCLES = 3, 8
TYPES = ("purchase", "cart", "search", "view")  # each class has its ring: all are to be full
TEST = "test_soak.py::test_memory_stays_within_its_bound"


@dataclass(frozen=True)
class Case:
    """Records of about ``record_bytes``, ``records`` of them, over ``partitions``."""

    name: str
    record_bytes: int
    records: int
    partitions: int = 4


CASES = [
    Case("10 B", 10, 500_000),
    Case("266 B", 266, 400_000),
    Case("100 KB", 100_000, 1_500),
    Case("1 MB", 1_000_000, 150),
    Case("266 B in 1,024 partitions", 266, 400_000, 1024),
]
SMALL = Case("266 B, a small backlog", 266, 2_000)
HUGE = Case("266 B, a backlog of 10 budgets", 266, 4_000_000)


def events(case: Case, start: int = 0) -> Iterator[Event]:
    """Records that are each their own: the app counts the different ones."""
    padding = b"x" * max(0, case.record_bytes - 50)
    for number in range(start, start + case.records):
        if case.record_bytes < 50:
            value = b"%d" % (1_000_000_000 + number)
        else:
            kind = TYPES[number % len(TYPES)].encode()
            value = b'{"event_type":"%s","n":%d,"note":"%s"}' % (kind, 1_000_000_000 + number, padding)
        yield Event(number % case.partitions, None, value)


def held(scene: WatchedScene) -> bool:
    """Whether its topic is not read because there is no more room."""
    metrics = scene.watches[-1].metrics
    return any(value for name, value in metrics.items() if name.startswith("tidegate_lane_held{"))


def growth_mib(samples: list[tuple[float, int]]) -> float:
    """MiB by which a line fitted to (seconds, bytes) rises over all of them (least squares)."""
    count = len(samples)
    mean_x = sum(x for x, _ in samples) / count
    mean_y = sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
    return slope * (samples[-1][0] - samples[0][0]) / (1 << 20)


def rise_mib(samples: list[tuple[float, int]], bounds: list[float]) -> float:
    """MiB by which the peaks of the later cycles are above those of the earlier ones (medians of the two halves).

    Without the first cycles, which meet everything for the first time."""
    peaks = [max(y for x, y in samples if begin <= x < end) for begin, end in pairwise(bounds[WARM_CYCLES:])]
    half = len(peaks) // 2
    return (median(peaks[-half:]) - median(peaks[:half])) / (1 << 20)


def test_growth_is_told_from_noise() -> None:
    flat = [(float(x), (90 << 20) + (x % 7) * 40_000) for x in range(600)]
    assert abs(growth_mib(flat)) < 0.1
    leak = [(x, y + int(x) * 20_000) for x, y in flat]
    assert 11 < growth_mib(leak) < 12
    bounds = [50.0 * number for number in range(WARM_CYCLES + JUDGED_CYCLES + 2)]
    assert abs(rise_mib([(x, y + (int(x) // 50) % 2 * (5 << 20)) for x, y in flat], bounds)) < RISE_MIB
    assert rise_mib([(x, y + int(x) * 32_000) for x, y in flat], bounds) > RISE_MIB


def begun(scene: WatchedScene, case: Case, **more: object) -> Sidecar:
    """A sidecar on a backlog whose app is down."""
    scene.app.begin(Path(os.devnull))  # its log would be larger than the topic
    scene.app.mode("down")
    scene.send(events(case))
    return scene.sidecar("--summary", memory_bytes=f"{BUDGET_MIB}MiB", **more)


def cycles(scene: WatchedScene, case: Case, matrix: Matrix, until: float) -> Callable[[], None]:
    """Full and held, then slow, then fast until nothing is left; again while there is time."""

    def job() -> None:
        sidecar = begun(scene, case)
        bounds, number, seconds = [time.monotonic()], 0, 0.0
        while number == 0 or time.monotonic() < until:
            if number:
                scene.app.begin(Path(os.devnull))
                scene.app.mode("down")
                scene.send(events(case, number * case.records))
            sidecar.wait_until(lambda: held(scene), 60, "all is full")
            time.sleep(HELD_SECONDS)
            # Slow, for records of this size: a budget would take it minutes.
            scene.app.mode(ms_per_event=min(1000.0, case.record_bytes / 250), workers=2)
            time.sleep(SLOW_SECONDS)
            scene.app.mode()
            again = time.monotonic()
            sidecar.wait_until(lambda: scene.app.stats()["distinct"] >= case.records, 180, "nothing left")
            seconds = max(seconds, time.monotonic() - again)
            bounds.append(time.monotonic())
            number += 1
        scene.wait_settled(sidecar, 60)
        sidecar.stop(15)
        finish(scene, case, matrix, number * case.records, seconds, "until all was delivered")
        if number >= WARM_CYCLES + JUDGED_CYCLES:
            grown = rise_mib(scene.watches[-1].rss, bounds)
            print(f"{case.name}: {grown:+.1f} MiB over {number} cycles")
            assert grown <= RISE_MIB, f"{case.name}: peaks rose by {grown:.1f} MiB over {number} cycles"

    return job


def down(scene: WatchedScene, case: Case, matrix: Matrix, seconds: float) -> Callable[[], None]:
    """The app is down throughout: all is held, then given back at the end."""

    def job() -> None:
        sidecar = begun(scene, case, drain_seconds=1)
        if case is not SMALL:
            sidecar.wait_until(lambda: held(scene), 60, "all is full")
        settled = time.monotonic() + seconds / 10
        time.sleep(seconds)
        assert sidecar.alive, sidecar.tail()
        if MINUTES:
            grown = growth_mib([(x, y) for x, y in scene.watches[-1].rss if x >= settled])
            print(f"{case.name}, app down for {seconds:.0f} s: {grown:+.2f} MiB")
            assert grown <= GROWTH_MIB, f"{case.name}: grew by {grown:.1f} MiB with everything held"
        assert not any(scene.committed().values())
        sidecar.stop(15)
        finish(scene, case, matrix, 0, seconds, "the app down throughout")

    return job


def finish(scene: WatchedScene, case: Case, matrix: Matrix, records: int, seconds: float, timed: str) -> None:
    """The watchers' verdict, the row, and the topic is gone."""
    scene.require_watched()
    peak = scene.watches[-1].peak_bytes
    assert 0 < peak <= LIMIT_BYTES, f"{case.name}: {peak / (1 << 20):.1f} MiB"
    matrix.add(
        TEST,
        f"a backlog of {case.records:,} records of {case.name}, the app down, slow, fast"
        if records
        else f"a backlog of {case.records:,} records of {case.name}, the app down",
        f"RSS at most {LIMIT_BYTES >> 20} MiB with TIDEGATE_MEMORY_BYTES={BUDGET_MIB}MiB",
        Report(records=records, delivered=records),
        seconds=seconds,
        timed=f"{timed}; peak RSS {peak / (1 << 20):.0f} MiB",
    )
    delete_topic(scene.servers, scene.topic)


def test_memory_stays_within_its_bound(kafka_broker: Broker, scenes: WatchedScenes, matrix: Matrix) -> None:
    until = time.monotonic() + MINUTES * 60
    # Small segments, or 1,024 partitions would map 20 GB of index files; what was read need not be kept.
    config = {"segment.index.bytes": "65536", "segment.bytes": "16777216", "retention.bytes": "1073741824"}

    def scene(case: Case, protocol: str = "classic") -> WatchedScene:
        return scenes(kafka_broker, partitions=case.partitions, config=config, name="soak", protocol=protocol)

    jobs = [(case.name, cycles(scene(case), case, matrix, until)) for case in CASES]
    throughout = MINUTES * 60 or 3.0
    quiet = [SMALL, HUGE, CASES[-1]] if MINUTES else [SMALL]
    jobs += [(f"down, {case.name}", down(scene(case), case, matrix, throughout)) for case in quiet]
    side_by_side(jobs, timeout=throughout + 600)
