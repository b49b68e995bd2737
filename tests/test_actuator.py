"""What the actuator makes of a parking topic that does not answer; the producer and the broker are real."""

from __future__ import annotations

from typing import Any, cast

from core.test_producer import parking
from tidegate.actuator import STUCK_SECONDS, CoreActuator
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.core.gate import Gate
from tidegate.core.reader import Reader

HUGE = 1 << 40


class Said:
    """A log that keeps what was said."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, event: str, **_: Any) -> None:
        self.events.append(event)

    info = warning


def test_a_stuck_parking_topic_is_not_waited_for() -> None:
    with EmbeddedBroker(topics={"parked": 1}) as broker, parking(broker.bootstrap_servers) as it:
        now, said = [100.0], Said()
        reader = cast("Reader", None)  # not asked about the topic
        actuator = CoreActuator(reader, Gate(0, []), it.producer, sampled=[], log=said, clock=lambda: now[0])
        it.park(0)
        it.drain_until(it.idle)
        assert actuator.parking([]).available
        now[0] += 2 * STUCK_SECONDS
        assert actuator.parking([]).available  # nothing is on its way, so nothing is late
        broker.set_broker_down(1)
        it.park(1)
        assert actuator.parking([]).available
        now[0] += STUCK_SECONDS / 2
        assert actuator.parking([]).available
        assert it.producer.test_room(HUGE) == (False, 0)  # a lane that found it full waits
        now[0] += STUCK_SECONDS
        assert not actuator.parking([]).available
        assert it.producer.test_room(HUGE) == (True, 0)  # and is let go: its record is delivered
        assert not actuator.parking([]).available
        assert said.events == ["the parking topic takes nothing; what cannot be parked is delivered, or waits"]
        broker.set_broker_up(1)
        it.drain_until(it.idle)
        assert actuator.parking([]).available
        assert said.events[1:] == ["parking is tried again"]
        broker.set_broker_down(1)
        it.park(2)
        assert it.producer.test_room(HUGE) == (False, 0)
