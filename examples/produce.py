"""Writes a shop's events to a topic: views, searches, carts, checkouts, three in two hundred purchases.

    python examples/produce.py --topic shop.events --rate 500 --seconds 20

The same ``--seed`` gives the same visitors, products and event ids; without one each run has its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections import Counter

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tidegate.demo.events import Visitors

_SERVERS = "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS"
_ANSWER_SECONDS = 10


class Stream:
    """What was written, and what was not."""

    def __init__(self, servers: str) -> None:
        # Errors of single brokers are librdkafka's to mend; what could not be written in the end is told below.
        timeout_ms = _ANSWER_SECONDS * 1000
        self.producer = Producer(
            {"bootstrap.servers": servers, "linger.ms": 5, "message.timeout.ms": timeout_ms, "log_level": 0}
        )
        self.written: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def send(self, topic: str, kind: str, key: bytes, body: bytes) -> None:
        def told(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.written[kind] += 1
            else:
                self.refused[error.str()] += 1

        while True:
            try:
                self.producer.produce(topic, body, key, on_delivery=told)
                return
            except BufferError:  # the broker is slower than the rate
                self.producer.poll(0.1)


def main() -> int:
    options = _options()
    stream = Stream(options.bootstrap_servers)
    try:
        known = stream.producer.list_topics(timeout=_ANSWER_SECONDS).topics
    except KafkaException:
        print(f"no broker answers at {options.bootstrap_servers}; --bootstrap-servers names another", file=sys.stderr)
        return 1
    if options.topic not in known:
        # Written all the same: many brokers make a topic of which they are told.
        print(f"there is no topic {options.topic} yet at {options.bootstrap_servers}", file=sys.stderr)
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())  # an exception would end the counting in between
    visitors, begun, sent = Visitors(options.seed), time.monotonic(), 0
    total = round(options.rate * options.seconds)
    while sent < total and not stop.is_set():
        # As many as should have been sent by now: a late turn is made good by the next.
        for _ in range(min(total, int((time.monotonic() - begun) * options.rate)) - sent):
            event = visitors.next(time.time())
            stream.send(options.topic, event.kind.name, event.key, event.body)
            sent += 1
        stream.producer.poll(0.01)
    stream.producer.flush(_ANSWER_SECONDS + 5)
    kinds = ", ".join(f"{count} {kind}" for kind, count in stream.written.most_common())
    print(f"wrote {stream.written.total()} events to {options.topic} with seed {options.seed}: {kinds or 'none'}")
    for why, count in stream.refused.items():
        print(f"{count} were not written: {why}", file=sys.stderr)
    return 1 if stream.written.total() < sent else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = os.environ.get(_SERVERS, "127.0.0.1:9092")
    parser.add_argument("--bootstrap-servers", default=default, help=f"default: {_SERVERS}, else 127.0.0.1:9092")
    parser.add_argument("--topic", default="shop.events")
    parser.add_argument("--rate", type=float, default=500, help="events per second (500)")
    parser.add_argument("--seconds", type=float, default=20, help="how long (20)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of visitors and products")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
