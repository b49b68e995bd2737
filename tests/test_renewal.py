"""When another client takes a failed one's place; the producer and the broker are real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from core.test_producer import OUT_OF_ORDER, PRODUCE, Parking, parking
from tidegate.actuator import FAILING_SECONDS, CoreActuator
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.core.gate import Gate
from tidegate.core.reader import Reader
from tidegate.errors import KafkaClientError
from tidegate.renewal import FIRST_SECONDS, MOST_SECONDS, PROOF_SECONDS, Renewal

FAILED = "the producer of the parking topic failed for good; nothing is parked until another takes its place"
ANEW = "the producer of the parking topic was made anew"


class Said:
    """A log that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    info = warning

    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


async def until(done: Callable[[], object], look: Callable[[], None]) -> None:
    for _ in range(400):
        look()
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


def fail(it: Parking) -> None:
    it.producer.test_fail(OUT_OF_ORDER)
    it.drain_until(lambda: not it.producer.usable)


def test_another_client_comes_later_each_time_until_one_works() -> None:
    async def run(it: Parking) -> None:
        now, said = [100.0], Said()
        renewal = Renewal(it.producer, said, lambda: now[0])

        def look() -> None:
            it.drain(0)
            renewal.look()

        async def waited() -> float:
            fail(it)
            look()
            seconds = float(said.lines[-1][1]["in_seconds"])
            now[0] += seconds - 0.01
            look()
            await renewal.ended()
            assert not it.producer.usable, "too early"
            now[0] += 0.02
            await until(lambda: it.producer.usable, look)
            await renewal.ended()
            assert said.events()[-2:] == [FAILED, ANEW]
            assert not renewal.proved
            now[0] += PROOF_SECONDS
            assert renewal.proved
            return seconds

        assert renewal.proved
        waits = [await waited() for _ in range(7)]
        assert waits == [FIRST_SECONDS * 2**n for n in range(5)] + [MOST_SECONDS] * 2
        it.park(0)
        it.drain_until(it.idle)
        assert await waited() == FIRST_SECONDS
        assert said.lines[0][1]["code"] == "other"
        assert "sequence" in said.lines[0][1]["reason"]

    with EmbeddedBroker(topics={"parked": 1}) as broker, parking(broker.bootstrap_servers) as it:
        asyncio.run(run(it))


def test_where_none_can_be_made_it_is_tried_again() -> None:
    class Refusing:
        """The producer, but that librdkafka makes no client."""

        def __init__(self, real: Any) -> None:
            self.real, self.refuses = real, True

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def renew(self) -> None:
            if self.refuses:
                raise KafkaClientError("no threads")
            self.real.renew()

        def retire(self) -> bool:  # the real one would wait for its `renew`
            return True if self.refuses else bool(self.real.retire())

    async def run(it: Parking) -> None:
        now, said = [100.0], Said()
        refusing = Refusing(it.producer)
        renewal = Renewal(cast("Any", refusing), said, lambda: now[0])
        fail(it)
        renewal.look()
        now[0] += FIRST_SECONDS
        renewal.look()
        await renewal.ended()
        assert said.lines[-1][1]["reason"].endswith("no threads")
        assert said.lines[-1][1]["in_seconds"] == 2 * FIRST_SECONDS
        refusing.refuses = False
        renewal.look()
        await renewal.ended()
        assert not it.producer.usable
        now[0] += 2 * FIRST_SECONDS
        await until(lambda: it.producer.usable, renewal.look)

    with EmbeddedBroker(topics={"parked": 1}) as broker, parking(broker.bootstrap_servers) as it:
        asyncio.run(run(it))


def test_nothing_is_ordered_to_be_parked_meanwhile_and_then_it_is() -> None:
    async def run(it: Parking, broker: EmbeddedBroker) -> None:
        now, said = [100.0], Said()
        reader = cast("Reader", None)  # not asked about the topic
        actuator = CoreActuator(reader, Gate(0, []), it.producer, sampled=[], log=said, clock=lambda: now[0])
        it.park(0)
        await until(it.idle, actuator.settle)
        assert actuator.parking([]).available
        broker.push_errors(PRODUCE, OUT_OF_ORDER)
        it.park(1)
        await until(lambda: FAILED in said.events(), actuator.settle)
        assert not actuator.parking([]).available
        assert actuator.state().failures
        now[0] += FIRST_SECONDS
        await until(lambda: ANEW in said.events(), actuator.settle)
        assert actuator.state().renewed == 1
        assert not actuator.parking([]).available
        now[0] += FAILING_SECONDS + PROOF_SECONDS
        assert actuator.parking([]).available, (
            "what has no room in its ring yet is nothing that Kafka owes an answer to"
        )
        assert it.producer.test_back() is not None
        assert it.park(2) == "parked"
        await until(it.idle, actuator.settle)
        fail(it)
        now[0] += 60
        actuator.settle()  # it is made anew while the process ends
        now[0] += 60
        actuator.settle()
        await actuator.close(1)
        assert it.producer.drain() == []

    with EmbeddedBroker(topics={"parked": 1}) as broker, parking(broker.bootstrap_servers) as it:
        asyncio.run(run(it, broker))
