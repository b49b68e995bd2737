"""Typed face of ledger.pyx. Its C face, for reader and dispatcher, is in ledger.pxd."""

from tidegate.types import Disposition

DISPOSITIONS: tuple[Disposition, ...]

class Ledger:
    """Acknowledged offsets by partition and assignment; counts by topic, class and disposition.

    Args:
        span: how many offsets of one partition may be unsettled at once, rounded up to a power of two (records).
    """

    def __init__(self, span: int = 131072) -> None: ...
    @property
    def span(self) -> int: ...
    @property
    def lane_count(self) -> int: ...
    def add_lane(self, name: str) -> int:
        """A number for the topic. Raises ValueError beyond 4096 topics."""
    def topic_of(self, number: int) -> str:
        """The topic of a slot."""
    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """``{topic: {class: {"polled": n, disposition: n, …}}}``."""
    def totals(self) -> dict[str, dict[str, int]]:
        """The counts of all topics together: ``{class: {"polled": n, disposition: n, …}}``."""
    def parking(self) -> tuple[int, ...]:
        """By class: records given to the producer of the parking topic and neither acknowledged nor given up."""
    def irregular(self) -> dict[str, int]:
        """``unclassified`` and ``invalid`` records read, ``stale`` acknowledgements, records ``lost`` to retention."""
    def lost(self) -> dict[str, int]:
        """``{topic: records that retention took before they were read}``."""
    def partitions(self) -> list[tuple[str, int, int, int, int, int]]:
        """``(topic, partition, position, frontier, target, stored)`` of every live slot; negative where not known."""
    def progress(self) -> list[tuple[int, int, int | None, int, int, tuple[int, ...]]]:
        """For each lane ``(span, position, end, assignment, unreadable, polled)``, of its live slots.

        Unsettled offsets of its fullest partition; sums of positions and of ends, over the partitions of which both
        are known (end None: of none); a number that differs wherever those partitions do; partitions that cannot be
        read further; records read, by class.
        """
    def ended(self) -> tuple[tuple[int, ...], ...]:
        """By class: records by disposition, in the order of DISPOSITIONS, over all lanes."""
    def times(self) -> tuple[int, int]:
        """Monotonic nanoseconds of the first read and the last settlement; 0 where there was none."""
