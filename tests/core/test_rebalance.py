"""Two members of one group: what moves, what stays, what comes back.

On the embedded broker, but for what rests on commits during a rebalance: it takes none while a member joins.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from member import Member, committed, numbers, produce, properties

from harness.topics import create_topic
from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, EmbeddedBroker

PARTITIONS = 4
LIVE, CLOSING, DISCARDED = 1, 2, 5  # ledger.pxd


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"orders": PARTITIONS}) as broker:
        yield broker


def spread(servers: str, count: int, start: int = 0, topic: str = "orders", partitions: int = PARTITIONS) -> None:
    for partition in range(partitions):
        produce(servers, topic, numbers(count, start), partition)


def both_until(members: list[Member], done: Callable[[], object], seconds: float = 30) -> None:
    """Delivers on all members until ``done``."""
    deadline = time.monotonic() + seconds
    while not done():
        for member in members:
            member.deliver()
        assert time.monotonic() < deadline, [member.state() for member in members]
        time.sleep(0.002)


def shared(members: list[Member]) -> bool:
    """Each has something, and together they have everything."""
    owned = [member.owned() for member in members]
    return all(owned) and sum(map(len, owned)) == PARTITIONS


def test_partitions_move_come_back_and_flow_again(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    spread(servers, 200)
    with Member([(properties(servers), ["orders"])]) as first:
        first.deliver_count(800)
        # The embedded broker takes no commits while a member joins, and the partitions would come again.
        first.wait_until(lambda: committed(servers, "g", "orders", PARTITIONS) == dict.fromkeys(range(PARTITIONS), 200))
        with Member([(properties(servers), ["orders"])]) as second:
            both_until([first, second], lambda: shared([first, second]))
            moved = second.owned()
            spread(servers, 100, 200)
            both_until([first, second], lambda: len(first.delivered) + len(second.delivered) == 1200)
            assert {(topic, p) for topic, p, _ in second.delivered} == moved
        both_until([first], lambda: len(first.owned()) == PARTITIONS)
        spread(servers, 50, 300)
        both_until([first], lambda: len(first.delivered) + len(second.delivered) == 1400)
        assert moved <= {(topic, p) for topic, p, offset in first.delivered if offset >= 300}
        assert set(Counter(first.delivered + second.delivered).values()) == {1}
        assert {"assigned", "revoked"} <= set(first.kinds())
        assert not {"lost", "fatal"} & set(first.kinds() + second.kinds())
        assert first.conserved()
    assert committed(servers, "g", "orders", PARTITIONS) == dict.fromkeys(range(PARTITIONS), 350)


def test_what_was_buffered_of_a_revoked_partition_is_discarded_here_and_delivered_there(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    spread(servers, 300)
    with Member([(properties(servers), ["orders"])]) as first:
        first.wait_until(lambda: first.buffered() == 1200)
        with Member([(properties(servers), ["orders"])]) as second:
            first.wait_until(lambda: shared([first, second]))  # nothing is taken meanwhile
            moved = len(second.owned())
            both_until([first, second], lambda: len(first.delivered) + len(second.delivered) == 1200)
            assert sorted(first.delivered + second.delivered) == [
                ("orders", p, n) for p in range(PARTITIONS) for n in range(300)
            ]
            assert first.ledger.totals()["normal"]["discarded"] == 300 * moved
            assert len(second.delivered) == 300 * moved
            assert first.conserved()
            assert second.conserved()


def test_a_revocation_waits_for_what_is_in_flight(kafka: str) -> None:
    """Settled within two seconds, it is stored before the partition goes: the other member does not repeat it."""
    topic = f"orders-{time.time_ns()}"
    create_topic(kafka, topic, PARTITIONS)
    spread(kafka, 50, topic=topic)
    with Member([(properties(kafka, topic), [topic])]) as first:
        first.wait_until(lambda: first.buffered() == 200)
        batch = first.take()
        assert batch is not None
        assert batch.records == 200
        with Member([(properties(kafka, topic), [topic])]) as second:
            first.wait_until(lambda: "revoked" in first.kinds())
            time.sleep(0.5)
            assert not second.owned()
            first.settle(batch)
            both_until([first, second], lambda: shared([first, second]))
            spread(kafka, 10, 50, topic)
            both_until([first, second], lambda: len(first.delivered) + len(second.delivered) >= 240)
            assert set(Counter(first.delivered + second.delivered).values()) == {1}
            assert first.ledger.irregular()["stale"] == 0


def test_a_revocation_waits_for_what_is_being_parked(broker: EmbeddedBroker) -> None:
    """A parked record is in no ring and nobody pops it, but its report may still come."""
    servers = broker.bootstrap_servers
    spread(servers, 20)
    with Member([(properties(servers), ["orders"])]) as first:
        first.deliver_count(80)
        slots = [n for n in range(PARTITIONS) if first.ledger.test_slot(n)["state"] == LIVE]
        assert len(slots) == PARTITIONS
        for slot in slots:
            first.ledger.test_park(slot, 20, 3)

        def closing() -> list[int]:
            return [slot for slot in slots if first.ledger.test_slot(slot)["state"] == CLOSING]

        with Member([(properties(servers), ["orders"])]) as second:
            first.wait_until(lambda: "revoked" in first.kinds())
            revoked = time.monotonic()
            first.wait_until(lambda: time.monotonic() > revoked + 0.5)
            assert closing()
            for slot in slots:
                first.ledger.test_settle_parked(slot, 20, klass=3, disposition=DISCARDED)
            first.wait_until(lambda: not closing())
            assert time.monotonic() < revoked + 1.5  # two seconds is what it waits at most
            first.wait_until(lambda: shared([first, second]))
            assert first.ledger.parking() == (0, 0, 0, 0)


def test_a_revocation_does_not_wait_for_ever(broker: EmbeddedBroker) -> None:
    """What is settled after its partition went is void here; the other member delivers it a second time."""
    servers = broker.bootstrap_servers
    spread(servers, 50)
    with Member([(properties(servers), ["orders"])]) as first:
        first.wait_until(lambda: first.buffered() == 200)
        batch = first.take()
        assert batch is not None
        with Member([(properties(servers), ["orders"])]) as second:
            first.wait_until(lambda: "revoked" in first.kinds())
            started = time.monotonic()
            second.wait_until(lambda: shared([first, second]))
            assert 1.0 < time.monotonic() - started < 6
            moved = len(second.owned())
            second.deliver_count(50 * moved)
            first.settle(batch)
            assert first.ledger.irregular()["stale"] == 50 * moved
            everything = dict.fromkeys(range(PARTITIONS), 50)
            first.wait_until(lambda: committed(servers, "g", "orders", PARTITIONS) == everything)


def test_holding_is_derived_anew_and_the_carry_is_cleared(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    values = [b'{"type":"scroll","n":%d,"pad":"%s"}' % (n, b"x" * 900) for n in range(400)]
    for partition in range(PARTITIONS):
        produce(servers, "orders", values, partition)
    with Member([(properties(servers), ["orders"])], rings=24 * 16384) as first:
        first.wait_until(lambda: first.holds().get("orders") == "ring")
        before = first.buffered()
        with Member([(properties(servers), ["orders"])]) as second:
            first.wait_until(lambda: shared([first, second]))
            first.wait_until(lambda: first.holds()["orders"] == "ring")  # the ring is as full as it was
            assert first.buffered() == before
            both_until([first, second], lambda: len(first.delivered) + len(second.delivered) == 1600)
            assert set(Counter(first.delivered + second.delivered).values()) == {1}
            assert set(first.holds().values()) == {"flowing"}
            for member in (first, second):
                for partition in range(PARTITIONS):
                    offsets = [offset for _, p, offset in member.delivered if p == partition]
                    assert offsets == sorted(offsets)


def test_a_halted_lane_goes_on_when_its_record_goes(broker: EmbeddedBroker) -> None:
    """Each partition has a record that does not fit the first member's rings; what the second takes, it delivers."""
    servers = broker.bootstrap_servers
    produce(servers, "orders", [b'"%s"' % (b"x" * 900_000)], 0)
    with Member([(properties(servers), ["orders"])], rings=1 << 20) as first:
        first.wait_until(lambda: "halted" in first.kinds())
        with Member([(properties(servers), ["orders"])]) as second:
            both_until([first, second], lambda: shared([first, second]))
            for partition in range(1, PARTITIONS):
                produce(servers, "orders", numbers(5), partition)
            if ("orders", 0) in second.owned():
                both_until([first, second], lambda: len(first.delivered) + len(second.delivered) == 16)
                assert first.holds() == {"orders": "flowing"}
            else:
                both_until([first, second], lambda: len(second.delivered) == 5 * len(second.owned()))
                first.wait_until(lambda: first.holds() == {"orders": "halted"})


