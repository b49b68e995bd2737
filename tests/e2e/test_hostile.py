"""Empty, binary and hostile payloads beside good ones: each reaches the app whole, and none spoils a neighbour."""

from __future__ import annotations

import random

import pytest

from harness.checker import Record
from harness.fixtures import Scenes
from harness.hostile import PAYLOADS
from harness.produce import Event, shop_events
from harness.scene import Broker

_GRAMMAR = {payload.value for payload in PAYLOADS.values() if payload.form == "grammar"}
_BROKEN = {payload.value for payload in PAYLOADS.values() if payload.form == "broken"}


@pytest.mark.parametrize("form", ["ndjson", "json", "envelope"])
def test_hostile_payloads_beside_good_ones(broker: Broker, scenes: Scenes, form: str) -> None:
    scene = scenes(broker)
    events = list(shop_events(600, 4))
    dice = random.Random(form)
    for payload in PAYLOADS.values():
        for _ in range(2):
            event = Event(dice.randrange(4), dice.choice([None, b"", b"k", b"\xff\x00\n"]), payload.value)
            events.insert(dice.randrange(len(events)), event)
    scene.send(events)
    summary = scene.sidecar("--until-end", format=form).finish()
    assert summary["records"] == len(events)

    def may_be_invalid(record: Record) -> bool:
        # In lines, a wrong literal harms only its own; in an array it would spoil them all.
        return form != "json" and record.value in _GRAMMAR

    report = scene.judge(invalid=may_be_invalid)
    assert report.delivered == len(events)
    alone = {name for request in scene.app.requests() if request.alone for name in request.ids}
    records, _ = scene.read()
    broken = {record.exact for record in records if record.value in _BROKEN and (record.value or b"").strip()}
    assert broken <= alone
    assert not alone & {record.exact for record in records if b"user_session" in (record.value or b"")}


def test_hostile_keys_and_headers(broker: Broker, scenes: Scenes) -> None:
    """Headers are read for the type, keys travel in envelopes: neither may end up as anything but data."""
    scene = scenes(broker, partitions=1)
    headers: list[list[tuple[str, str | bytes | None]]] = [
        [("event_type", b"purchase")],
        [("event_type", b"purchase\r\nX-Tidegate-Class: bulk\r\n\r\n")],
        [("event_type", None)],
        [("event_type", b"")],
        [("event_type", bytes(range(256)))],
        [("", b"empty name"), ("\r\nX-Evil", b"1"), ("\u2028\U0001f600", b"\xff")],
        [(f"h{n}", b"v" * 100) for n in range(500)],
        [("event_type", b"view"), ("event_type", b"purchase")],
    ]
    keys = [None, b"", b"\xff\xfe\x00", b'"},{"', b"\r\nX-Evil: 1\r\n", b"k" * 70_000]
    events = [
        Event(0, key, event.value, event.type, header)
        for key, header, event in zip(keys * len(headers), headers * len(keys), shop_events(48), strict=True)
    ]
    scene.send(events)
    fields = "header:event_type,json:/event_type"
    summary = scene.sidecar("--until-end", format="envelope", type_fields=fields).finish()
    assert summary["records"] == 48
    scene.judge()
    assert {request.klass for request in scene.app.requests()} <= {"critical", "high", "bulk"}
    by_class = {line: r.klass for r in scene.app.requests() for line in r.ids}
    records, _ = scene.read()
    assert all(by_class[records[n].line] == "critical" for n in range(0, 48, 8))  # the header decides
