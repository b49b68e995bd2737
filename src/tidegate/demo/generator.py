"""The surge: events into Kafka at a planned rate, and the books that say what was offered and where it lies."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from tidegate.demo.events import KINDS, Event, Visitors
from tidegate.demo.plan import Plan
from tidegate.types import CLASSES, EventClass

TICK_SECONDS: Final = 0.005
FLUSH_SECONDS: Final = 5.0
_NOWHERE: Final = -1


class Generator:
    """Produces a plan's events from a thread of its own.

    ``start`` sends one event, a page view, so that the way to the shop can be seen to be open; ``go`` starts the plan.
    Books by event number: ``classes``, ``sent`` (seconds since the epoch), ``partitions`` and ``offsets`` (-1: not
    acknowledged). They are the generator's own until ``join``; ``offered`` may be read at any time.

    Args:
        topics: where each class of events goes.

    Attributes:
        offered: acknowledged by the broker, by class.
        error: why it could not go on, if so.
    """

    def __init__(self, plan: Plan, seed: int, bootstrap_servers: str, topics: Mapping[EventClass, str]) -> None:
        self.plan = plan
        self.offered = [0] * len(CLASSES)
        self.error: str | None = None
        self.classes = array("b")
        self.sent = array("d")
        self.partitions = array("i")
        self.offsets = array("q")
        self.begun: float | None = None  # monotonic
        self._visitors = Visitors(seed)
        self.topics = topics
        self._go = threading.Event()
        self._stop = threading.Event()
        # Failures come with the acknowledgements; librdkafka's own lines (above level 0) would break the report.
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "linger.ms": 2, "message.timeout.ms": 10_000, "log_level": 0}
        )
        self._thread = threading.Thread(target=self._run, name="demo-generator", daemon=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the plan began; 0 before."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun

    @property
    def alive(self) -> bool:
        """Still producing, or waiting to begin."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Sends the opening page view and waits for ``go``."""
        self._thread.start()

    def go(self) -> None:
        """Begins the plan."""
        self._go.set()

    def stop(self) -> None:
        """No more events; what was sent is still acknowledged. May be called again."""
        self._stop.set()
        self._go.set()

    def join(self) -> None:
        """Waits for the end, at most as long as acknowledgements take. The books are complete after it."""
        if self._thread.ident is not None:
            self._thread.join(FLUSH_SECONDS + 1)

    def _run(self) -> None:
        try:
            self._send(self._visitors.next(time.time(), KINDS[0]))
            while not self._go.wait(0.01):
                self._producer.poll(0)
            self.begun = time.monotonic()
            # The opening event is beside the plan.
            while not self._stop.is_set() and len(self.classes) < self.plan.total + 1:
                for _ in range(self.plan.due(self.elapsed) + 1 - len(self.classes)):
                    # By its number, not by the clock: the same seed is the same stream, however late it is.
                    sale = self.plan.sale_share(self.plan.when(len(self.classes)))
                    self._send(self._visitors.next(time.time(), sale=sale))
                self._producer.poll(0)
                self._stop.wait(TICK_SECONDS)
            if left := self._producer.flush(FLUSH_SECONDS):
                self._fail(f"{left} events were not acknowledged within {FLUSH_SECONDS:g} s")
        except Exception as error:  # a thread's exception would go to stderr and the demo would wait for nothing
            self._fail(f"{type(error).__name__}: {error}")

    def _send(self, event: Event) -> None:
        self.classes.append(event.kind.klass)
        self.sent.append(time.time())
        self.partitions.append(_NOWHERE)
        self.offsets.append(_NOWHERE)

        def acknowledged(error: KafkaError | None, message: Message) -> None:
            partition, offset = message.partition(), message.offset()
            if error is not None or partition is None or offset is None:
                self._fail(f"an event was refused: {error}")
                return
            self.partitions[event.number] = partition
            self.offsets[event.number] = offset
            self.offered[event.kind.klass] += 1

        while True:
            try:
                self._producer.produce(self.topics[event.kind.klass], event.body, event.key, on_delivery=acknowledged)
                return
            except BufferError:  # the broker is slow: wait for acknowledgements
                self._producer.poll(0.05)

    def _fail(self, reason: str) -> None:
        self.error = self.error or reason
        self._stop.set()
