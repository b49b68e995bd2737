"""Questions and orders to a broker through confluent-kafka's admin client; none of it goes through tidegate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

Partition = tuple[str, int]  # topic and partition number
Answer = TypeVar("Answer")


def create_topic(
    servers: str, name: str, partitions: int, config: Mapping[str, str] | None = None, replicas: int = 1
) -> None:
    """Creates a topic and waits until every partition has a leader. Raises KafkaException where it is refused."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, partitions, replicas, config=dict(config or {}))])[name].result(20)
    _wait_leaders(admin, name, partitions)


def _wait_leaders(admin: AdminClient, name: str, partitions: int) -> None:
    seconds = 20 + partitions / 20
    deadline = time.monotonic() + seconds
    while True:
        topic = admin.list_topics(name, timeout=10).topics.get(name)
        found = topic.partitions.values() if topic is not None and topic.error is None else []
        if sum(p.leader >= 0 for p in found) == partitions:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"topic {name} has no leaders after {seconds:.0f} s")
        time.sleep(0.05)


def add_partitions(servers: str, name: str, total: int) -> None:
    """Gives a topic more partitions, so that it has ``total``, and waits until they have leaders."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_partitions([NewPartitions(name, total)])[name].result(20)
    _wait_leaders(admin, name, total)


def delete_records(servers: str, before: Mapping[Partition, int]) -> None:
    """What retention does: each partition's log begins at the offset given."""
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.delete_records([TopicPartition(*p, offset) for p, offset in before.items()]).values():
        done.result(20)


def recreate_topic(servers: str, name: str, partitions: int, pause: float = 0.0) -> None:
    """Deletes a topic and creates another one of its name, ``pause`` seconds later.

    Waits until the broker shows the new one: it hears of both a little after the controller, and what is produced
    before that goes into the old one and with it.
    """
    admin = AdminClient({"bootstrap.servers": servers})
    old = _identity(admin, name)
    admin.delete_topics([name])[name].result(20)
    time.sleep(pause)
    deadline = time.monotonic() + 20
    created = False
    while True:
        try:
            if not created:
                create_topic(servers, name, partitions)
                created = True
            if _identity(admin, name) != old:
                return
        except KafkaException:  # still being deleted
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise TimeoutError(f"topic {name} is still the old one after 20 s")
        time.sleep(0.02)


def _identity(admin: AdminClient, name: str) -> str:
    return str(admin.describe_topics(TopicCollection([name]))[name].result(20).topic_id)


def delete_group(servers: str, group: str) -> None:
    """Deletes a group without members, and so its offsets."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.delete_consumer_groups([group])[group].result(20)


def patiently(ask: Callable[[], Answer], timeout: float = 20) -> Answer:
    """The answer to a question, asked again while a leader or a coordinator is being elected, dead, or still loading.

    Raises the last KafkaException when time is up.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def partitions_of(servers: str, topics: Iterable[str]) -> list[Partition]:
    """Every partition of the topics, in order. Raises KeyError for a topic that does not exist."""
    admin = AdminClient({"bootstrap.servers": servers})
    known = patiently(lambda: admin.list_topics(timeout=5)).topics
    return [(name, number) for name in topics for number in sorted(known[name].partitions)]


def committed(servers: str, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The group's committed offsets as the coordinator has them; partitions without one are left out.

    Asked by a consumer that never joins. The admin client's ``list_consumer_group_offsets`` ends the process with a
    null pointer when the coordinator has just moved or started (librdkafka 2.16: NOT_COORDINATOR without a group).
    """
    wanted = [TopicPartition(*p) for p in partitions]
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    try:
        found = patiently(lambda: consumer.committed(wanted, timeout=5))
        return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}
    finally:
        consumer.close()


def assignments(servers: str, group: str) -> list[int]:
    """How many partitions each member of a group has, the fewest first; not on the embedded broker."""
    admin = AdminClient({"bootstrap.servers": servers})  # has to outlive the future
    found = admin.describe_consumer_groups([group])[group].result(20)
    return sorted(len(member.assignment.topic_partitions) for member in found.members)


def ends(servers: str, partitions: Iterable[Partition], isolation: str = "read_committed") -> dict[Partition, int]:
    """End offsets, control records included; for ``read_committed`` the last stable ones."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "harness-ends", "isolation.level": isolation})
    try:
        found = {
            p: patiently(partial(consumer.get_watermark_offsets, TopicPartition(*p), timeout=5)) for p in partitions
        }
        return {p: high for p, (_, high) in found.items()}
    finally:
        consumer.close()


def delete_topic(servers: str, name: str) -> None:
    """Deletes a topic. Raises KafkaException where it is refused."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.delete_topics([name])[name].result(20)
