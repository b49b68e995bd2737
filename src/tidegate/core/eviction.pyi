"""Typed face of eviction.pyx."""

from collections.abc import Collection

from tidegate.core.dispatcher import Dispatcher
from tidegate.core.producer import Producer

class Eviction:
    """Parks what waits in the rings of one process, where it keeps a partition's span full.

    Args:
        dispatcher: whose rings they are.
        producer: of the parking topic.
    """

    def __init__(self, dispatcher: Dispatcher, producer: Producer) -> None: ...
    def look(self, classes: Collection[int]) -> None:
        """Looks, over the rings of these classes, which records are to go; those of the others are left alone."""
    def go_on(self) -> int:
        """Parks of these as many as the producer takes now, and says how many. After `look`, and when it has room."""
    @property
    def evicted(self) -> int:
        """Records that were parked, since the start."""
    @property
    def under_way(self) -> bool:
        """Something is left to go."""
