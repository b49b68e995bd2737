"""How far the sidecar's end has come: what `/drained` and `tidegate drain` tell."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from enum import StrEnum


class DrainState(StrEnum):
    """In this order, never back; of the last two the one or the other."""

    READING = "reading"
    DRAINING = "draining"  # no more reading; delivering, then committing
    DRAINED = "drained"  # everything read is settled or given up, offsets are committed, the group is left
    UNCOMMITTED = "uncommitted"  # so it is, but Kafka did not take the last offsets: what they cover comes again


class Drain:
    """Kept by the sidecar, read by the listeners; both on the event loop's thread.

    Args:
        states: records buffered, their bytes, records in flight, by class (as ``Dispatcher.states``).
        clock: seconds, monotonic.
    """

    def __init__(
        self, states: Callable[[], Mapping[int, tuple[int, int, int]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.state = DrainState.READING
        self.given_up = 0
        self._states = states
        self._clock = clock
        self._begun = 0.0
        self._ended = 0.0

    @property
    def done(self) -> bool:
        """Whether it is drained."""
        return self.state is DrainState.DRAINED

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in (DrainState.DRAINED, DrainState.UNCOMMITTED)

    def begin(self) -> None:
        """Reading has stopped."""
        self.state, self._begun = DrainState.DRAINING, self._clock()

    def give_up(self, records: int) -> None:
        """So many records were not delivered in time; they are not committed, and Kafka keeps them."""
        self.given_up = records

    def end(self, *, committed: bool = True) -> None:
        """The group is left, and Kafka has the offsets or not."""
        self.state = DrainState.DRAINED if committed else DrainState.UNCOMMITTED
        self._ended = self._clock()

    def as_json(self) -> bytes:
        """One line. `seconds` since reading stopped, or that it took."""
        states = self._states().values()
        until = self._ended if self.over else self._clock()
        report = {
            "state": str(self.state),
            "buffered_records": sum(buffered for buffered, _, _ in states),
            "in_flight_records": sum(flying for _, _, flying in states),
            "given_up_records": self.given_up,
            "seconds": 0.0 if self.state is DrainState.READING else round(until - self._begun, 3),
        }
        return json.dumps(report, separators=(",", ":")).encode() + b"\n"
