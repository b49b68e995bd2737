"""Typed face of mailbox.pyx."""

KINDS: tuple[str, ...]

class Mailbox:
    """Notes of the reader's thread. What did not fit was dropped and counted."""

    @property
    def dropped(self) -> int:
        """Notes that did not fit; `drain` tells of new ones in a last note, of kind ``log``."""
    def drain(self) -> list[tuple[str, int, int, str]]:
        """``(kind, code, number, text)`` of each note since the last call, oldest first; kinds as in KINDS."""
    def test_put(self, kind: str, code: int, number: int, text: bytes) -> None: ...
    def test_flush(self) -> None: ...
