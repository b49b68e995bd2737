"""Groups: both protocols, members that come and go, topic lists and regular expressions."""

from __future__ import annotations

from typing import Any

import pytest

from harness.fixtures import Scenes
from harness.produce import send, shop_events
from harness.scene import Broker, event_class
from harness.topics import assignments


@pytest.mark.parametrize("protocol", ["classic", "range", "consumer"])
def test_members_share_the_work_and_hand_it_over(kafka_broker: Broker, scenes: Scenes, protocol: str) -> None:
    scene = scenes(kafka_broker, protocol=protocol)
    settings = {"batch_max_records": 50, "concurrency": 4}
    scene.produce(1000)
    first = scene.sidecar("--summary", name="first", **settings)
    scene.wait_events(first, 1000)
    second = scene.sidecar("--summary", name="second", **settings)
    second.wait_until(lambda: assignments(scene.servers, scene.group) == [2, 2], 40, "two partitions for each")
    scene.produce(2000)
    scene.wait_settled(second)
    first.stop()
    scene.produce(1000)
    scene.wait_settled(second)
    second.stop()
    assert first.summary()["records"] > 0
    assert second.summary()["records"] > 1000  # more than what came after the first had left: it shared before
    # In flight work is settled before a partition is handed over; at worst what was in flight comes twice.
    scene.judge(duplicates=50 * 4, classes=event_class)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_static_member_comes_back_without_a_rebalance(kafka_broker: Broker, scenes: Scenes, protocol: str) -> None:
    scene = scenes(kafka_broker, protocol=protocol)
    settings: dict[str, Any] = {"critical": f"topic:{scene.topic}.orders,purchase", "group_instance_id": "first"}
    orders = f"{scene.topic}.orders"  # a consumer handle of its own, which is another member
    topics = f"{scene.topic},{orders}"
    kafka_broker.create(orders, 2, {})
    scene.topics.append(orders)
    if protocol == "classic":
        settings["kafka_session_timeout_ms"] = 6000
    first = scene.sidecar("--summary", name="first", topics=topics, **settings)
    second = scene.sidecar("--summary", name="second", topics=topics, **settings | {"group_instance_id": "second"})
    second.wait_until(lambda: assignments(scene.servers, scene.group) == [1, 1, 2, 2], 40, "a share for each handle")
    scene.produce(400)
    send(scene.servers, orders, shop_events(200, 2))
    scene.wait_settled(second)
    told = second.stderr.count("partitions ")  # assigned, revoked, lost
    first.stop()
    scene.produce(400)
    first.start()
    scene.wait_settled(first)
    assert second.stderr.count("partitions ") == told, second.tail()
    first.stop()
    second.stop()
    report = scene.judge()
    assert (report.delivered, report.duplicates) == (1000, 0)


def test_a_list_of_topics(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    other = f"{scene.topic}.more"
    broker.create(other, 2, {})
    scene.topics.append(other)
    scene.produce(300)
    send(scene.servers, other, shop_events(200, 2))
    summary = scene.sidecar("--until-end", topics=",".join(scene.topics)).finish()
    assert summary["records"] == 500
    scene.judge(classes=event_class)


def test_a_regular_expression_finds_topics_now_and_later(broker: Broker, scenes: Scenes) -> None:
    scene = scenes(broker)
    matching, outside, late = (f"{scene.topic}.{name}" for name in ("matching", "outside", "matching-late"))
    for name in (matching, outside):
        broker.create(name, 1, {})
    send(scene.servers, matching, shop_events(200))
    send(scene.servers, outside, shop_events(50))
    scene.topics = [matching]
    pattern = "^" + scene.topic.replace(".", r"\.") + r"\.matching.*"
    sidecar = scene.sidecar(topics=pattern, kafka_topic_metadata_refresh_interval_ms=1000)
    scene.wait_settled(sidecar)
    broker.create(late, 1, {})
    scene.topics.append(late)
    send(scene.servers, late, shop_events(100))
    scene.wait_settled(sidecar)
    sidecar.stop()
    assert scene.judge(classes=event_class).delivered == 300  # an event of the other topic would be unknown
