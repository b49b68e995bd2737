"""The sidecar: the life of its parts (assembly.py). It starts them, joins them with the signals, and ends all of it in
order.

Start: sink, reader, delivery. End: stop reading, drain, store and commit, leave the group, exit.

The end has two beginnings. SIGTERM drains and exits. `tidegate drain` (a pod's preStop) drains, and then the process
stays until SIGTERM, because Kubernetes stops a sidecar's neighbours first and they may wait for `/drained`. It leaves
the group as soon as it is drained: a member that reads no more would keep its partitions from everyone for the rest of
the grace period, and leaving is what commits the last offsets for certain. Static members do not leave, by Kafka's
rule; their partitions wait for the session to end or for the replica that takes their name.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import orjson
import structlog
import uvloop

from tidegate import allocator
from tidegate.assembly import Parts
from tidegate.broker.properties import consumer_properties
from tidegate.broker.topics import crowded, nothing_there
from tidegate.core.process import name_thread, tune_allocator
from tidegate.errors import BrokerError
from tidegate.notes import NoteLog
from tidegate.ops.logs import flush
from tidegate.summary import summary
from tidegate.troubles import Troubles, watch_topics
from tidegate.watchdog import stuck

if TYPE_CHECKING:
    from tidegate.config import Settings

log = structlog.get_logger("tidegate")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
END_CHECK_SECONDS = 0.05
WHOLE_ASSIGNMENT_SECONDS = 0.5  # without a change, and there is nothing more to come
EMPTY_ASSIGNMENT_SECONDS = 5.0
NOTHING_THERE_SECONDS = 10.0  # without any assignment, and the broker is asked whether there are such topics
STAND_LOOKS = 1000
PARKING_SECONDS = 1.0  # at least, for what is on its way to the parking topic when everything else is over
JOIN_SECONDS = 15.0  # beyond the reader's own deadline for leaving the group, and a question of two seconds


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


class Sidecar(Parts):
    """One group member feeding one sink.

    Raises:
        ConfigError: as Parts.
    """

    def __init__(self, settings: Settings, *, until_end: bool = False) -> None:
        self._troubles = Troubles(settings, log)
        super().__init__(settings, until_end=until_end, on_drain=self._on_drain, tell=self._troubles.tell)
        self._until_end = until_end
        self._stop = asyncio.Event()
        self._drain_asked = asyncio.Event()
        self._signals = 0
        self._hung = False
        self._crowded = False
        self._notes = NoteLog(log, troubles=self._troubles)

    async def run(self) -> int:
        """The whole life. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        if allocator.stop_asked:
            self._on_signal(signal.SIGTERM)
        await self.sink.start()
        loop.add_reader(self.reader.notify_fd, self._on_notify)
        if self.deferral.producer is not None:
            loop.add_reader(self.deferral.producer.fileno(), self._on_parked)
        self.reader.start()
        log.info("started", topics=list(self._settings.topics), group=self._settings.group_id, sink=self.sink.name)
        delivering = asyncio.create_task(self.delivery.run(), name="delivery")
        controlling = asyncio.create_task(self.control.run(), name="control")
        parking = asyncio.create_task(self.deferral.look_again(), name="parking")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        draining = asyncio.create_task(self._drain_asked.wait(), name="drain")
        watching = asyncio.create_task(stuck(self.reader, self._topics), name="watchdog")
        missing = asyncio.create_task(watch_topics(self.reader, self._settings, self._troubles), name="topics")
        ending = asyncio.create_task(self._wait_for_end(), name="end") if self._until_end else None
        try:
            for server in (self.ops, self.admin):
                if server is not None:
                    await server.start()
            # What is alive now stays alive: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            await asyncio.wait(
                [task for task in (delivering, stopping, draining, watching, ending) if task is not None],
                return_when=asyncio.FIRST_COMPLETED,
            )
            why = watching.result() if watching.done() and not self._stop.is_set() else None
            if why is not None:
                log.error("the member is stuck in its group; this process ends, to be started anew", detail=why)
            await self._finish(delivering, ending)
            if why is not None:
                raise BrokerError(f"stuck in the group: {why}", code="stuck")
            if self._drain_asked.is_set() and not self._hung and not self._stop.is_set():
                log.info("draining is over; waiting for SIGTERM", drained=self.drain.done)
                await self._stop.wait()
            log.info("stopped", drained=not self.drain.given_up)
            return 0
        finally:
            for task in (controlling, parking, stopping, draining, watching, missing, ending):
                if task is not None:
                    task.cancel()
            loop.remove_reader(self.reader.notify_fd)
            self._leave_parking(loop)
            # The loop is about to give the signals back to their defaults, while the process still has to end cleanly.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            await self.sink.close()
            for server in (self.ops, self.admin):
                if server is not None:
                    await server.close()
            if self._hung:
                # librdkafka does not come back from closing; destroying it would hang for ever.
                log.error("the Kafka client did not close in time; leaving without it")
                self._leave(1)

    async def _finish(self, delivering: asyncio.Task[None], ending: asyncio.Task[None] | None) -> None:
        """Stops reading, drains, commits and leaves the group."""
        if self.ops is not None:
            self.ops.ready = False
        self.reader.stand()
        for _ in range(STAND_LOOKS):  # its round takes a millisecond, unless it hangs: then nothing comes
            if self.reader.stands:
                break
            await asyncio.sleep(0.001)
        self.drain.begin()
        failure: BaseException | None = delivering.exception() if delivering.done() else None
        if failure is None and ending is not None and ending.done():
            failure = ending.exception()
        discarded = self._discarded()
        begun = time.monotonic()
        if not delivering.done():
            await self.delivery.drain(self._settings.drain_seconds)
            with contextlib.suppress(asyncio.CancelledError):
                await delivering
        self.dispatcher.discard_buffered()
        self._leave_parking(asyncio.get_running_loop())
        await self.actuator.close(max(PARKING_SECONDS, begun + self._settings.drain_seconds - time.monotonic()))
        self.drain.give_up(self._discarded() - discarded)
        if self.drain.given_up:
            log.warning("not everything was delivered; Kafka keeps the rest", records=self.drain.given_up)
        await asyncio.to_thread(self.reader.close)  # it waits for a question of the watchdog's, a second at most
        joined = await asyncio.to_thread(self.reader.join, JOIN_SECONDS)
        self._on_notify()
        self._hung = not joined
        if failure is not None:
            raise failure
        if self.reader.failed:
            raise BrokerError("the Kafka client cannot go on; the log says why")
        if joined:
            if self.reader.uncommitted:
                log.warning(
                    "Kafka did not take the last offsets; what was delivered since the commit before comes again"
                )
            self.drain.end(committed=not self.reader.uncommitted)

    def _discarded(self) -> int:
        return sum(row["discarded"] for row in self.ledger.totals().values())

    async def _wait_for_end(self) -> None:
        """Returns when every assigned partition is settled up to the end it had when it was assigned."""
        asked_at = time.monotonic()
        while True:
            age = self.reader.assignment_age
            partitions = self.ledger.partitions()
            if age is None and not partitions and time.monotonic() - asked_at > NOTHING_THERE_SECONDS:
                await self._refuse_nothing()
                asked_at = time.monotonic()
            # A first assignment can be empty or partial, until the client has met the topics and the group its rest.
            if (
                age is not None
                and age >= (WHOLE_ASSIGNMENT_SECONDS if partitions else EMPTY_ASSIGNMENT_SECONDS)
                and all(target >= 0 and frontier >= target for _, _, _, frontier, target, _ in partitions)
            ):
                return
            await asyncio.sleep(END_CHECK_SECONDS)

    async def _refuse_nothing(self) -> None:
        """Raises BrokerError where there is no topic to read, and so no end to reach."""
        settings = self._settings
        properties = consumer_properties(settings, lanes=1)
        loop = asyncio.get_running_loop()
        if await loop.run_in_executor(None, nothing_there, settings.topics, properties):
            raise BrokerError(
                f"there is nothing to read to its end: the brokers know no topic {' or '.join(settings.topics)}",
                code="no-topic",
                hint="Create it, correct TIDEGATE_TOPICS, or run without --until-end to wait for it.",
            )

    def _on_parked(self) -> None:
        self.actuator.settle()
        self.delivery.wake()  # where partitions are waited for: what was parked is settled

    def _leave_parking(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.deferral.producer is not None:
            loop.remove_reader(self.deferral.producer.fileno())

    def _on_notify(self) -> None:
        self.reader.arm()
        self._notes.write(self.reader.notes())
        if self.deferral.producer is not None:
            self._notes.write(self.deferral.producer.mailbox.drain())
        if not self._crowded and (found := crowded(self.reader.topic_count, self._lanes, self._settings.budget)):
            self._crowded = True
            log.warning("memory was not divided for so many topics; it may be exceeded", **found)
        if self.reader.failed and not self._stop.is_set():
            self._stop.set()
        self.delivery.wake()

    def _on_drain(self) -> None:
        if not self._drain_asked.is_set() and not self._stop.is_set():
            log.info("draining: no more reading, what is buffered is delivered")
        self._drain_asked.set()

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        if self._signals == 1:
            rest = "" if self.drain.over else ": no more reading, what is buffered is delivered"
            log.info(f"stopping{rest}", signal=signal.Signals(number).name)
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
        sys.stdout.write(orjson.dumps(summary(self.ledger, self.deferral.topic)).decode() + "\n")
        sys.stdout.flush()
