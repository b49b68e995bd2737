"""Typed face of delays.pyx."""

BOUNDS_SECONDS: tuple[float, ...]

class Delays:
    """How old records were when they were acknowledged, by class. The event loop's thread only."""

    def report(self) -> tuple[tuple[tuple[int, ...], float], ...]:
        """By class: ``(records by bound, their ages added up in seconds)``; the last number is beyond all bounds."""
