"""Where the parking topic ends: known soon where this process parks, or something waits; an idle one asks seldom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from member import Member, numbers, produce, properties

from harness.scene import Broker
from tidegate.core.gate import PARK, Gate
from tidegate.core.producer import Producer
from tidegate.core.rules import RuleTable
from tidegate.types import LaneState

BULK = 3
PARTITIONS = 2
SECONDS = 5.0  # between two questions while nothing waits
RULES = RuleTable([(BULK, "view")], ["json:/type"], ["json:/n"])

# Who is asked does not go by the broker, and each of these waits ten seconds.
pytestmark = pytest.mark.parametrize("broker", ["embedded"], indirect=True)


class Idle:
    """A member of which all is known, with a parking topic in which nothing waits."""

    def __init__(self, broker: Broker, topic: str, parked: str, member: Member, gate: Gate) -> None:
        self.servers, self.topic, self.parked = broker.bootstrap_servers, topic, parked
        self.member, self.gate = member, gate

    def lane(self) -> LaneState:
        return next(one for one in self.member.reader.lanes() if one.parking)

    def asked(self, seconds: float) -> int:
        """How often the end became known anew meanwhile."""
        seen, until = set(), time.monotonic() + seconds
        while time.monotonic() < until:
            self.member.deliver()
            seen.add(self.lane().ends_at)
            time.sleep(0.02)
        return len(seen) - 1

    def await_question(self) -> None:
        """Until just after a question, so that the next is as far away as can be."""
        before = self.lane().ends_at
        self.member.wait_until(lambda: self.lane().ends_at != before, 2 * SECONDS, idle=self.member.deliver)


@contextmanager
def parking(broker: Broker, more: dict[str, str] | None = None) -> Iterator[Idle]:
    topic = f"source-{time.time_ns()}"
    parked = f"{topic}.parked"
    for name in (topic, parked):
        broker.create(name, PARTITIONS, {})
    gate = Gate(0, [BULK])
    servers = {"bootstrap.servers": broker.bootstrap_servers} | (more or {})
    subscription = (properties(broker.bootstrap_servers, f"g-{topic}"), [topic, parked])
    with Member([subscription], parking=lambda ledger: Producer(servers, parked, ledger), gate=gate,
                rules=RULES) as member:  # fmt: skip
        member.wait_assigned(2 * PARTITIONS, 40)
        idle = Idle(broker, topic, parked, member, gate)
        member.wait_until(lambda: idle.lane().end == 0)
        yield idle


@pytest.fixture
def idle(broker: Broker) -> Iterator[Idle]:
    with parking(broker) as one:
        yield one


def test_while_nothing_waits_it_is_asked_seldom(idle: Idle) -> None:
    idle.await_question()
    assert 1 <= idle.asked(2 * SECONDS + 1) <= 3


def test_what_another_replica_parks_is_seen_and_watched(idle: Idle) -> None:
    idle.await_question()
    begun = time.monotonic()
    for partition in range(PARTITIONS):
        produce(idle.servers, idle.parked, [b"not read: the topic is shut"] * 5, partition)
    idle.member.wait_until(lambda: idle.lane().end == 10, SECONDS + 3)
    assert time.monotonic() - begun > 1.5, "nobody had a reason to ask earlier"
    assert idle.lane().position == 0
    assert idle.asked(4.5) >= 3, "each second, as long as it waits"


def test_what_this_process_parks_is_seen_at_once(idle: Idle) -> None:
    idle.gate.order(BULK, 0.0, PARK)
    idle.await_question()
    produce(idle.servers, idle.topic, numbers(100), 0)
    idle.member.wait_until(lambda: idle.member.ledger.totals()["bulk"]["deferred"] == 100, idle=idle.member.deliver)
    begun = time.monotonic()
    idle.member.wait_until(lambda: idle.lane().end == 100, SECONDS + 3, idle=idle.member.deliver)
    assert time.monotonic() - begun < SECONDS / 2


def test_what_came_back_was_not_parked_and_is_not_asked_about(broker: Broker) -> None:
    """A record too large for the topic goes to the app: the books are even again, and the topic is idle."""
    with parking(broker, {"message.max.bytes": "1000"}) as idle:
        idle.gate.order(BULK, 0.0, PARK)
        produce(idle.servers, idle.topic, [b'{"type":"view","n":1,"long":"%s"}' % (b"x" * 2000)], 0)
        idle.member.deliver_count(1)
        idle.await_question()
        assert 1 <= idle.asked(2 * SECONDS + 1) <= 3
