"""Watchdog: a member of the group that waits for its partitions and hears neither of them nor of an error.

A group coordinator can leave a member without an answer: an offsets topic below its minimum of in-sync replicas kept
members waiting for minutes without an error event. librdkafka waits on, the process looks well, and nothing is read.
Beginning anew is what helps, so the sidecar ends, and whoever started it starts it again.

A wait begins when the member subscribes and at every revocation; an assignment ends it, an empty one as well (more
members than partitions). With KIP-848 only the waits after a revocation are known: see Reader.awaiting. Not counted is
time in which no broker answered, in which none of the subscribed topics existed, or in which this process itself stood
still: a new process would wait just the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Protocol

LIMIT_SECONDS = 60.0
CHECK_SECONDS = 5.0
ASK_SECONDS = 1.0  # for a broker's answer


class Member(Protocol):
    """What is used of a Reader."""

    def awaiting(self) -> tuple[float | None, ...]: ...
    def topics(self, timeout: float, every: bool) -> set[str] | None: ...


class Wait:
    """One consumer handle's wait for an assignment. Pure; times are seconds of one monotonic clock."""

    def __init__(self, limit_seconds: float, stall_seconds: float) -> None:
        self._limit = limit_seconds
        self._stall = stall_seconds  # between two looks: longer, and this process stood still
        self._not_before = float("-inf")  # the wait counts from here on, if it did not begin later
        self._looked = float("inf")

    def look(self, now: float, awaiting: float | None, *, reachable: bool) -> bool:
        """Whether it has been too long.

        Args:
            awaiting: seconds that the handle has waited so far, None: it does not wait.
            reachable: a broker answers now; of no account while it does not wait.
        """
        stood_still = now - self._looked > self._stall
        self._looked = now
        if awaiting is None:
            return False
        if stood_still or not reachable:
            self._not_before = now
        return now - max(now - awaiting, self._not_before) >= self._limit

    def forgive(self, now: float) -> None:
        """The wait so far had a good reason."""
        self._not_before = now


async def stuck(
    member: Member,
    subscriptions: Sequence[Sequence[str]],
    *,
    limit_seconds: float = LIMIT_SECONDS,
    check_seconds: float = CHECK_SECONDS,
) -> str:
    """Returns when a handle is stuck, with what to say of it; otherwise never.

    Args:
        subscriptions: topics by handle; one that begins with ``^`` is a regular expression.
    """
    clock = asyncio.get_running_loop().time
    # A question to a broker that does not answer takes its time as well.
    waits = [Wait(limit_seconds, 2 * check_seconds + 2 * ASK_SECONDS) for _ in subscriptions]
    while True:
        await asyncio.sleep(check_seconds)
        awaiting = member.awaiting()
        reachable = False
        if any(seconds is not None for seconds in awaiting):  # rarely; only then is a broker asked
            reachable = await asyncio.to_thread(_answered, member)
            awaiting = member.awaiting()
        now = clock()
        for wait, seconds, topics in zip(waits, awaiting, subscriptions, strict=True):
            if not wait.look(now, seconds, reachable=reachable):
                continue
            known = await asyncio.to_thread(member.topics, ASK_SECONDS, True)
            if known is not None and _any(topics, known):
                return f"no partitions of {', '.join(topics)} assigned for {seconds:.0f} s, and no error either"
            wait.forgive(now)


def _answered(member: Member) -> bool:
    # Twice: a broker that hangs may be the one that is asked. It costs it its connection, and then another is.
    return member.topics(ASK_SECONDS, False) is not None or member.topics(ASK_SECONDS, False) is not None


def _any(subscription: Sequence[str], known: set[str]) -> bool:
    return any(_matches(entry, known) for entry in subscription)


def _matches(entry: str, known: set[str]) -> bool:
    if not entry.startswith("^"):
        return entry in known
    try:
        expression = re.compile(entry)
    except re.error:  # POSIX's own, and right: librdkafka took it
        return True
    return any(expression.search(topic) for topic in known)
