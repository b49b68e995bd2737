"""The whole chain on the plain sidecar: a faultless run passes, and each planted fault is found end to end.

What these show is not about tidegate: it is that tests/e2e could fail.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from harness import sidecar as process
from harness.fixtures import Scenes
from harness.produce import COMPACTED, Event, compact, shop_events, transactions
from harness.scene import Broker, Scene, event_class


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TEST_SIDECAR", f"{sys.executable} -m harness.plain")
    assert process.command()[-1] == "harness.plain"


def run_to_the_end(scene: Scene, **settings: Any) -> None:
    with scene.sidecar("--until-end", **settings) as sidecar:
        sidecar.finish()


@pytest.mark.parametrize("form", ["ndjson", "json", "envelope"])
def test_a_faultless_run_passes(broker: Broker, scenes: Scenes, form: str) -> None:
    scene = scenes(broker)
    scene.produce(500, users=20)
    run_to_the_end(scene, format=form)
    scene.judge(classes=event_class, ordered=True)


FAULTS = {
    "skip": "lost",
    "twice": "duplicates",
    "swap": "order",
    "wrong-class": "class",
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.items())
def test_a_fault_in_delivery_is_found(broker: Broker, scenes: Scenes, fault: str, kind: str) -> None:
    scene = scenes(broker)
    scene.produce(500, users=20)
    run_to_the_end(scene, plain_fault=fault)
    with pytest.raises(AssertionError, match=f"{kind}: "):
        scene.judge(classes=event_class, ordered=True)


@pytest.mark.parametrize("form", ["ndjson", "json", "envelope"])
def test_a_hostile_payload_among_others_is_found(broker: Broker, scenes: Scenes, form: str) -> None:
    scene = scenes(broker, partitions=1)
    events = list(shop_events(20))
    events.insert(10, Event(0, b"k", b'{"event_type":"view"},\n{"event_type":"view"}', "view"))
    scene.send(events)
    run_to_the_end(scene, plain_fault="leak", format=form)
    with pytest.raises(AssertionError, match=r"(protocol|lost|unknown): "):
        scene.judge()


@pytest.mark.parametrize("mode", ["refuse", "down"])
def test_giving_up_on_an_app_is_found(broker: Broker, scenes: Scenes, mode: str) -> None:
    scene = scenes(broker)
    scene.produce(100)
    scene.app.mode(mode)
    run_to_the_end(scene, plain_fault="give-up")
    with pytest.raises(AssertionError, match="lost: "):
        scene.judge()


def test_a_commit_before_the_delivery_is_found_by_a_kill(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(1000)
    scene.app.mode("hang-before")  # a slow one may have it all by the time that the commit is seen
    sidecar = scene.sidecar(plain_fault="commit-first")
    sidecar.wait_until(lambda: any(scene.committed().values()), what="a commit")
    sidecar.kill()
    scene.app.mode()
    scene.exposed()
    with pytest.raises(AssertionError, match="lost: "):
        scene.judge(drained=False, duplicates=10_000)


def test_a_kill_without_a_fault_passes_and_costs_what_was_exposed(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(1000)
    scene.app.mode(ms_per_event=2)
    sidecar = scene.sidecar(batch_max_records=50)
    scene.wait_events(sidecar, 100)
    sidecar.kill()
    exposed = scene.exposed()
    assert exposed >= 100  # nothing was committed: the plain one settles a whole round
    scene.judge(drained=False)
    scene.app.mode()
    sidecar.start()
    scene.wait_settled(sidecar)
    sidecar.stop()
    assert scene.judge(duplicates=exposed).duplicates > 0
    with pytest.raises(AssertionError, match="duplicates: "):
        scene.judge(duplicates=0)


def test_lag_behind_control_records_is_found(kafka_broker: Broker, scenes: Scenes) -> None:
    scene = scenes(kafka_broker)
    events = list(shop_events(200, 4))
    transactions(scene.servers, scene.topic, [(events[:100], True), (events[100:], False)])
    run_to_the_end(scene, plain_fault="no-eof")
    with pytest.raises(AssertionError, match="lag: "):
        scene.judge()
    run_to_the_end(scene)
    scene.judge()


def test_compaction_gaps_pass(kafka_broker: Broker, scenes: Scenes) -> None:
    scene = scenes(kafka_broker, partitions=2, config=COMPACTED)
    compact(scene.servers, scene.topic, list(shop_events(1000, 2, users=30)))
    run_to_the_end(scene)
    assert scene.judge(classes=event_class).records < 500


def test_what_a_sidecar_said_is_in_the_failure(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    scene.produce(10)
    sidecar = scene.sidecar(kafka_no_such_thing=1)
    begun = time.monotonic()
    with pytest.raises(AssertionError, match=r"ended with 1(.|\n)*no\.such\.thing"):
        scene.wait_settled(sidecar, 20)
    assert time.monotonic() - begun < 15  # at once, not when time is up
    with pytest.raises(AssertionError, match="still runs after"):
        scene.sidecar(name="other").wait(0.5)
