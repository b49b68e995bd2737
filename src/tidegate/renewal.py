"""The producer of the parking topic after its client failed for good: another takes its place, ever later.

librdkafka gives an idempotent client up where it can no longer promise that nothing is written twice, and where Kafka
does not let it begin: without a right to write, above all. What the client held is reported and delivered instead
(core/reports.pyx). What made it fail may last, so a client that failed before anything was acknowledged is followed by
the next only after twice the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.core.producer import Producer

FIRST_SECONDS, MOST_SECONDS = 1.0, 30.0  # from a failure to the next client
PROOF_SECONDS = 2.0  # in which a new one shows that Kafka lets it begin; nothing is ordered to be parked before


class Log(Protocol):
    """The part of a structlog logger that is used."""

    def warning(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...


class Renewal:
    """Looks after one producer, on the event loop's thread.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, producer: Producer, log: Log, clock: Callable[[], float]) -> None:
        self._producer, self._log, self._clock = producer, log, clock
        self._wait = FIRST_SECONDS
        self._due: float | None = None  # None: no failure is known
        self._fresh_until = float("-inf")
        self._acknowledged = 0  # before the client in use
        self._running: asyncio.Task[None] | None = None

    @property
    def proved(self) -> bool:
        """Whether the client works for all that is known: it has not failed, and is not quite new."""
        return self._producer.usable and self._clock() >= self._fresh_until

    def look(self) -> None:
        """With every tick, after the producer was drained. Does not wait; needs a running loop where one has failed."""
        if self._producer.usable or self._running is not None:
            return
        now = self._clock()
        if self._due is None:
            self._due = now + self._next_wait()
            code, reason, hint = self._producer.failure
            self._log.warning(
                "the producer of the parking topic failed for good; nothing is parked until another takes its place",
                topic=self._producer.name,
                code=code,
                reason=reason,
                in_seconds=self._wait,
                hint=hint,
            )
        if now >= self._due and self._producer.retire():
            self._running = asyncio.get_running_loop().create_task(self._renew(), name="renewal")

    def _next_wait(self) -> float:
        acknowledged = self._producer.stats()["acknowledged"]
        proved = acknowledged > self._acknowledged
        fresh = not self._producer.stats()["renewed"]
        self._wait = FIRST_SECONDS if proved or fresh else min(2 * self._wait, MOST_SECONDS)
        self._acknowledged = acknowledged
        return self._wait

    async def _renew(self) -> None:
        try:
            # Ending the old one waits for its threads.
            await asyncio.to_thread(self._producer.renew)
        except TidegateError as error:
            self._wait = min(2 * self._wait, MOST_SECONDS)
            self._due = self._clock() + self._wait
            self._log.warning(
                "the producer of the parking topic cannot be made anew",
                topic=self._producer.name,
                reason=error.message,
                in_seconds=self._wait,
            )
        else:
            self._due, self._fresh_until = None, self._clock() + PROOF_SECONDS
            self._log.info("the producer of the parking topic was made anew", topic=self._producer.name)
        finally:
            self._running = None

    async def ended(self) -> None:
        """Returns when none is being made."""
        if self._running is not None:
            await self._running
