"""Deferral at the start and at the end: the parking topic, its producer, and what becomes of it where nobody answers.

The topic is found or made before the group is joined: a topic that came later would be read only after the client's
next look at the metadata, and a start that is refused must not have had the group rebalance for it. So it is looked for
early, in a thread, beside what else a start has to do. Where no broker answers, the sidecar starts all the same, as it
does without parking; the topic is asked for again until it is there, and nothing is parked before.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

import structlog

from tidegate.broker.admin import NoAnswerError
from tidegate.broker.parking import DEFAULT_MESSAGE_BYTES, ParkingTopic, ensure
from tidegate.broker.properties import producer_properties
from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.broker.trouble import Trouble
    from tidegate.config import Settings
    from tidegate.core.ledger import Ledger
    from tidegate.core.producer import Producer

log = structlog.get_logger("tidegate.parking")

AGAIN_SECONDS = 10.0
_SHARE = 16  # of the budget, for what is with the producer: one part in so many
_RECORD_BYTES = 400  # about what a record takes there


def _ending() -> bool:
    """The interpreter ends, and only waits for its threads: a start that failed, or was told to stop."""
    return not threading.main_thread().is_alive()


class Deferral:
    """The parking topic of this process, which is looked for from now on; `found` has to be called before the group is
    joined.

    Args:
        until_end: a run with an end parks nothing, and leaves what is parked to the next that has none: nobody waits
            for what comes after it.
        tell: is told why no broker answers, as soon as that is known; from another thread.

    Attributes:
        topic: None: nothing is ever parked.
        producer: after `found`; None: nothing is ever parked.
        ready: the topic is known to be there and fit.
    """

    def __init__(
        self, settings: Settings, *, until_end: bool = False, tell: Callable[[Trouble], None] | None = None
    ) -> None:
        self._settings = settings
        self._tell = tell
        self.producer: Producer | None = None
        self.ready = False
        self.topic: str | None = None
        self._looking: Future[ParkingTopic | None] | None = None
        if until_end or not any(policy.defer for policy in settings.policies):
            return
        self.topic = settings.parking_topic_name
        if self.topic is not None:
            self._looking = Future()
            # No daemon: librdkafka must not be at work when the process is taken down.
            threading.Thread(target=self._begin, args=(self._looking,), name="tidegate-parking").start()

    def _begin(self, looking: Future[ParkingTopic | None]) -> None:
        try:
            looking.set_result(self._look())
        except Exception as error:
            looking.set_exception(error)

    def found(self, ledger: Ledger) -> Producer | None:
        """Waits for the look at the topic, five seconds or so where no broker answers, and makes the producer.

        Raises:
            ConfigError: the topic cannot be made, or would lose what is parked.
        """
        if self._looking is None or self.topic is None:
            return None
        from tidegate.core.producer import Producer

        known = self._looking.result()
        largest = known.max_message_bytes if known is not None else DEFAULT_MESSAGE_BYTES
        room = max(2 << 20, self._settings.memory_bytes // _SHARE)
        properties = producer_properties(self._settings, largest)
        self.producer = Producer(
            properties,
            self.topic,
            ledger,
            records=room // _RECORD_BYTES,
            bytes=room,
            partitions=known.partitions if known is not None else 0,
        )
        return self.producer

    def _look(self) -> ParkingTopic | None:
        """The topic, made where it was missing; None: no broker answers."""
        try:
            found = ensure(self._settings, unwanted=_ending, tell=self._tell)
        except NoAnswerError as error:
            if _ending():
                return None
            log.warning("nothing is parked until a broker answers", topic=self.topic, reason=error.message)
            return None
        assert found is not None
        for warning in found.warnings:
            log.warning(warning)
        if found.created:
            log.info("the parking topic was made", topic=found.name, partitions=found.partitions,
                     retention_seconds=found.retention_seconds)  # fmt: skip
        self.ready = True
        return found

    async def look_again(self) -> None:
        """Until the topic is there: for a start without a broker. A topic that is not fit stays unused."""
        while self.topic is not None and not self.ready:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                await asyncio.get_running_loop().run_in_executor(None, self._look)
            except TidegateError as error:
                log.error("nothing can be parked", reason=error.message, hint=error.hint)
                return
