"""The surge benchmark's generator against a broker: what it sends is the schedule, and its counts are true."""

from __future__ import annotations

import json
import time
from datetime import datetime

from benchmarks.e2e.events import DISTINCT
from benchmarks.surge import payloads
from benchmarks.surge.generator import TICK_SECONDS
from benchmarks.surge.processes import finish, stream
from benchmarks.surge.schedule import PHASES, Schedule
from confluent_kafka import Consumer, Message, TopicPartition

from tidegate.broker.embedded import EmbeddedBroker

SCHEDULE = Schedule(warm=0.25, base=0.25, surge=0.5, base_rate=400, surge_rate=4000)


def everything(servers: str, topic: str, partitions: int, count: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found: list[Message] = []
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        found += consumer.consume(1000, 0.2)
    found += consumer.consume(1000, 0.5)  # more than was said?
    consumer.close()
    return found


def test_the_stream_is_the_schedule() -> None:
    with EmbeddedBroker({"shop": 2}) as broker:
        begin = time.time() + 2
        with stream(broker.bootstrap_servers, "shop", begin, SCHEDULE) as generator:
            time.sleep(max(0.0, begin + SCHEDULE.surge_to + 0.2 - time.time()))
            made = finish(generator)
        assert made["refused"] == 0
        assert made["total"] > SCHEDULE.before_calm
        messages = everything(broker.bootstrap_servers, "shop", 2, made["total"])
    _, types = payloads.pool()
    counted = {phase: dict.fromkeys(payloads.TYPES, 0) for phase in PHASES}
    numbers = []
    for message in messages:
        event = json.loads(message.value())
        number = int(event["user_session"][-12:], 16)
        numbers.append(number)
        counted[SCHEDULE.phase(number)][event["event_type"]] += 1
        assert event["event_type"] == types[number % DISTINCT]
        at = datetime.fromisoformat(event["event_time"]).timestamp() - begin
        assert at - 0.002 <= SCHEDULE.due_at(number) < at + TICK_SECONDS + 0.002  # times are whole milliseconds
        assert abs(message.timestamp()[1] - (begin + at) * 1000) < 2
    assert sorted(numbers) == list(range(made["total"]))
    assert counted == made["produced"]
