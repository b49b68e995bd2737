"""kill -9 at random moments. ``TIDEGATE_TEST_KILLS`` says how many at least (50); ``make kills`` makes it 1,000.

They are spread over groups that run side by side. Each round has fresh groups, so that a long run costs no more per
kill than a short one: every kill is followed by a verdict over the whole topic.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from faults.flow import EVENTS_PER_SECOND, exposed_flowing, judge_flowing, stream, wait_flowing
from faults.rows import Matrix
from harness.checker import Report
from harness.fixtures import Scenes, embedded_broker
from harness.parallel import side_by_side
from harness.scene import Broker, event_class
from harness.sidecar import Sidecar
from harness.watched import WatchedScene, WatchedScenes
from tidegate.broker.embedded import EmbeddedBroker

KILLS = int(os.environ.get("TIDEGATE_TEST_KILLS", "50"))
KILLS_PER_GROUP = 8
BATCH, CONCURRENCY = 40, 4
IN_FLIGHT = BATCH * CONCURRENCY
# Milliseconds per event, requests at a time: the slow one is behind the stream, so everything is full at each kill.
APPS = {"fast": (0.2, 8), "slow": (6.0, 2)}


@dataclass
class Tally:
    """What all groups of a test came to."""

    report: Report = field(default_factory=Report)
    moments: Counter[str] = field(default_factory=Counter)
    bound: int = 0
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, report: Report, moments: Counter[str], bound: int, slowest: float) -> None:
        with self.lock:
            self.report.records += report.records
            self.report.delivered += report.delivered
            self.report.duplicates += report.duplicates
            self.moments += moments
            self.bound += bound
            self.slowest = max(self.slowest, slowest)


def wait_for(moment: str, scene: WatchedScene, sidecar: Sidecar, dice: random.Random) -> float:
    """Waits for a moment to kill a sidecar that has just been started; returns the seconds until it delivered."""
    if moment == "start":  # imports, sockets, the first question to the broker
        time.sleep(dice.uniform(0, 0.7))
        return 0.0
    if moment == "join":  # the rebalance: until the one that was killed before is missed
        time.sleep(dice.uniform(0.7, 4))
        return 0.0
    begun = time.monotonic()
    wait_flowing(scene, sidecar, 60)
    flowing = time.monotonic() - begun
    time.sleep(dice.uniform(0, 1))
    if moment == "drain":
        sidecar.terminate()
        time.sleep(dice.uniform(0, dice.choice((0.01, 0.4))))  # a fast app's drain takes 10 ms
    return flowing


def killed(scene: WatchedScene, app: str, tally: Tally, kills: int, seed: int) -> Callable[[], None]:
    """A job: a stream of events, a sidecar that is killed and started again, a verdict after each kill."""

    def job() -> None:
        dice = random.Random(seed)
        ms_per_event, workers = APPS[app]
        scene.app.mode(ms_per_event=ms_per_event, workers=workers)
        moments: Counter[str] = Counter()
        allowed, bound, slowest = 0, 0, 0.0
        sidecar = scene.sidecar(batch_max_records=BATCH, concurrency=CONCURRENCY)
        with stream(scene):
            while moments.total() < kills:
                moment = dice.choice(("start", "join", "delivery", "delivery", "drain"))
                slowest = max(slowest, wait_for(moment, scene, sidecar, dice))
                if sidecar.alive:  # it may have been quicker to end
                    moments[moment] += 1
                sidecar.kill()
                exposed = scene.exposed()
                # Since the last kill no more may have come twice than that one left to come again.
                report = scene.judge(drained=False, duplicates=allowed, classes=event_class)
                allowed = report.duplicates + exposed
                bound += exposed
                sidecar.start()
            slowest = max(slowest, wait_flowing(scene, sidecar, 60))
            scene.app.mode()
        finish(scene, sidecar, tally, moments, allowed, bound, slowest)

    return job


def killed_beside_another(scene: WatchedScene, tally: Tally, kills: int, seed: int) -> Callable[[], None]:
    """A job: of two members one is killed and started again, so that the other takes over and hands over each time."""

    def job() -> None:
        dice = random.Random(seed)
        scene.app.mode(ms_per_event=1, workers=CONCURRENCY)
        moments: Counter[str] = Counter()
        slowest = 0.0
        allowed = bound = 2 * IN_FLIGHT  # the first hand-over, when the second one joins
        settings = {"batch_max_records": BATCH, "concurrency": CONCURRENCY}
        other = scene.sidecar(name="other", **settings)
        sidecar = scene.sidecar(name="killed", **settings)
        with stream(scene):
            while moments.total() < kills:
                moment = dice.choice(("start", "join", "join", "delivery", "drain"))
                slowest = max(slowest, wait_for(moment, scene, sidecar, dice))
                if sidecar.alive:
                    moments[f"{moment} beside another"] += 1
                sidecar.kill()
                # What the other has in flight may come again as well: it hands over when the next one joins.
                exposed = exposed_flowing(scene) + 2 * IN_FLIGHT
                report = judge_flowing(scene, allowed)
                allowed = report.duplicates + exposed
                bound += exposed
                sidecar.start()
            slowest = max(slowest, wait_flowing(scene, other, 60))
            scene.app.mode()
        finish(scene, other, tally, moments, allowed, bound, slowest, sidecar)

    return job


def finish(
    scene: WatchedScene,
    one: Sidecar,
    tally: Tally,
    moments: Counter[str],
    allowed: int,
    bound: int,
    slowest: float,
    *more: Sidecar,
) -> None:
    """Everything settled, everyone stopped, the last verdict: ``allowed`` since the last kill, ``bound`` of all."""
    scene.wait_settled(one, 60)
    one.wait_until(lambda: all(watch.live for watch in scene.watches), 30, "every process is up")
    for sidecar in (one, *more):
        sidecar.stop()
    report = scene.judge(duplicates=allowed, classes=event_class)
    assert report.pending == 0
    tally.add(report, moments, bound, slowest)
    scene.close()


def test_kill_9_at_random_moments(kafka_broker: Broker, scenes: WatchedScenes, matrix: Matrix) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    tally = Tally()
    alone = [("classic", "fast"), ("classic", "slow"), ("consumer", "fast"), ("consumer", "slow")]
    groups = len(alone) + 3
    for number in range(math.ceil(KILLS / (groups * KILLS_PER_GROUP))):
        kills = min(KILLS_PER_GROUP, math.ceil((KILLS - tally.moments.total()) / groups))
        dice = random.Random(seed + number)
        jobs = []
        with EmbeddedBroker() as embedded:
            for protocol, app in alone:
                scene = scenes(kafka_broker, protocol=protocol, name=f"kill-{protocol}-{app}")
                jobs.append((f"{protocol} {app}", killed(scene, app, tally, kills, dice.getrandbits(32))))
            for protocol in ("classic", "consumer"):
                scene = scenes(kafka_broker, protocol=protocol, name=f"kill-pair-{protocol}")
                job = killed_beside_another(scene, tally, kills, dice.getrandbits(32))
                jobs.append((f"{protocol} beside another", job))
            scene = scenes(embedded_broker(embedded), name="kill-embedded")
            jobs.append(("embedded", killed(scene, "fast", tally, kills, dice.getrandbits(32))))
            side_by_side(jobs)
        print(f"{tally.moments.total()} kills so far ({tally.moments}): {tally.report.summary()}")
    assert tally.moments.total() >= KILLS
    matrix.add(
        "test_kills.py::test_kill_9_at_random_moments",
        f"kill -9, {tally.moments.total()} times at random: at the start, in a rebalance, in delivery, in the drain",
        "nothing lost; twice at most what was in flight or not committed",
        tally.report,
        exposed=tally.bound,
        seconds=tally.slowest,
        timed="from a start to the first delivery, at worst",
    )


def test_commits_keep_pace_with_the_app(broker: Broker, scenes: Scenes) -> None:
    """What a kill costs is what flowed since the last commit, not what has flowed since the start."""
    scene = scenes(broker)
    with scene.sidecar() as sidecar:
        with stream(scene):
            wait_flowing(scene, sidecar)
            time.sleep(6)
            sidecar.kill()
        exposed = scene.exposed()
        report = scene.judge(drained=False, classes=event_class)
    assert report.delivered > 4 * EVENTS_PER_SECOND
    assert exposed <= 3 * EVENTS_PER_SECOND  # one second between commits, the rest for a busy machine
