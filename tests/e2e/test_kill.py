"""kill -9 at random moments. ``TIDEGATE_TEST_KILLS`` says how many (6), spread over groups that run side by side."""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.fixtures import Scenes, embedded_broker
from harness.parallel import side_by_side
from harness.produce import shop_events
from harness.scene import Broker, Scene, event_class
from harness.sidecar import Sidecar
from tidegate.broker.embedded import EmbeddedBroker

KILLS = int(os.environ.get("TIDEGATE_TEST_KILLS", "6"))
EVENTS_PER_SECOND = 400


def killed(scene: Scene, kills: int, seed: int) -> Callable[[], None]:
    """A job: a stream of events, a sidecar that is killed and started again, a verdict after each kill."""

    def job() -> None:
        dice = random.Random(seed)
        allowed = 0
        with scene.sidecar(batch_max_records=40, concurrency=4) as sidecar:
            with stream(scene):
                for _ in range(kills):
                    if dice.random() < 0.7:  # in full flow; otherwise wherever the start has got to
                        wait_flowing(scene, sidecar)
                    time.sleep(dice.uniform(0, 1.5))
                    sidecar.kill()
                    exposed = scene.exposed()
                    # Since the last kill no more may have come twice than that one left to come again.
                    report = scene.judge(drained=False, duplicates=allowed, classes=event_class)
                    allowed = report.duplicates + exposed
                    sidecar.start()
                wait_flowing(scene, sidecar)
            scene.wait_settled(sidecar, 60)
            sidecar.stop()
        report = scene.judge(duplicates=allowed, classes=event_class)
        print(f"seed {seed}: {kills} kills, {report.summary()}")

    return job


def wait_flowing(scene: Scene, sidecar: Sidecar) -> None:
    before = scene.app.stats()["events"]
    sidecar.wait_until(lambda: scene.app.stats()["events"] > before, 40, "events after a start")


@contextmanager
def stream(scene: Scene) -> Iterator[None]:
    """Produces EVENTS_PER_SECOND beside the block."""
    done = threading.Event()
    thread = threading.Thread(target=produce_until, args=(scene, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def produce_until(scene: Scene, done: threading.Event) -> None:
    number = 0
    while not done.wait(0.1):
        scene.send(shop_events(EVENTS_PER_SECOND // 10, scene.partitions, start=number))
        number += EVENTS_PER_SECOND // 10


def test_kill_9_at_random_moments(kafka_broker: Broker, scenes: Scenes) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    with EmbeddedBroker() as embedded:
        places = [
            (kafka_broker, "classic", "kafka"),
            (kafka_broker, "consumer", "kafka"),
            (embedded_broker(embedded), "classic", "embedded"),
        ]
        jobs = []
        for index, (broker, protocol, name) in enumerate(places):
            scene = scenes(broker, protocol=protocol, name=f"kill-{name}-{protocol}")
            scene.app.mode(ms_per_event=0.5, workers=4)
            jobs.append((f"{name} {protocol}", killed(scene, math.ceil(KILLS / len(places)), seed + index)))
        side_by_side(jobs)


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
