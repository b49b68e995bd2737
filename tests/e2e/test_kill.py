"""kill -9 at random moments. ``TIDEGATE_TEST_KILLS`` says how many (6), spread over groups that run side by side."""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable

from harness.fixtures import Scenes, embedded_broker
from harness.parallel import side_by_side
from harness.produce import shop_events
from harness.scene import Broker, Scene, event_class
from tidegate.broker.embedded import EmbeddedBroker

KILLS = int(os.environ.get("TIDEGATE_TEST_KILLS", "6"))
EVENTS_PER_SECOND = 400


def killed(scene: Scene, kills: int, seed: int) -> Callable[[], None]:
    """A job: a stream of events, a sidecar that is killed and started again, a verdict after each kill."""

    def job() -> None:
        dice = random.Random(seed)
        done = threading.Event()
        stream = threading.Thread(target=produce_until, args=(scene, done))
        sidecar = scene.sidecar(batch_max_records=40, concurrency=4)
        exposed = 0
        stream.start()
        try:
            for number in range(kills):
                if number:
                    sidecar.start()
                if dice.random() < 0.7:  # in full flow; otherwise wherever the start has got to
                    before = scene.app.stats()["events"]
                    sidecar.wait_until(lambda: scene.app.stats()["events"] > before, 40, "events after a restart")  # noqa: B023
                time.sleep(dice.uniform(0, 1.5))
                sidecar.kill()
                exposed += scene.exposed()
                scene.judge(drained=False, duplicates=exposed, classes=event_class)
            sidecar.start()
            sidecar.wait_until(lambda: scene.app.stats()["events"] > 0, 40, "events at last")
        finally:
            done.set()
            stream.join()
            if not sidecar.alive:
                sidecar.close()
        try:
            scene.wait_settled(sidecar, 60)
            sidecar.stop()
        finally:
            sidecar.close()
        report = scene.judge(duplicates=exposed, classes=event_class)
        print(f"seed {seed}: {kills} kills exposed {exposed}: {report.summary()}")

    return job


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
