"""A client that was told of no broker at all: the only one was fenced for a moment. librdkafka can then know nobody."""

from __future__ import annotations

import time
from typing import cast

import pytest
from member import Member, numbers, produce, properties
from test_producer import parking

from tidegate.actuator import CoreActuator
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.core.gate import Gate
from tidegate.core.reader import Reader

CYCLES = 6
FOUND_SECONDS = 12.0


class Quiet:
    """A log that nobody reads."""

    def warning(self, *_: object, **__: object) -> None: ...
    def info(self, *_: object, **__: object) -> None: ...


def told_of_nobody(broker: EmbeddedBroker) -> None:
    """The only broker leaves itself out of its answers, and its connections end again and again.

    What librdkafka makes of it depends on the moment. One in which it drops the broker while the connection ends is
    enough, and it never gets out of that state by itself.
    """
    broker.hide_broker(1)
    for _ in range(CYCLES):
        time.sleep(0.3)
        broker.set_broker_down(1)
        time.sleep(0.1)
        broker.set_broker_up(1)


def back(broker: EmbeddedBroker, topic: str, partitions: int) -> None:
    """Another broker takes over: the first still says so, and is itself not named any more."""
    broker.add_broker(2)
    for partition in range(partitions):
        broker.set_leader(topic, partition, 2)


def settings_of(protocol: str, servers: str) -> dict[str, str]:
    made = properties(servers, topic_metadata_refresh_interval_ms=100)
    if protocol == "consumer":
        theirs = ("partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms")
        made = {name: value for name, value in made.items() if name not in theirs} | {"group.protocol": "consumer"}
    return made


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_member_finds_its_brokers_again(protocol: str) -> None:
    with (
        EmbeddedBroker({"orders": 3}) as broker,
        Member([(settings_of(protocol, broker.bootstrap_servers), ["orders"])]) as member,
    ):
        produce(broker.bootstrap_servers, "orders", numbers(30))
        member.deliver_count(30)
        told_of_nobody(broker)
        back(broker, "orders", 3)
        broker.set_coordinator("g", 2)
        produce(broker.bootstrap_servers, "orders", numbers(30, 30))
        member.deliver_until(lambda: len(set(member.delivered)) >= 60, FOUND_SECONDS)


def test_a_member_that_hears_brokers_does_not_look_for_them() -> None:
    with (
        EmbeddedBroker({"orders": 3}) as broker,
        Member([(settings_of("classic", broker.bootstrap_servers) | {"log_level": "6"}, ["orders"])]) as member,
    ):
        member.wait_assigned(3)
        time.sleep(5)
        assert not [note for note in member.notes() if note[3].startswith("DEAF")]
        broker.set_broker_down(1)
        member.wait_until(lambda: [note for note in member.notes() if note[3].startswith("DEAF")])


def test_the_producer_finds_its_brokers_again() -> None:
    with (
        EmbeddedBroker(topics={"parked": 1}) as broker,
        parking(broker.bootstrap_servers, properties={"topic.metadata.refresh.interval.ms": "100"}) as it,
    ):
        it.park(0)
        it.drain_until(it.idle)
        told_of_nobody(broker)
        back(broker, "parked", 1)
        actuator = CoreActuator(cast("Reader", None), Gate(0, []), it.producer, sampled=[], log=Quiet())
        it.park(1)
        begun = time.monotonic()
        while not it.idle() and time.monotonic() < begun + FOUND_SECONDS:
            actuator.parking([])
            it.drain(0.1)
        assert it.idle()
