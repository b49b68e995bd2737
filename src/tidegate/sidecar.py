"""The sidecar: joins the native core, the sink and the signals, and ends all of it in order.

    reader thread ──rings──► dispatcher ──► delivery ──► sink
          ▲ ▲                                  │ │
          │ └── stored offsets ◄── ledger ◄────┘ │
          └──── hold, pause ◄──── control ◄──────┘

Start: sink, reader, delivery. End: stop reading, drain, store and commit, leave the group, exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

import orjson
import structlog
import uvloop

from tidegate.broker.properties import consumer_properties
from tidegate.broker.topics import count_lanes
from tidegate.classification import rule_table
from tidegate.control import Control
from tidegate.core.dispatcher import Dispatcher
from tidegate.core.ledger import Ledger
from tidegate.core.process import name_thread, tune_allocator
from tidegate.core.reader import Reader
from tidegate.core.ring import Rings
from tidegate.delivery import Delivery
from tidegate.errors import BrokerError
from tidegate.notes import NoteLog
from tidegate.ops.logs import flush
from tidegate.ops.metrics import Sources
from tidegate.ops.server import OpsServer, listen
from tidegate.sinks.base import SinkOptions, open_sink
from tidegate.subscriptions import split
from tidegate.summary import summary

if TYPE_CHECKING:
    from tidegate.config import Settings
    from tidegate.core.rules import RuleTable

log = structlog.get_logger("tidegate")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
END_CHECK_SECONDS = 0.05
WHOLE_ASSIGNMENT_SECONDS = 0.5  # without a change, and there is nothing more to come
EMPTY_ASSIGNMENT_SECONDS = 5.0
JOIN_SECONDS = 8.0  # beyond the reader's own deadline for leaving the group


def run(settings: Settings, *, until_end: bool = False, summary: bool = False) -> int:
    """Runs until a signal, until the end (`until_end`) or until something gives up. Returns the exit code.

    Raises:
        TidegateError: the configuration cannot work, or Kafka or the sink is beyond waiting for.
    """
    name_thread("tidegate")  # begun anew, the process would show as python
    tune_allocator()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sidecar = Sidecar(settings, until_end=until_end)
        code = runner.run(sidecar.run())
    if summary and code == 0:
        sidecar.print_summary()
    return code


def _sink_headers(settings: Settings) -> dict[str, str]:
    if settings.sink_authorization is None:
        return {}
    return {"Authorization": settings.sink_authorization.get_secret_value()}


def _subscriptions(settings: Settings, rules: RuleTable) -> list[tuple[dict[str, str], tuple[str, ...]]]:
    """Properties and topics of each consumer handle."""
    lanes = count_lanes(settings.topics, consumer_properties(settings, lanes=1))
    handles = []
    for number, topics in enumerate(split(settings.topics, rules)):
        properties = consumer_properties(settings, lanes=lanes)
        if number and "group.instance.id" in properties:
            properties["group.instance.id"] += f"-{number + 1}"  # every member of a group needs its own
        handles.append((properties, topics))
    return handles


class Sidecar:
    """One group member feeding one sink.

    Raises:
        ConfigError: a rule, a Kafka property or the sink's URL is wrong, or the ops address cannot be had.
    """

    def __init__(self, settings: Settings, *, until_end: bool = False) -> None:
        self._settings = settings
        self._until_end = until_end
        self._stop = asyncio.Event()
        self._signals = 0
        self._hung = False
        self._notes = NoteLog(log)
        budget = settings.budget
        rules = rule_table(settings)
        self.sink = open_sink(
            settings.sink_url or "",
            SinkOptions(
                concurrency=settings.concurrency,
                connect_timeout_seconds=settings.sink_connect_timeout_ms / 1000,
                timeout_seconds=settings.sink_timeout_ms / 1000,
                headers=_sink_headers(settings),
            ),
        )
        self.ledger = Ledger(settings.max_uncommitted_records)
        self.rings = Rings(budget.rings)
        self.dispatcher = Dispatcher(
            self.rings,
            self.ledger,
            settings.format,
            settings.batch_max_records,
            settings.batch_max_bytes,
            settings.batch_linger_ms / 1000,
        )
        # Before the Kafka clients exist: an address in use ends the process here.
        ops_socket = None if settings.ops_listener is None else listen(settings.ops_listener)
        self.reader = Reader(
            _subscriptions(settings, rules),
            rules,
            self.rings,
            self.ledger,
            format=settings.format,
            start=settings.start,
            find_ends=until_end,
        )
        self.reader.watch(self.dispatcher)
        self.delivery = Delivery(
            self.dispatcher,
            self.sink,
            concurrency=settings.concurrency,
            inflight_bytes=budget.sending(settings.batch_max_bytes),
            log=log,
        )
        self.control = Control(
            self.reader,
            self.rings,
            self.ledger,
            self.delivery.stats,
            memory_bytes=budget.total,
            log=log,
        )
        self.ops: OpsServer | None = None
        if ops_socket is not None:
            sources = Sources(
                self.ledger,
                self.dispatcher,
                self.reader,
                self.delivery.stats,
                lambda: self.control.accounted_bytes,
            )
            self.ops = OpsServer(ops_socket, heartbeat_age=lambda: self.reader.heartbeat_age, snapshot=sources.take)

    async def run(self) -> int:
        """The whole life. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        await self.sink.start()
        loop.add_reader(self.reader.notify_fd, self._on_notify)
        self.reader.start()
        log.info("started", topics=list(self._settings.topics), group=self._settings.group_id, sink=self.sink.name)
        delivering = asyncio.create_task(self.delivery.run(), name="delivery")
        controlling = asyncio.create_task(self.control.run(), name="control")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        ending = asyncio.create_task(self._wait_for_end(), name="end") if self._until_end else None
        try:
            if self.ops is not None:
                await self.ops.start()
            # What is alive now stays alive: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            await asyncio.wait(
                [task for task in (delivering, stopping, ending) if task is not None],
                return_when=asyncio.FIRST_COMPLETED,
            )
            return await self._finish(delivering)
        finally:
            for task in (controlling, stopping, ending):
                if task is not None:
                    task.cancel()
            loop.remove_reader(self.reader.notify_fd)
            # The loop is about to give the signals back to their defaults, while the process still has to end cleanly.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            await self.sink.close()
            if self.ops is not None:
                await self.ops.close()
            if self._hung:
                # librdkafka does not come back from closing; destroying it would hang for ever.
                log.error("the Kafka client did not close in time; leaving without it")
                self._leave(1)

    async def _finish(self, delivering: asyncio.Task[None]) -> int:
        """Stops reading, drains, commits and leaves the group."""
        if self.ops is not None:
            self.ops.ready = False
        self.reader.stand()
        failure: BaseException | None = delivering.exception() if delivering.done() else None
        drained = False
        if failure is None:
            drained = await self.delivery.drain(self._settings.drain_seconds)
            with contextlib.suppress(asyncio.CancelledError):
                await delivering
        given_up = self.dispatcher.discard_buffered()
        if given_up or not drained:
            log.warning("not everything was delivered; Kafka keeps the rest", records=given_up)
        self.reader.close()
        joined = await asyncio.get_running_loop().run_in_executor(None, self.reader.join, JOIN_SECONDS)
        self._on_notify()
        self._hung = not joined
        if failure is not None:
            raise failure
        if self.reader.failed:
            raise BrokerError("the Kafka client cannot go on; the log says why")
        log.info("stopped", drained=drained)
        return 0

    async def _wait_for_end(self) -> None:
        """Returns when every assigned partition is settled up to the end it had when it was assigned."""
        while True:
            age = self.reader.assignment_age
            partitions = self.ledger.partitions()
            # A first assignment can be empty or partial, until the client has met the topics and the group its rest.
            if (
                age is not None
                and age >= (WHOLE_ASSIGNMENT_SECONDS if partitions else EMPTY_ASSIGNMENT_SECONDS)
                and all(target >= 0 and frontier >= target for _, _, _, frontier, target, _ in partitions)
            ):
                return
            await asyncio.sleep(END_CHECK_SECONDS)

    def _on_notify(self) -> None:
        self.reader.arm()
        self._notes.write(self.reader.notes())
        if self.reader.failed and not self._stop.is_set():
            self._stop.set()
        self.delivery.wake()

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        if self._signals == 1:
            log.info("stopping: no more reading, what is buffered is delivered", signal=signal.Signals(number).name)
            self._stop.set()
        else:
            log.warning("stopping at once", signal=signal.Signals(number).name)
            self._leave(1)

    def _leave(self, code: int) -> None:
        """Ends the process without waiting for anything. Offsets committed so far stand; the rest comes again."""
        flush(0.5)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)

    def print_summary(self) -> None:
        """One line of JSON on stdout."""
        sys.stdout.write(orjson.dumps(summary(self.ledger)).decode() + "\n")
        sys.stdout.flush()
