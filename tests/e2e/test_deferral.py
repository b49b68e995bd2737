"""Deferral end to end: under pressure bulk waits in the parking topic, comes back when it is calm, and is then what it
was before. Nothing is lost on any rung."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from typing import Any

from harness.applog import Request
from harness.checker import Record
from harness.deferring import (
    RATE,
    SERVICE,
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
from harness.ports import free_ports
from harness.produce import Event
from harness.scene import Broker, event_class

FLOOD = 6_000

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


def test_a_crowded_partition_gives_way(kafka_broker: Broker, scenes: Scenes) -> None:
    """A flood fills memory with bulk before the law acts. With few offsets that may be unsettled, that bulk would stop
    its partition, critical records behind it included; it is parked instead, and comes back."""
    scene = parking_scene(scenes, kafka_broker, partitions=1)
    (port,) = free_ports(1)
    one = Deferring(scene, max_uncommitted_records=1024, ops_address=f"127.0.0.1:{port}")
    scene.produce(400)
    scene.wait_events(one.sidecar, 400)
    with pressure(scene, start=400, rate=SERVICE // 2):
        time.sleep(1)
        begun = time.time_ns()
        scene.produce(FLOOD, start=1_000_000)
        time.sleep(8)
        ended = time.time_ns()
        held = one.figure("tidegate_lane_held_seconds_total", 'reason="span"')
        evicted = one.figure("tidegate_parking_evicted_total")
    calm(scene)
    scene.wait_emptied(one.sidecar, 60)
    one.sidecar.stop()
    records, _ = scene.read()
    scene.judge(classes=class_of, parkable=not_critical)
    late = ages(records, scene.app.requests(), "critical", (begun, ended))
    print(f"held {held:.2f} s, evicted {evicted:.0f}, critical p99 {quantile(late, 0.99):.3f} s of {len(late)}")
    assert evicted > 100
    assert held < 3
    assert len(late) > FLOOD / 40
    assert quantile(late, 0.99) < 3
