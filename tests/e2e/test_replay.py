"""What is parked comes back: stopped by pressure, over restarts, for each group its own."""

from __future__ import annotations

import time

from harness import produce
from harness.checker import Record
from harness.deferring import RATE, Deferring, calm, parking_scene, pressure, replayed
from harness.fixtures import Scenes
from harness.produce import Event
from harness.scene import Broker, Scene, event_class
from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.types import CLASSES, EventClass


def test_a_replay_stops_when_pressure_returns_and_a_restart_goes_on(kafka_broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, kafka_broker)

    def wait_replayed(one: Deferring, more: int) -> None:
        before = len(replayed(scene.app.requests()))
        one.sidecar.wait_until(lambda: len(replayed(scene.app.requests())) >= before + more, 40, "a replay")

    one = Deferring(scene)
    with pressure(scene):
        one.wait_parked(2 * RATE)
    wait_replayed(one, 50)
    with pressure(scene, start=1_000_000):
        one.wait_rung("defer", 15)
        time.sleep(1.5)  # what of it was already in the rings
        begun = time.time_ns()
        time.sleep(2)
        ended = time.time_ns()
    during = [r for r in scene.app.requests() if r.replayed and begun <= r.time_ns <= ended]
    assert not during, f"{sum(len(r.ids) for r in during)} were replayed under pressure"
    scene.app.mode(ms_per_event=1, workers=4)
    wait_replayed(one, 100)
    one.sidecar.stop()
    assert scene.parked().lag > RATE
    scene.judge(classes=event_class, drained=False)
    again = Deferring(scene, name="again")
    wait_replayed(again, 100)
    again.sidecar.kill()
    assert scene.parked().lag > 100
    allowed = scene.exposed()
    again.sidecar.start()
    calm(scene)
    scene.wait_emptied(again.sidecar)
    again.sidecar.stop()
    scene.judge(classes=event_class, duplicates=allowed)


def test_two_groups_each_with_a_parking_topic_of_its_own(kafka_broker: Broker, scenes: Scenes) -> None:
    first, second = parking_scene(scenes, kafka_broker), parking_scene(scenes, kafka_broker)
    second.topic, second.topics = first.topic, first.topics
    pair = [(scene, Deferring(scene)) for scene in (first, second)]
    with pressure(first):
        for _, one in pair:
            one.wait_parked(RATE)
    for scene, _ in pair:
        calm(scene)
    for scene, one in pair:
        scene.wait_emptied(one.sidecar)
        one.sidecar.stop()
        assert scene.judge(classes=event_class).delivered == len(first.read()[0])


def test_what_was_parked_comes_even_with_start_latest(broker: Broker, scenes: Scenes) -> None:
    """A group that has not begun to read its parking topic: whoever parked there was the group, before it was lost."""
    scene = parking_scene(scenes, broker)
    if broker.real:
        broker.create(scene.parking or "", 4, {})
    calm(scene)
    scene.produce(400)
    records, _ = scene.read()
    waiting = [record for record in records if event_class(record) == "bulk"]
    produce.send(
        scene.servers,
        scene.parking or "",
        [Event(n % 4, record.key, envelope(record)) for n, record in enumerate(waiting)],
    )
    one = Deferring(scene, start="latest")
    scene.wait_events(one.sidecar, len(waiting))
    new = scene.produce(100, start=400)
    scene.wait_emptied(one.sidecar)
    one.sidecar.stop()
    came = {line for request in scene.app.requests() for line in request.ids}
    assert {record.line for record in waiting} <= came
    assert len(came) == len(waiting) + len(new)
    require_once(scene)


def envelope(record: Record) -> bytes:
    """What stands in the parking topic for a record."""
    (topic, partition), kind = record.partition, CLASSES[EventClass.BULK]
    stamp = record.timestamp_ms or 0
    return encode(Parked(topic, partition, record.offset, stamp, 1, kind, None, None, (), record.value))


def require_once(scene: Scene) -> None:
    """Nothing came twice, and what was parked came under its origin's id."""
    lines = [line for request in scene.app.requests() for line in request.ids]
    assert len(lines) == len(set(lines))
    assert {place.rpartition("/")[0].rpartition("/")[0] for place in replayed(scene.app.requests())} == {scene.topic}
