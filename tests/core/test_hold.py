"""What the control orders: held and paused lanes, on the embedded broker. The reader's own holds are in test_reader."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
from member import Member, committed, numbers, produce, properties

from tidegate.broker.embedded import EmbeddedBroker
from tidegate.types import LaneState

PARTITIONS = 4
PAD = b"x" * 900


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"orders": PARTITIONS}) as broker:
        for topic in ("critical.orders", "bulk.clicks"):
            time.sleep(0.003)  # two orders at once make the mock sleep for a second over the later one
            broker.create_topic(topic, 1)
        yield broker


def fill(servers: str, count: int, start: int = 0) -> None:
    """Records over every partition of orders, about a kilobyte each."""
    for partition in range(PARTITIONS):
        values = [b'{"type":"scroll","n":%d,"pad":"%s"}' % (n, PAD) for n in range(start, start + count)]
        produce(servers, "orders", values, partition)


def lane(member: Member, topic: str = "orders") -> tuple[int, LaneState]:
    found: list[tuple[int, LaneState]] = []

    def look() -> bool:
        found[:] = [(i, state) for i, state in enumerate(member.reader.lanes()) if state.topic == topic]
        return bool(found)

    member.wait_until(look)  # a lane is made with its first assignment
    return found[0]


def order(member: Member, reason: str | None, pause: bool = False, topic: str = "orders") -> None:
    """Orders, and waits until it is done."""
    place, _ = lane(member, topic)
    member.reader.order(place, reason, pause)
    member.wait_until(lambda: lane(member, topic)[1].paused == pause)
    if reason is not None:
        member.wait_until(lambda: lane(member, topic)[1].reason == reason)


def in_order_and_once(member: Member, count: int) -> None:
    """Every record of orders once, and each partition's in the order of its offsets."""
    assert set(Counter(member.delivered).values()) == {1}
    for partition in range(PARTITIONS):
        offsets = [offset for topic, p, offset in member.delivered if (topic, p) == ("orders", partition)]
        assert offsets == list(range(count))


