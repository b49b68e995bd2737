"""The watchdog: alone with given times, then with a real member on the embedded broker, then the whole sidecar."""

from __future__ import annotations

import asyncio
import ctypes
import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.fixtures import Scenes, embedded_broker
from tidegate.broker import embedded
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.watchdog import CHECK_SECONDS, LIMIT_SECONDS, Wait, stuck

sys.path.insert(0, str(Path(__file__).parent / "core"))

from member import Member, properties

# Kafka's numbers of requests and errors
JOIN_GROUP, HEARTBEAT = 11, 12
COORDINATOR_LOADING, REBALANCE_IN_PROGRESS = 14, 27
LIMIT = 1.5


def first_alarm(seconds: int, awaiting: Callable[[int], float | None], reachable: Callable[[int], bool]) -> int | None:
    """The second at which a wait that is looked at each 5 s is too long."""
    wait = Wait(60, 11)
    looks = (t for t in range(0, seconds, 5) if wait.look(float(t), awaiting(t), reachable=reachable(t)))
    return next(looks, None)


def test_a_minute_without_an_assignment() -> None:
    assert LIMIT_SECONDS == 60
    assert CHECK_SECONDS < LIMIT_SECONDS / 5
    assert first_alarm(300, float, lambda t: True) == 60
    assert first_alarm(300, lambda t: None, lambda t: True) is None


def test_an_assignment_ends_a_wait_and_a_revocation_begins_one() -> None:
    assert first_alarm(300, lambda t: t if t < 58 else None, lambda t: True) is None
    assert first_alarm(300, lambda t: t if t < 58 else None if t < 100 else t - 100, lambda t: True) == 160


def test_time_without_a_broker_does_not_count() -> None:
    assert first_alarm(900, float, lambda t: False) is None
    assert first_alarm(900, float, lambda t: t >= 300) == 295 + 60
    assert first_alarm(900, float, lambda t: t % 55 != 0) is None  # never a minute on end


def test_a_process_that_stood_still_begins_to_count_anew() -> None:
    wait = Wait(60, 11)
    assert not wait.look(0.0, 0.0, reachable=True)
    assert not wait.look(500.0, 500.0, reachable=True)
    assert not wait.look(510.0, 510.0, reachable=True)
    assert [wait.look(510.0 + t, 510.0 + t, reachable=True) for t in (10, 20, 30, 40, 49)] == [False] * 5
    assert wait.look(560.0, 560.0, reachable=True)


def test_a_good_reason_begins_to_count_anew() -> None:
    wait = Wait(60, 11)
    assert [wait.look(float(t), float(t), reachable=True) for t in range(0, 65, 5)][-1]
    wait.forgive(60.0)
    assert [wait.look(float(t), float(t), reachable=True) for t in range(65, 125, 5)] == [False] * 11 + [True]


# ---- a real member ----


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"orders": 1, "critical": 1}) as broker:
        yield broker


def withhold(broker: EmbeddedBroker, request: int, milliseconds: int) -> None:
    """The broker answers the next request of this kind so late. For this file only, so not among its methods."""
    push = embedded._library().rd_kafka_mock_broker_push_request_error_rtts
    push.restype = ctypes.c_int
    one, kind = ctypes.c_int32(1), ctypes.c_int16(request)
    assert push(ctypes.c_void_p(broker._cluster), one, kind, ctypes.c_size_t(1), 0, milliseconds) == 0


@asynccontextmanager
async def watched(member: Member, *subscriptions: list[str]) -> AsyncIterator[asyncio.Task[str]]:
    watching = asyncio.create_task(stuck(member.reader, subscriptions, limit_seconds=LIMIT, check_seconds=0.1))
    yield watching
    watching.cancel()


async def test_a_coordinator_that_does_not_let_it_in(broker: EmbeddedBroker) -> None:
    broker.push_errors(JOIN_GROUP, *[COORDINATOR_LOADING] * 1000)
    with Member([(properties(broker.bootstrap_servers), ["orders"])]) as member:
        async with watched(member, ["orders"]) as watching:
            begun = time.monotonic()
            words = await asyncio.wait_for(watching, 10)
            assert LIMIT - 0.2 < time.monotonic() - begun < LIMIT + 3
            assert words.startswith("no partitions of orders assigned for ")
            assert "error" not in member.kinds()  # without an error, as it must be


async def test_a_coordinator_that_does_not_answer(broker: EmbeddedBroker) -> None:
    withhold(broker, JOIN_GROUP, 60_000)
    with Member([(properties(broker.bootstrap_servers), ["orders"])]) as member:
        async with watched(member, ["orders"]) as watching:
            await asyncio.wait_for(watching, 10)
            assert not member.kinds()


