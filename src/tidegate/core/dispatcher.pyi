"""Typed face of dispatcher.pyx."""

from collections.abc import Sequence
from typing import Any

from tidegate.core.batch import Batch
from tidegate.core.delays import Delays
from tidegate.core.ledger import Ledger
from tidegate.core.ring import Rings
from tidegate.core.schedule import Schedule

FORMATS: dict[str, int]

class Dispatcher:
    """Takes records out of the rings as batches. One thread only: the event loop's.

    Args:
        format: ``"ndjson"``, ``"json"`` or ``"envelope"``.
        max_records: most records of a batch.
        max_bytes: a batch is not filled beyond this; one record that is larger goes alone.
        linger: seconds that a part-filled batch waits for more; critical never waits.

    Raises:
        KeyError: an unknown format.
    """

    draining: bool
    """True: lingering is over, whatever is buffered is due."""
    batch_records: int
    """Most records of a batch at present; `max_records` until set. ValueError where it is not 1 to `max_records`."""

    def __init__(
        self,
        rings: Rings,
        ledger: Ledger,
        format: str = "ndjson",  # noqa: A002
        max_records: int = 500,
        max_bytes: int = 1 << 20,
        linger: float = 0.005,
        age_budgets: Sequence[float] = ...,
    ) -> None: ...
    @property
    def rings(self) -> Rings: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def format(self) -> int: ...
    @property
    def max_records(self) -> int: ...
    @property
    def max_bytes(self) -> int: ...
    @property
    def linger_ns(self) -> int: ...
    def take(self, classes: int = 15, /) -> Batch | None:
        """The next due batch among the classes whose bit ``1 << class`` is set; None: nothing is due now.

        Raises MemoryError where there is no room for the body; nothing was taken.
        """
    def due_in(self) -> float | None:
        """Seconds until something is due (0.0: now); None: the rings are empty."""
    # Any: delivery knows a Batch only by its own protocol.
    def settle(self, batch: Any, /) -> None:
        """The sink acknowledged the batch. Raises ValueError where it was settled or discarded before."""
    def discard(self, batch: Any, /) -> int:
        """Gives the batch up without acknowledging its offsets; its records. Raises ValueError as `settle`."""
    def discard_buffered(self) -> int:
        """Empties the rings without acknowledging. Returns the records."""
    def test_clock(self, now_ns: int) -> None:
        """For tests: it is this time until the next call; 0 lets the clock run again."""
    @property
    def delays(self) -> Delays: ...
    def oldest(self) -> tuple[float, ...]:
        """By class: age in seconds, by its own timestamp, of the oldest record buffered or in flight; 0.0: none."""
    def states(self) -> dict[int, tuple[int, int, int]]:
        """``{class index: (buffered records, buffered bytes, records in flight)}``."""
    def conservation(self) -> tuple[int, ...]:
        """By class: records polled that are in no disposition, not buffered, not in flight. 0 unless one is lost."""
