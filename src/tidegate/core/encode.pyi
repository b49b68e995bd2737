"""Typed face of encode.pyx."""

def decimal(value: float, /) -> str:
    """A finite number as weights are written: as Python's repr, whole numbers below 10^16 without ``.0``."""
