"""Typed face of scan.pyx: the JSON scanner, for tests and for tools."""

HAS_NEWLINE: int
HAS_BOM: int
KINDS: tuple[str, ...]

def implementations() -> list[str]:
    """Names of the implementations that this build and this CPU have, best first."""

def use(name: str | None) -> None:
    """Takes the implementation called ``name``; ``None`` is the best one. Raises ValueError where it is not usable."""

def using() -> str:
    """Name of the implementation in use."""

class Scanner:
    """Looks for the values at JSON pointers (RFC 6901) and checks the whole document.

    Raises ValueError where ``pointers`` are not at most 64 JSON pointers with tokens of at most 255 bytes.
    """

    def __init__(self, pointers: list[str]) -> None: ...
    def scan(self, doc: bytes, grammar: bool = False) -> tuple[str, int, int, list[tuple[str, str] | None]]:
        """Status, byte position of an error, HAS_* flags, and for each pointer ``None`` (absent, or the document is
        bad) or kind and text. Strings come decoded, numbers as they stand; other kinds have no text.
        """