def test_two_handles_hand_over_to_two_handles(kafka: str) -> None:
    orders, critical = f"orders-{time.time_ns()}", f"critical.orders-{time.time_ns()}"
    create_topic(kafka, orders, PARTITIONS)
    create_topic(kafka, critical, 2)
    spread(kafka, 50, topic=orders)
    spread(kafka, 50, topic=critical, partitions=2)

    def both() -> list[tuple[dict[str, str], list[str]]]:
        return [(properties(kafka, orders), [critical]), (properties(kafka, orders), [orders])]

    with Member(both()) as first:
        first.deliver_count(300)
        with Member(both()) as second:
            both_until([first, second], lambda: len(first.owned()) == len(second.owned()) == 3)
            spread(kafka, 10, 50, orders)
            spread(kafka, 10, 50, critical, 2)
            both_until([first, second], lambda: len(first.delivered) + len(second.delivered) >= 360)
            assert set(Counter(first.delivered + second.delivered).values()) == {1}
        both_until([first], lambda: len(first.owned()) == 6)


def test_a_session_that_ends_is_begun_again_without_loss(broker: EmbeddedBroker) -> None:
    """The broker is away for longer than the session: everything is assigned anew, and what was not committed comes
    again; nothing is left out."""
    servers = broker.bootstrap_servers
    spread(servers, 100)
    with Member([(properties(servers), ["orders"])]) as member:
        member.deliver_count(400)
        broker.set_broker_down(1)
        time.sleep(3)
        broker.set_broker_up(1)
        spread(servers, 20, 100)
        member.deliver_until(lambda: len(set(member.delivered)) == 480, 30)
        assert member.conserved()
        member.wait_until(member.committed_all)
        member.wait_until(
            lambda: committed(servers, "g", "orders", PARTITIONS) == dict.fromkeys(range(PARTITIONS), 120)
        )


