"""What keeps this process from Kafka, as log lines that help: each case once in full, then rarely, as long as it lasts.

Whoever starts without a broker, a password or a topic waits for it, and does not end. So the log is where it is told,
and a line that repeats at every attempt to connect would bury it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from tidegate.broker.absent import absent, missing_topic
from tidegate.broker.diagnosis import AWAY, TOPIC_DENIED, UNKNOWN_TOPIC, diagnose, explain
from tidegate.broker.trouble import WITH_BROKER, Trouble

if TYPE_CHECKING:
    from tidegate.config import Settings

AGAIN_SECONDS = 60.0  # before the same is told a second time
RARELY_SECONDS = 300.0  # and from then on
ASK_SECONDS = 1.0  # for a broker's answer
FIRST_LOOK_SECONDS = 3.0  # after the start: a subscription has met its topics by then
LOOK_SECONDS = 10.0  # while a topic is missing, or no broker answers
_WAITS = "tidegate tries again all the time, and joins as soon as it can."


class Asked(Protocol):
    """What is used of a Reader."""

    def topics(self, timeout: float, every: bool) -> set[str] | None: ...


class Troubles:
    """Errors of the clients in, warnings out.

    Args:
        diagnosed: finds out more where an error says only that no broker is up; replaced in tests.

    Attributes:
        denied: topics that may not be read: they are not missing.
        topics_changed: set when a topic is said to be unknown.
    """

    def __init__(
        self,
        settings: Settings,
        log: Any,
        clock: Callable[[], float] = time.monotonic,
        diagnosed: Callable[[Settings], Awaitable[Trouble | None]] | None = None,
    ) -> None:
        self._settings = settings
        self._log = log
        self._clock = clock
        self._diagnosed = diagnosed or _in_a_thread
        self._said: dict[tuple[str, str], tuple[float, int, int]] = {}  # when, how often, left out since
        self._away_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self.denied: set[str] = set()
        self.topics_changed = asyncio.Event()

    def error(self, code: int, words: str) -> bool:
        """Takes an error of librdkafka; False: it is none of those that are known here, to be logged as it is."""
        trouble = explain(self._settings, code, words)
        if code == TOPIC_DENIED and trouble is not None:
            self.denied |= {topic for topic in self._settings.topics if trouble.what.endswith(f" topic {topic}")}
        if code == UNKNOWN_TOPIC:
            self.topics_changed.set()
            return True  # `watch_topics` knows more of it
        if trouble is not None:
            self.tell(trouble, detail=words)
            return True
        if code not in AWAY:
            return False
        if self._clock() - self._away_at >= AGAIN_SECONDS and self._looking is None:
            self._looking = asyncio.ensure_future(self._look(words))
        return True

    def found(self, topic: str) -> None:
        """A topic that was missing is there."""
        self._log.info("topic is there now", topic=topic)

    def tell(self, trouble: Trouble, **fields: Any) -> None:
        """Logs it, or counts it where it was logged not long ago."""
        now, key = self._clock(), (trouble.code, trouble.what)
        if trouble.code not in WITH_BROKER:
            self._away_at = now  # why no broker answers is known: that none does is not told besides
        at, times, left_out = self._said.get(key, (float("-inf"), 0, 0))
        if now - at < (AGAIN_SECONDS if times < 2 else RARELY_SECONDS):
            self._said[key] = (at, times, left_out + 1)
            return
        self._said[key] = (now, times + 1, 0)
        if left_out:
            fields["repeated"] = left_out
        hint = trouble.todo if trouble.code in WITH_BROKER else f"{trouble.todo}\n{_WAITS}"
        self._log.warning(trouble.what, code=trouble.code, **fields, hint=hint)

    async def _look(self, words: str) -> None:
        try:
            found = await self._diagnosed(self._settings)
        finally:
            self._looking = None
        if found is not None:
            self.tell(found)
        elif self._clock() - self._away_at >= AGAIN_SECONDS:
            self._away_at = self._clock()
            self._log.warning("kafka", detail=words)


async def watch_topics(reader: Asked, settings: Settings, troubles: Troubles) -> None:
    """Tells of each topic that the brokers do not have, with the names that are near, until all are there; and anew
    when one is gone. Does not end by itself.

    With KIP-848 nobody else does: a member of such a group is told nothing of topics that do not exist.
    """
    missing: set[str] = set()
    await asyncio.sleep(FIRST_LOOK_SECONDS)
    while True:
        known = await asyncio.to_thread(reader.topics, ASK_SECONDS, True)
        if known is not None:
            now_missing = absent(settings.topics, known) - troubles.denied
            for topic in sorted(missing - now_missing - troubles.denied):
                troubles.found(topic)
            missing = now_missing
            for topic in sorted(missing):
                troubles.tell(missing_topic(topic, known))
            if not missing:
                troubles.topics_changed.clear()
                await troubles.topics_changed.wait()
                continue
        await asyncio.sleep(LOOK_SECONDS)


async def _in_a_thread(settings: Settings) -> Trouble | None:
    """`diagnose`, in a thread that nobody waits for: a process that is told to stop does not stay for its answer."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Trouble | None] = loop.create_future()

    def take(found: Trouble | None) -> None:
        if not answer.done():
            answer.set_result(found)

    def look() -> None:
        found = diagnose(settings)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(take, found)

    threading.Thread(target=look, name="tidegate-look", daemon=True).start()
    return await answer
