"""How old the record at a lane's read head is, by clocks that cannot be trusted.

Records bear their producers' time. A clock that is wrong makes them look older than they are, or from the future; a
record that was copied from elsewhere may bear any time. Against that:

* what is read at the end of the log has just come: what it seems to be old then is the clock's error, and is taken off;
* nothing that is unread now was there when the end was last seen: it cannot be older than that;
* a head from the future says nothing: then its age is how long what is behind took to come (Little).
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.pressure.rates import weight

ERROR_TAU_SECONDS = 10.0
FUTURE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Head:
    """Attributes:
    seconds: Unix time of the head; None: not known.
    fresh: something was read since the last look.
    at_end: nothing is unread.
    lag: records behind.
    arrival: records/s that come.
    """

    seconds: float | None
    fresh: bool
    at_end: bool
    lag: float = 0.0
    arrival: float = 0.0


class HeadAge:
    """Of one lane and one assignment."""

    def __init__(self) -> None:
        self._error = 0.0
        self._learned = False
        self._end_seen: float | None = None
        self._at: float | None = None

    def rest(self, now: float) -> None:
        """As `update` at the end of the log, with nothing read."""
        self._at = self._end_seen = now

    def update(self, now: float, wall: float, head: Head) -> float:
        """Seconds, 0 or more."""
        seconds = 0.0 if self._at is None else now - self._at
        self._at = now
        seen = None if head.seconds is None else wall - head.seconds
        if head.at_end:
            if seen is not None and head.fresh:  # an idle lane's last record grows old honestly
                part = weight(seconds, ERROR_TAU_SECONDS) if self._learned else 1.0
                self._error, self._learned = self._error + part * (seen - self._error), True
            self._end_seen = now
            return 0.0
        age = -FUTURE_SECONDS if seen is None else seen - self._error
        if age <= -FUTURE_SECONDS:
            age = head.lag / head.arrival if head.arrival > 0 else 0.0
        if self._end_seen is not None:
            age = min(age, now - self._end_seen)
        return max(0.0, age)
