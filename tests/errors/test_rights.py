"""Topics that are missing, and rights that are: what is said, and that it works as soon as it is mended."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from errors.brokers import PickyKafka
from errors.processes import lines, refused, sidecar, tidegate
from harness.rights import Rights

pytestmark = pytest.mark.kafka


def obey(picky: PickyKafka, hint: str) -> None:
    """Gives the rights that the command of a hint gives, exactly as it says them."""
    (line,) = (line for line in hint.splitlines() if line.strip().startswith("kafka-acls.sh"))
    words = shlex.split(line)
    assert words[:3] == ["kafka-acls.sh", "--bootstrap-server", picky.sasl]
    _, user = words[words.index("--allow-principal") + 1].split(":")
    operations = [words[i + 1] for i, word in enumerate(words) if word == "--operation"]
    kind, name = words[-2:]
    kinds = {"--topic": ResourceType.TOPIC, "--group": ResourceType.GROUP}
    names = {"Read": "READ", "DescribeConfigs": "DESCRIBE_CONFIGS"}
    wanted = [AclOperation[names.get(operation, operation.upper())] for operation in operations]
    Rights(picky.bootstrap_servers, user).allow(kinds[kind], name, *wanted)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_missing_topic_is_told_with_the_names_that_are_near(picky: PickyKafka, tmp_path: Path, protocol: str) -> None:
    topic, group = f"{protocol}.orders", f"missing-{protocol}"
    one = sidecar(
        tmp_path,
        kafka_bootstrap_servers=picky.bootstrap_servers,
        topics=f"shop.order,{topic}",
        group_id=group,
        group_protocol=protocol,
    )
    with one:
        one.wait_until(lambda: len(lines(one, code="kafka-topic-missing")) == 2, 20, "both missing")
        told = {line["event"]: line["hint"] for line in lines(one, code="kafka-topic-missing")}
        assert "Did you mean shop.orders" in told["topic shop.order is not there"]
        assert one.alive
        picky.create_topic(topic, 1)
        one.wait_until(lambda: lines(one, event="partitions assigned"), 30, "read as soon as it is there")
        one.wait_until(lambda: lines(one, event="topic is there now", topic=topic), 30, "said")
        one.stop(15)


def test_rights_are_asked_for_by_the_commands_that_give_them(picky: PickyKafka, tmp_path: Path) -> None:
    picky.create_topic("guarded", 1)
    one = sidecar(tmp_path, topics="guarded", group_id="guards", **picky.login("shop"))
    with one:
        one.wait_until(lambda: lines(one, code="kafka-group-denied"), 20, "the group")
        (told,) = lines(one, code="kafka-group-denied")
        assert told["event"] == "User:shop may not join group guards"
        obey(picky, told["hint"])
        one.wait_until(lambda: lines(one, code="kafka-topic-denied"), 20, "the topic")
        (told,) = lines(one, code="kafka-topic-denied")
        assert told["event"] == "User:shop may not read topic guarded"
        obey(picky, told["hint"])
        one.wait_until(lambda: lines(one, event="partitions assigned"), 40, "it goes on by itself")
        assert not lines(one, code="kafka-topic-missing"), "what may not be seen is not missing"
        one.stop(15)


def test_a_parking_topic_that_may_not_be_made_ends_the_start(picky: PickyKafka) -> None:
    settings = {"topics": "shop.orders", "sink_url": "blackhole:", "ops_address": "none", "admin_address": "none"}
    settings |= {"group_id": "parkers"} | picky.login("stranger")
    text = refused(tidegate("run", **settings))
    assert "tidegate.parkers.parked is not to be seen and cannot be created" in text
    assert "kafka-topics.sh --create" in text
    assert "TIDEGATE_PARKING_TOPIC=none" in text
    obey(picky, text)
    done = tidegate("validate", "--connect", **settings)
    assert "✓ parking  tidegate.parkers.parked may be made" in done.stdout
