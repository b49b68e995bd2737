"""Deferral end to end: under pressure bulk waits in the parking topic, comes back when it is calm, and is then what it
was before. Nothing is lost on any rung."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from typing import Any

import pytest

from harness import produce
from harness.applog import Request
from harness.checker import Record
from harness.deferring import (
    RATE,
    Deferring,
    ages,
    calm,
    parking_scene,
    places_of,
    pressure,
    quantile,
    replayed,
    total,
)
from harness.fixtures import Scenes
from harness.produce import Event
from harness.scene import Broker, Scene, event_class
from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.types import CLASSES, EventClass

# What a JSON line can carry beside its value, at its oddest. A header of the rules makes them bulk.
BULK = ("kind", b"view")
ODD: list[tuple[bytes | None, bytes | None, list[tuple[str, str | bytes | None]]]] = [
    (None, b'{"odd":1}', [BULK]),
    (b"", b'{"odd":2}', [BULK, ("empty", b"")]),
    (b"k", None, [BULK]),
    (b"\x00\xff key", b'{"odd":3}', [BULK, ("binary", bytes(range(256)))]),
    (b"twice", b'{"odd":4}', [("a", b"1"), BULK, ("a", b"2"), ("a", None)]),
    (b"null", b'{"odd":5}', [BULK, ("nothing", None), ("", b"no name")]),
    ("ключ".encode(), b'{"odd":\n6}', [BULK, ("заголовок", "значение".encode())]),
    (b"not json", b"\x00\x01 no JSON \xff", [BULK]),  # goes alone, as it is
]


def class_of(record: Record) -> str:
    """The odd ones are bulk as well."""
    return "bulk" if (b"kind", b"view") in record.headers else event_class(record)


def not_critical(record: Record) -> bool:
    return class_of(record) != "critical"


def odd_events(count: int, partitions: int) -> list[Event]:
    """Values that repeat are told apart by their number, but for those that have none."""
    events = []
    for number in range(count):
        key, value, headers = ODD[number % len(ODD)]
        if value is not None and value.endswith(b"}"):
            value = value[:-1] + b',"number":%d}' % number
        elif value is not None:
            value += b" %d" % number
        events.append(Event(number % partitions, key, value, "view", headers))
    return events


def text_of(raw: bytes | None) -> object:
    """Bytes as the envelope has them."""
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def require_whole(records: list[Record], requests: list[Request]) -> Counter[bool]:
    """Every envelope has the id, key, headers in their order and time of the record that it is. Returns how many of
    them were replayed, and how many were not."""
    places = {f"{r.partition[0]}/{r.partition[1]}/{r.offset}": r for r in records}
    seen: Counter[bool] = Counter()
    for request in requests:
        assert request.envelopes == places_of(request.offsets) or request.alone
        for text, line in zip(request.metadata, request.ids, strict=request.metadata != []):
            pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
            members = dict(pairs)
            record = places[members["id"]]
            assert record.line == line
            assert _plain(members["key"]) == text_of(record.key), members["id"]
            assert [(name, _plain(value)) for name, value in members["headers"]] == [
                (text_of(name), text_of(value)) for name, value in record.headers
            ]
            assert members["ts"] == record.timestamp_ms
            assert members["weight"] == 1
            seen[request.replayed] += 1
    return seen


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, list) else value


def test_what_is_parked_comes_back_whole(broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, broker)
    one = Deferring(scene, format="envelope", bulk="view,header:kind=view")
    with pressure(scene):
        one.wait_rung("defer")
        begun = time.time_ns()
        for _ in range(5):
            scene.send(odd_events(8 * len(ODD), scene.partitions))
            time.sleep(1)
        ended = time.time_ns()
        one.wait_parked(RATE)
    calm(scene)
    scene.wait_emptied(one.sidecar, 60)
    one.wait_rung("normal")
    one.sidecar.stop()
    rungs = one.rungs()
    assert (rungs[0], rungs[-1]) == ("defer", "normal")

    records, _ = scene.read()
    requests = scene.app.requests()
    scene.judge(classes=class_of, parkable=not_critical)  # once each: nothing twice
    seen = require_whole(records, requests)
    assert seen[True] > RATE
    assert seen[False] > RATE
    again = replayed(requests)
    assert len(again) == len(set(again))
    assert one.replayed() == len(again)  # each that was parked came back, under the id of its origin
    assert total(one.counts(), "deferred") == 0
    odd = {f"{r.partition[0]}/{r.partition[1]}/{r.offset}" for r in records if r.headers}
    assert len(odd & set(again)) > len(ODD)
    # Critical did not wait for the others.
    critical, bulk = (ages(records, requests, klass, (begun, ended)) for klass in ("critical", "bulk"))
    print(f"critical p99 {quantile(critical, 0.99):.3f} s of {len(critical)}, bulk p50 {quantile(bulk, 0.5):.3f} s")
    assert quantile(critical, 0.99) < 1.5
    assert quantile(critical, 0.5) < 0.5


def test_what_is_sampled_says_its_weight(broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, broker)
    one = Deferring(scene, bulk_on_pressure="sample", high_on_pressure="keep")
    with pressure(scene):
        one.wait_rung("sample")
        time.sleep(8)
    calm(scene)
    one.wait_rung("normal")
    scene.wait_settled(one.sidecar)
    one.sidecar.stop()
    counts = one.counts()
    bulk = counts["bulk"]
    assert bulk["sampled"] > 2 * RATE
    assert bulk["delivered"] + bulk["sampled"] == bulk["polled"]
    assert total(counts, "sampled") == bulk["sampled"]
    assert total(counts, "deferred") == 0
    report = scene.judge(
        classes=event_class, droppable=lambda record: event_class(record) == "bulk", dropped=bulk["sampled"]
    )
    assert report.records == total(counts, "polled")
    requests = scene.app.requests()
    weights = Counter({"1": 0})
    for request in requests:
        assert request.klass == "bulk" or not request.weight
        weights[request.weight or "1"] += len(request.ids) * (request.klass == "bulk")
    estimate = sum(float(weight) * count for weight, count in weights.items())
    print(f"{bulk}, by weights {estimate:.0f}, of {len(weights)} weights")
    assert estimate == pytest.approx(bulk["polled"], rel=0.2)
    assert len(weights) > 1


def test_without_a_parking_topic_it_is_held(broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, broker)
    one = Deferring(scene, parking_topic="none")
    with pressure(scene):
        one.wait_rung("hold")
        assert one.order("set", "defer").returncode == 1
        assert "nothing can be deferred" in one.order("set", "defer").stdout
    calm(scene)
    one.wait_rung("normal", 30)
    scene.wait_settled(one.sidecar)
    one.sidecar.stop()
    assert total(one.counts(), "deferred") == 0
    scene.parking = None
    scene.judge(classes=event_class)


def test_the_operator_sets_each_rung(broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, broker)
    one = Deferring(scene, bulk_on_pressure="defer,sample")
    scene.produce(200)
    scene.wait_events(one.sidecar, 200)
    with pressure(scene):
        for rung in ("defer", "sample", "hold", "pause", "normal"):
            assert one.order("set", rung).returncode == 0
            one.wait_rung(rung)
            shown = one.order("show").stdout
            assert shown.startswith(f"rung {rung}, set to {rung} by the operator"), shown
            time.sleep(1.5)
        assert one.order("set", "defer").returncode == 0
        one.wait_parked()
        assert one.order("auto").returncode == 0
    calm(scene)
    scene.wait_emptied(one.sidecar, 60)
    one.wait_rung("normal")
    one.sidecar.stop()
    counts = one.counts()
    assert one.replayed() > 0
    assert counts["bulk"]["deferred"] == 0
    scene.judge(
        classes=event_class,
        droppable=lambda record: event_class(record) == "bulk",
        dropped=counts["bulk"]["sampled"],
    )


def test_old_bulk_expires_wherever_it_waits(broker: Broker, scenes: Scenes) -> None:
    """Some before it is read, some in the parking topic."""
    scene = parking_scene(scenes, broker)
    old = Counter(event.type for event in scene.produce(1000))
    time.sleep(3.5)
    one = Deferring(scene, bulk_ttl_seconds=3)
    scene.wait_settled(one.sidecar)
    with pressure(scene, start=1000):
        one.wait_parked(RATE)
    time.sleep(3.5)
    calm(scene)
    scene.wait_emptied(one.sidecar)
    one.sidecar.stop()
    counts = one.counts()
    expired = counts["bulk"]["expired"]
    assert expired > old["view"] + RATE // 2
    assert total(counts, "expired") == expired
    scene.judge(classes=event_class, droppable=lambda record: event_class(record) == "bulk", dropped=expired)


def test_a_replay_stops_when_pressure_returns_and_a_restart_goes_on(broker: Broker, scenes: Scenes) -> None:
    scene = parking_scene(scenes, broker)

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


def test_two_groups_each_with_a_parking_topic_of_its_own(broker: Broker, scenes: Scenes) -> None:
    first, second = parking_scene(scenes, broker), parking_scene(scenes, broker)
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
