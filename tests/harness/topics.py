"""Questions and orders to a broker through confluent-kafka's admin client; none of it goes through tidegate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

Partition = tuple[str, int]  # topic and partition number


def create_topic(servers: str, name: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
    """Creates a topic and waits until every partition has a leader. Raises KafkaException where it is refused."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, partitions, 1, config=dict(config or {}))])[name].result(20)
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


def partitions_of(servers: str, topics: Iterable[str]) -> list[Partition]:
    """Every partition of the topics, in order. Raises KeyError for a topic that does not exist."""
    known = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=20).topics
    return [(name, number) for name in topics for number in sorted(known[name].partitions)]


def committed(servers: str, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The group's committed offsets as the coordinator has them; partitions without one are left out.

    Asked by a consumer that never joins. The admin client's ``list_consumer_group_offsets`` ends the process with a
    null pointer when the coordinator has just moved or started (librdkafka 2.16: NOT_COORDINATOR without a group).
    """
    wanted = [TopicPartition(*p) for p in partitions]
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    deadline = time.monotonic() + 20
    try:
        while True:
            try:
                found = consumer.committed(wanted, timeout=5)
                return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
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
        return {p: consumer.get_watermark_offsets(TopicPartition(*p), timeout=20)[1] for p in partitions}
    finally:
        consumer.close()


def delete_topic(servers: str, name: str) -> None:
    """Deletes a topic. Raises KafkaException where it is refused."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.delete_topics([name])[name].result(20)
