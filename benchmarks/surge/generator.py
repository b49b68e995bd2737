"""The one producer: sends each event of the schedule when it is due, until it is told to stop.

    python -m benchmarks.surge.generator BOOTSTRAP TOPIC BEGIN SCHEDULE

BEGIN: wall-clock seconds; SCHEDULE: schedule.py's fields as JSON. SIGTERM after the surge: the stream ends, and a JSON
object follows on stdout once Kafka has acknowledged all of it: `produced` {phase: {type: events}}, `total`, `refused`
(not acknowledged), `behind_ms` (the most that sending was late) and `cpu_seconds`.

An event's time is when it was due, not when it was sent: a producer that is late must not make anyone look faster.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time

from confluent_kafka import KafkaError, Message, Producer

from benchmarks.e2e.events import DISTINCT
from benchmarks.surge.payloads import TYPES, pool, stamp, value
from benchmarks.surge.schedule import PHASES, Schedule

TICK_SECONDS = 0.002  # events due within it have one time, its beginning


def main() -> None:
    bootstrap, topic, begin, schedule = (
        sys.argv[1],
        sys.argv[2],
        float(sys.argv[3]),
        Schedule(**json.loads(sys.argv[4])),
    )
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    refused: list[str] = []

    def report(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(str(error))

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": "lz4",
            "linger.ms": 5,
            "log_level": 3,  # a coordinator that still loads is asked again
            "enable.idempotence": True,  # so that the topic's ends are a count
            "queue.buffering.max.messages": 400_000,
            "delivery.report.only.error": True,
            "on_delivery": report,
        }
    )
    pieces, types = pool()
    sent, tick, behind = 0, 0, 0.0
    while not stopped.is_set():
        due_at = begin + tick * TICK_SECONDS
        late = time.time() - due_at - TICK_SECONDS
        if late < 0:
            time.sleep(-late)
        else:
            behind = max(behind, late)
        tick += 1
        until = schedule.due(tick * TICK_SECONDS)
        if sent < until:
            begun, at_ms = stamp(due_at), int(due_at * 1000)
            while sent < until:
                key, middle = pieces[sent % DISTINCT]
                try:
                    producer.produce(topic, value(begun, middle, sent), key, timestamp=at_ms)
                    sent += 1
                except BufferError:
                    producer.poll(0.01)
        producer.poll(0)
    left = producer.flush(60)
    produced = {phase: dict.fromkeys(TYPES, 0) for phase in PHASES}
    for number in range(sent):
        produced[schedule.phase(number)][types[number % DISTINCT]] += 1
    told = {"total": sent, "produced": produced, "refused": left + len(refused), "reasons": refused[:3]}
    print(json.dumps({**told, "behind_ms": round(behind * 1e3, 1), "cpu_seconds": time.process_time()}), flush=True)


if __name__ == "__main__":
    main()