def test_an_offset_reset_of_an_earlier_assignment_means_nothing(broker: EmbeddedBroker) -> None:
    """librdkafka filters old messages out of a lane's queue, but not old errors. One that waited behind a held lane
    while its partition went, was repaired elsewhere, and came back must not begin the log once more."""
    servers = broker.bootstrap_servers
    broker.create_topic("evicting", 2)
    produce(servers, "evicting", numbers(3), 0)
    produce(servers, "evicting", [b'{"type":"scroll","pad":"%s"}' % (b"x" * 900)] * 400, 1)
    plain = Consumer({"bootstrap.servers": servers, "group.id": "g"})
    plain.commit(offsets=[TopicPartition("evicting", 0, 3)], asynchronous=False)
    both = {("evicting", 0), ("evicting", 1)}
    with Member([(properties(servers), ["evicting"])], rings=24 * 16384) as first:
        first.wait_until(lambda: first.holds().get("evicting") == "ring")
        with Member([(properties(servers), ["evicting"])]) as second:
            first.wait_until(lambda: first.owned() == {("evicting", 1)})
            produce(servers, "evicting", [b'"%s"' % (b"x" * 1000)] * (3 * PARTITION_CAPACITY_BYTES // 1000), 0)
            low, high = plain.get_watermark_offsets(TopicPartition("evicting", 0), timeout=10)
            assert 3 < low < high
            assert second.delivered == []
        first.wait_until(lambda: first.owned() == both)
        time.sleep(0.5)  # its position is before the log: the error arrives, and waits
        with Member([(properties(servers), ["evicting"])]) as third:
            third.deliver_until(lambda: ("evicting", 0, high - 1) in third.delivered, 30)
            third.wait_until(third.committed_all)
        first.wait_until(lambda: first.owned() == both)
        assert first.holds()["evicting"] == "ring"
        produce(servers, "evicting", [b"1"], 0)
        first.deliver_until(lambda: len([i for i in first.delivered if i[1] == 1]) >= 400)
        first.deliver_until(lambda: ("evicting", 0, high) in first.delivered)
        assert [offset for _, p, offset in first.delivered if p == 0] == [high]
        assert not [note for note in first.notes() if "the log was replaced" in note[3]]
        first.wait_until(first.committed_all)
    plain.close()
    assert committed(servers, "g", "evicting", 2) == {0: high + 1, 1: 400}
