"""What delivery asks of a limiter, and the one that sets no limit. Pure; time is passed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Answer(Enum):
    """What a send's end says about the target's load."""

    DONE = "done"
    OVERLOAD = "overload"  # 429, 503, a timeout
    NOTHING = "nothing"  # any other failure, or cancelled


@dataclass(frozen=True, slots=True)
class Figures:
    """A limiter's state.

    Attributes:
        congestions: since the start, by reason: ``overload`` (the target said so) and ``slow`` (its round trips).
        fixed_seconds, per_record_seconds: a and b; 0 before the first window.
    """

    limit_records: int
    batch_records: int
    sending_records: int
    congestions: Mapping[str, int]
    fixed_seconds: float
    per_record_seconds: float


class Limiter(Protocol):
    """What delivery asks. `batch_records`: the most that the next batch may have."""

    batch_records: int

    def admits(self, critical: bool, records: int) -> bool:
        """Whether a batch may be sent now. One of its kind always may, when none of it is being sent."""
        ...

    def begin(self, critical: bool, records: int, now: float) -> int:
        """A send begins. Returns the generation to hand to `end`."""
        ...

    def end(self, critical: bool, records: int, generation: int, seconds: float, now: float, answer: Answer) -> bool:
        """It ended after `seconds`. True: something was decided, which is worth a look at `figures`."""
        ...

    def busy(self) -> float:
        """Share of what may be sent at once that is being sent, of records or requests, whichever is more; may be over
        1 for a moment after the limit was lowered."""
        ...

    def restart(self, now: float) -> None:
        """The target was away and is back: nothing is known of it."""
        ...

    def figures(self) -> Figures | None:
        """For metrics and log; None: there is no limit."""
        ...


class Fixed:
    """No limit but the slots: batches are as large as configured."""

    def __init__(self, batch_max_records: int) -> None:
        self.batch_records = batch_max_records

    def admits(self, critical: bool, records: int) -> bool:
        """Always."""
        return True

    def begin(self, critical: bool, records: int, now: float) -> int:
        """Nothing to count."""
        return 0

    def end(self, critical: bool, records: int, generation: int, seconds: float, now: float, answer: Answer) -> bool:
        """Nothing to learn."""
        return False

    def busy(self) -> float:
        """Slots are all there is, and they are not its own."""
        return 0.0

    def restart(self, now: float) -> None:
        """Nothing to forget."""

    def figures(self) -> None:
        """None."""
        return
