"""Typed face of schedule.pyx."""

from collections.abc import Collection, Sequence

AGE_BUDGET_SECONDS: tuple[float, float, float, float]

class Schedule:
    """The order between classes, without clock and rings.

    Args:
        quantum: records that one round gives to weight 1; at least the size of a batch.
        age_budgets: seconds after which the head of a class counts as one class higher.

    Raises:
        ValueError: an age budget that is not positive.
    """

    def __init__(self, quantum: int = 500, age_budgets: Sequence[float] = ...) -> None: ...
    @property
    def quantum(self) -> int: ...
    def pick(self, ready: Collection[int], waited: Sequence[float] = ...) -> int:
        """The class to serve among `ready`, -1 where there is none; `waited` are the heads' seconds."""
    def book(self, klass: int, records: int, contended: bool) -> None:
        """Books records served; `contended`: critical and others were due at once."""