def test_an_ordered_hold_stops_its_lane_and_no_other(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    produce(servers, "bulk.clicks", numbers(10), 0)
    produce(servers, "critical.orders", numbers(10), 0)
    with Member([(properties(servers), ["bulk.clicks", "critical.orders"])]) as member:
        member.deliver_count(20)
        order(member, "app-down", topic="bulk.clicks")
        produce(servers, "bulk.clicks", numbers(50, 10), 0)
        produce(servers, "critical.orders", numbers(50, 10), 0)
        member.deliver_count(70)
        time.sleep(0.3)
        member.deliver_count(70)
        _, state = lane(member, "bulk.clicks")
        assert (state.reason, state.own, state.lane_klass, state.holds) == ("app-down", False, 3, 1)
        assert state.seconds > 0.3
        member.wait_until(lambda: lane(member, "bulk.clicks")[1].queued >= 50)
        assert lane(member, "bulk.clicks")[1].queued_bytes > 50 * 340
        started = time.monotonic()
        order(member, None, topic="bulk.clicks")
        member.deliver_count(120)
        assert time.monotonic() - started < 0.5  # the order wakes the reader
        _, state = lane(member, "bulk.clicks")
        assert (state.reason, state.seconds) == ("flowing", 0.0)
        assert state.app_down_seconds > 0.3
        assert state.ring_seconds == state.span_seconds == state.budget_seconds == 0.0
        assert state.purged == 0


def test_the_readers_own_hold_stands_over_an_order(broker: EmbeddedBroker) -> None:
    """A full ring holds before, under and after what the control wants; each has its own seconds."""
    servers = broker.bootstrap_servers
    fill(servers, 300)
    with Member([(properties(servers), ["orders"])], rings=24 * 16384) as member:
        member.wait_until(lambda: lane(member)[1].own)
        place, state = lane(member)
        assert (state.reason, state.klass, state.lane_klass) == ("ring", 3, -1)
        member.reader.order(place, "budget")
        time.sleep(0.3)
        assert lane(member)[1].reason == "ring"
        member.deliver()
        member.wait_until(lambda: lane(member)[1].reason == "budget")
        buffered = member.buffered()
        time.sleep(0.3)
        assert member.buffered() == buffered  # there is room, and nothing is read
        state = lane(member)[1]
        assert (state.own, state.holds) == (False, 1)  # one hold, of two reasons
        member.reader.order(place, None)
        member.deliver_count(300 * PARTITIONS)
        in_order_and_once(member, 300)
        state = lane(member)[1]
        assert state.ring_seconds >= 0.3
        assert state.budget_seconds >= 0.3


def test_what_a_hold_costs_is_known(broker: EmbeddedBroker) -> None:
    """The age of the first record that waits, also where the control held the lane with nothing in hand."""
    servers = broker.bootstrap_servers
    fill(servers, 5)
    with Member([(properties(servers), ["orders", "bulk.clicks"])]) as member:
        member.deliver_count(5 * PARTITIONS)
        assert lane(member)[1].head_age == 0.0
        order(member, "budget")
        order(member, "budget", topic="bulk.clicks")
        fill(servers, 1, 5)
        produce(servers, "bulk.clicks", numbers(1), 0)
        member.wait_until(lambda: lane(member)[1].head_age > 0.5)
        assert lane(member)[1].head_age < 5
        assert lane(member, "bulk.clicks")[1].head_age == 0.0  # it carries nothing critical
        order(member, None)
        member.deliver_count(6 * PARTITIONS)
        assert lane(member)[1].head_age == 0.0
        order(member, None, topic="bulk.clicks")
        member.deliver_count(6 * PARTITIONS + 1)


def test_a_pause_gives_the_fetched_records_back_and_loses_none(broker: EmbeddedBroker) -> None:
    """Of all partitions, though they stand mixed in the queue; what was in hand stays in hand."""
    servers = broker.bootstrap_servers
    fill(servers, 1000)
    with Member([(properties(servers), ["orders"])], rings=24 * 16384) as member:
        member.wait_until(lambda: lane(member)[1].own and lane(member)[1].queued > 2000)
        order(member, "ring", pause=True)
        member.wait_until(lambda: lane(member)[1].queued <= 1001)  # the carry
        state = lane(member)[1]
        assert (state.pauses, state.paused) == (1, True)
        assert state.purged > 1000
        time.sleep(0.5)
        assert lane(member)[1].queued <= 1001  # and fetches no more
        order(member, None)
        member.deliver_count(1000 * PARTITIONS)
        in_order_and_once(member, 1000)
        assert lane(member)[1].paused_seconds >= 0.5
        assert member.conserved()
    assert committed(servers, "g", "orders", PARTITIONS) == dict.fromkeys(range(PARTITIONS), 1000)


def test_pausing_under_load_neither_loses_nor_repeats(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    with Member([(properties(servers), ["orders"])], rings=2 << 20) as member:
        produced = cycles = 0
        member.wait_assigned(PARTITIONS)
        while cycles < 25:
            fill(servers, 40, produced)
            produced += 40
            place, _ = lane(member)
            member.deliver()
            member.reader.order(place, "ring", pause=True)
            member.wait_until(lambda: lane(member)[1].paused, idle=member.deliver)
            member.reader.order(place, None)
            member.wait_until(lambda: not lane(member)[1].paused, idle=member.deliver)
            cycles += 1
        member.deliver_count(produced * PARTITIONS)
        in_order_and_once(member, produced)
        assert lane(member)[1].pauses == 25
        assert member.conserved()
        assert not {"lost", "fatal", "error"} & set(member.kinds())


def test_a_paused_partition_reaches_its_end(broker: EmbeddedBroker) -> None:
    """Its end-of-partition event is thrown away by the pause, and comes once more."""
    servers = broker.bootstrap_servers
    fill(servers, 50)
    with Member([(properties(servers), ["orders"])], find_ends=True, rings=24 * 16384, max_records=10) as member:
        member.wait_until(lambda: member.buffered() > 100)
        order(member, "budget", pause=True)
        time.sleep(0.2)
        order(member, None)
        member.deliver_count(50 * PARTITIONS)
        member.wait_until(lambda: all(row[2:5] == (50, 50, 50) for row in member.ledger.partitions()))


def test_the_group_is_served_while_a_lane_is_paused(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    fill(servers, 10)
    with Member([(properties(servers, max_poll_interval_ms=2000), ["orders"])]) as member:
        member.deliver_count(10 * PARTITIONS)
        order(member, "budget", pause=True)
        time.sleep(3.5)
        assert len(member.owned()) == PARTITIONS
        order(member, None)
        fill(servers, 10, 10)
        member.deliver_count(20 * PARTITIONS)
        in_order_and_once(member, 20)


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range"])
@pytest.mark.parametrize("still", [False, True], ids=["ended", "still-ordered"])
def test_paused_then_revoked_then_assigned_again_flows(broker: EmbeddedBroker, strategy: str, still: bool) -> None:
    """librdkafka keeps a pause over a revocation: what comes back would be silent for good."""
    servers = broker.bootstrap_servers
    made = properties(servers, partition_assignment_strategy=strategy)
    fill(servers, 50)
    with Member([(made, ["orders"])]) as first:
        first.deliver_count(50 * PARTITIONS)
        # The mock, unlike Kafka, takes no offsets while the group rebalances in the eager manner.
        first.wait_until(lambda: set(committed(servers, "g", "orders", PARTITIONS).values()) == {50})
        order(first, "budget", pause=True)
        with Member([(made, ["orders"])]) as second:
            first.wait_until(lambda: len(first.owned()) == len(second.owned()) == 2, 30)
            fill(servers, 10, 50)
            second.deliver_until(lambda: len(second.delivered) == 20)
            assert lane(first)[1].paused
            if not still:
                first.reader.order(lane(first)[0], None)
                first.deliver_until(lambda: len(first.delivered) == 50 * PARTITIONS + 20)
            settled = {partition: 60 for _, partition in (second.owned() if still else first.owned() | second.owned())}
            second.wait_until(lambda: committed(servers, "g", "orders", PARTITIONS).items() >= settled.items())
        fill(servers, 10, 60)
        first.wait_until(lambda: len(first.owned()) == PARTITIONS, 30)
        if still:
            first.wait_until(lambda: lane(first)[1].paused)
            time.sleep(0.5)
            first.deliver()
            assert len(first.delivered) == 50 * PARTITIONS
            order(first, None)
        first.deliver_until(lambda: len(first.delivered) + len(second.delivered) == 70 * PARTITIONS)
        assert set(Counter(first.delivered + second.delivered).values()) == {1}
        assert {p for _, p, offset in first.delivered if offset >= 60} == set(range(PARTITIONS))


def test_closing_while_paused_is_prompt(broker: EmbeddedBroker) -> None:
    servers = broker.bootstrap_servers
    fill(servers, 500)
    member = Member([(properties(servers), ["orders"])], rings=24 * 16384)
    member.reader.start()
    member.wait_until(lambda: lane(member)[1].own)
    order(member, "ring", pause=True)
    started = time.monotonic()
    member.close()
    assert time.monotonic() - started < 5


def test_an_order_names_a_lane_and_a_reason(broker: EmbeddedBroker) -> None:
    with Member([(properties(broker.bootstrap_servers), ["orders"])]) as member:
        member.wait_assigned(PARTITIONS)
        with pytest.raises(IndexError):
            member.reader.order(7, None)
        with pytest.raises(KeyError):
            member.reader.order(0, "weather")
