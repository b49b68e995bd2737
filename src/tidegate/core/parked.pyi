"""Typed face of parked.pyx: the envelope of the parking topic, for tests and for tools."""

from tidegate.core.parking import Parked

def encode(record: Parked) -> bytes:
    """The envelope. Raises ValueError where a field has a value that it cannot have."""

def decode(data: bytes) -> tuple[str, Parked | None]:
    """``"ok"`` and the record; or None with magic, version (a newer one), truncated, length or field."""

def bench(records: list[Parked], rounds: int) -> tuple[float, float]:
    """Nanoseconds to encode and to decode a record, each the best of some rounds over all of them."""
