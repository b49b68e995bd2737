"""The stream's events: those of `e2e/events.py`, each with the time at which it was due and a number of its own.

The number is the last twelve hex digits of `user_session`; the app tells duplicates apart by it. What is the same in
all of them is made before the run, so that an event costs its sender two joins of bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from benchmarks.e2e import events

TYPES = ("purchase", "cart", "view")
PROBE = 1 << 40  # numbers from here on are no part of the stream
_TIME = b'{"event_time":"'
_TIME_LENGTH = len("2019-10-01T00:00:00.123Z")
_NUMBER_LENGTH = 12


@cache
def pool() -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """([(key, what stands between time and number)], [type]): event n uses place n % events.DISTINCT."""
    pieces, types = [], []
    for key, value in events.events():
        pieces.append((key, value[len(_TIME) + _TIME_LENGTH : -(_NUMBER_LENGTH + len(b'"}'))]))
        types.append(next(kind for kind in TYPES if b'"event_type":"%s"' % kind.encode() in value))
    return pieces, types


def stamp(seconds: float) -> bytes:
    """The beginning of an event of that time (seconds since 1970), to the millisecond."""
    told = datetime.fromtimestamp(int(seconds * 1000) / 1000, UTC).isoformat(timespec="milliseconds")
    return _TIME + told.replace("+00:00", "Z").encode()


def value(begun: bytes, middle: bytes, number: int) -> bytes:
    """One event, of `stamp` and the pool's piece."""
    return b'%b%b%012x"}' % (begun, middle, number)
