"""Typed face of mailbox.pyx."""

KINDS: tuple[str, ...]

class Mailbox:
    """Notes of the reader's thread. What did not fit was dropped and counted."""

    @property
    def dropped(self) -> int: ...
    def drain(self) -> list[tuple[str, int, int, str]]:
        """``(kind, code, number, text)`` of each note since the last call, oldest first; kinds as in KINDS."""
