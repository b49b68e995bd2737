"""Who an event is, from its bytes alone, the same at the topic and at the app.

A value is its own identity: produced events differ by run, partition and sequence number, and a changed byte makes
an event that nobody produced. Between JSON lines a value's line feeds travel as spaces and nothing as ``null``; blanks
around it mean nothing.
"""

from __future__ import annotations

from hashlib import blake2b

_BLANK = b" \t\r\n"


def exact(value: bytes | None) -> str:
    """Identity of bytes that travel alone, as they are."""
    return blake2b(value or b"", digest_size=8).hexdigest()


def line(value: bytes | None) -> str:
    """Identity of a JSON value among others: as one line."""
    plain = (value or b"").removeprefix(b"\xef\xbb\xbf").replace(b"\n", b" ").replace(b"\r", b" ")
    return exact(plain.strip(_BLANK) or b"null")
