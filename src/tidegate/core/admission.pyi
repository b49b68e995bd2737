"""Typed face of admission.pyx; the reader's part of it is native."""

def read_time(text: bytes) -> int | None:
    """Unix milliseconds of a moment as RFC 3339 writes it; None: it is no such text. For tests."""
