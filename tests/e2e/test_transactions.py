"""Transactions, control records and compaction gaps: only a real broker has them."""

from __future__ import annotations

import time

import pytest

from harness.fixtures import Scenes
from harness.produce import COMPACTED, Writer, compact, shop_events, transactions
from harness.scene import Broker, event_class

PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


@PROTOCOLS
def test_aborted_transactions_are_not_delivered_and_lag_reaches_zero(
    kafka_broker: Broker, scenes: Scenes, protocol: str
) -> None:
    scene = scenes(kafka_broker, protocol=protocol)
    events = list(shop_events(1200, 4))
    parts = [(events[at : at + 100], at // 100 % 3 != 2) for at in range(0, 1200, 100)]
    transactions(scene.servers, scene.topic, parts)
    sidecar = scene.sidecar()
    scene.wait_settled(sidecar)  # the last transaction is an aborted one: ends lie behind invisible records
    sidecar.stop()
    report = scene.judge(classes=event_class)
    assert (report.records, report.delivered) == (800, 800)


@PROTOCOLS
def test_partitions_with_nothing_visible_have_no_lag_either(
    kafka_broker: Broker, scenes: Scenes, protocol: str
) -> None:
    scene = scenes(kafka_broker, protocol=protocol)
    transactions(scene.servers, scene.topic, [(list(shop_events(100, 4)), False)])
    sidecar = scene.sidecar()
    scene.wait_settled(sidecar)
    sidecar.stop()
    assert scene.judge().records == 0
    assert scene.app.requests() == []


def test_until_end_ends_behind_control_records(kafka_broker: Broker, scenes: Scenes) -> None:
    scene = scenes(kafka_broker)
    events = list(shop_events(400, 4))
    transactions(scene.servers, scene.topic, [(events[:300], True), (events[300:], False)])
    assert scene.sidecar("--until-end").finish(30)["records"] == 300
    scene.judge(classes=event_class)


def test_an_open_transaction_is_waited_for(kafka_broker: Broker, scenes: Scenes) -> None:
    scene = scenes(kafka_broker, partitions=1)
    events = list(shop_events(300))
    scene.send(events[:100])
    writer = Writer(scene.servers, scene.topic, transactional_id=f"{scene.topic}-open")
    writer.producer.init_transactions(30)
    writer.producer.begin_transaction()
    writer.send(events[100:200])
    writer.flush()
    scene.send(events[200:])  # behind the open one: nobody may see these yet
    sidecar = scene.sidecar()
    scene.wait_events(sidecar, 100)
    time.sleep(1.5)
    assert scene.app.stats()["events"] == 100
    assert scene.committed() == {(scene.topic, 0): 100}
    writer.producer.commit_transaction(30)
    scene.wait_settled(sidecar)
    sidecar.stop()
    assert scene.judge(classes=event_class).delivered == 300


@PROTOCOLS
def test_compaction_gaps_do_not_hold_commits_back(kafka_broker: Broker, scenes: Scenes, protocol: str) -> None:
    scene = scenes(kafka_broker, partitions=2, protocol=protocol, config=COMPACTED)
    compact(scene.servers, scene.topic, list(shop_events(2000, 2, users=50)))
    sidecar = scene.sidecar()
    scene.wait_settled(sidecar)
    sidecar.stop()
    report = scene.judge(classes=event_class)
    assert 50 <= report.records < 1000