async def test_one_handle_of_two(broker: EmbeddedBroker) -> None:
    settings = properties(broker.bootstrap_servers, partition_assignment_strategy="range", session_timeout_ms=6000)
    with Member([(settings, ["critical"]), (settings, ["orders"])]) as member:
        member.wait_assigned(2)
        member.wait_until(lambda: member.reader.awaiting() == (None, None))
        async with watched(member, ["critical"], ["orders"]) as watching:
            await asyncio.sleep(LIMIT + 0.5)
            assert not watching.done()
            broker.push_errors(JOIN_GROUP, *[COORDINATOR_LOADING] * 1000)
            broker.push_errors(HEARTBEAT, REBALANCE_IN_PROGRESS)
            words = await asyncio.wait_for(watching, 10)
            name = "critical" if member.reader.awaiting()[0] is not None else "orders"
            assert words.startswith(f"no partitions of {name} assigned for ")


async def test_after_a_revocation(broker: EmbeddedBroker) -> None:
    settings = properties(broker.bootstrap_servers, partition_assignment_strategy="range", session_timeout_ms=6000)
    with Member([(settings, ["orders"])]) as member:
        member.wait_assigned(1)
        async with watched(member, ["orders"]) as watching:
            await asyncio.sleep(LIMIT + 0.5)
            assert not watching.done()
            broker.push_errors(JOIN_GROUP, *[COORDINATOR_LOADING] * 1000)
            broker.push_errors(HEARTBEAT, REBALANCE_IN_PROGRESS)
            await asyncio.wait_for(watching, 10)
            assert member.kinds()[-1] == "revoked"


async def test_nobody_reachable_is_no_reason(broker: EmbeddedBroker) -> None:
    broker.set_broker_down(1)
    with Member([(properties(broker.bootstrap_servers), ["orders"])]) as member:
        async with watched(member, ["orders"]) as watching:
            await asyncio.sleep(2 * LIMIT)
            assert not watching.done()
            seconds = member.reader.awaiting()[0]
            assert seconds is not None
            assert seconds > LIMIT
            broker.set_broker_up(1)
            await asyncio.to_thread(member.wait_assigned, 1)
            assert not watching.done()


@pytest.mark.parametrize("protocol", ["cooperative-sticky", "range", "consumer"])
async def test_an_idle_member_is_well(broker: EmbeddedBroker, protocol: str) -> None:
    """It is told that it gets nothing; with KIP-848 it is told nothing."""
    settings = properties(broker.bootstrap_servers, partition_assignment_strategy=protocol)
    if protocol == "consumer":
        theirs = ("partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms")
        settings = {name: value for name, value in settings.items() if name not in theirs}
        settings["group.protocol"] = "consumer"
    with Member([(settings, ["orders"])]) as first:
        first.wait_assigned(1)
        with Member([(settings, ["orders"])]) as second:
            # The embedded broker takes its time to let a second one in, longer than this file's limit.
            second.wait_until(lambda: second.reader.awaiting() == first.reader.awaiting() == (None,))
            async with watched(second, ["orders"]) as watching, watched(first, ["orders"]) as watching_first:
                await asyncio.sleep(2 * LIMIT)
                assert not watching.done()
                assert not watching_first.done()
            assert sum(bool(member.owned()) for member in (first, second)) == 1


async def test_a_topic_that_does_not_exist_is_waited_for(broker: EmbeddedBroker) -> None:
    with Member([(properties(broker.bootstrap_servers, topic_metadata_refresh_interval_ms=500), ["^late"])]) as member:
        async with watched(member, ["^late"]) as watching:
            await asyncio.sleep(2 * LIMIT)
            assert not watching.done()
            broker.create_topic("late", 1)
            await asyncio.to_thread(member.wait_assigned, 1)


async def test_closing_waits_for_a_question(broker: EmbeddedBroker) -> None:
    """The client must outlive what it is asked."""
    broker.set_broker_down(1)
    with Member([(properties(broker.bootstrap_servers), ["orders"])]) as member:
        asking = asyncio.create_task(asyncio.to_thread(member.reader.topics, 1.0, True))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(member.close)
        assert await asking is None
        assert member.reader.topics(1.0, False) is None


# ---- the sidecar ----


def test_the_sidecar_ends_with_1_and_says_why(scenes: Scenes, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, tidegate.watchdog as w; w.stuck.__kwdefaults__.update(limit_seconds=2.0, check_seconds=0.2);"
        "from tidegate.__main__ import main; sys.exit(main())"
    )
    monkeypatch.setenv("TIDEGATE_TEST_SIDECAR", shlex.join([sys.executable, "-c", code]))
    with EmbeddedBroker() as broker:
        scene = scenes(embedded_broker(broker))
        broker.push_errors(JOIN_GROUP, *[COORDINATOR_LOADING] * 1000)
        sidecar = scene.sidecar()
        assert sidecar.wait(20) == 1
    assert '"event": "the member is stuck in its group' in sidecar.stderr
    last = sidecar.stderr.splitlines()[-1]
    assert last.startswith(f"tidegate: stuck in the group: no partitions of {scene.topic} assigned for "), last
    assert "Traceback" not in sidecar.stderr
