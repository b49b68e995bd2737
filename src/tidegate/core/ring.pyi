"""Typed face of ring.pyx. Its C face, for reader and dispatcher, is in ring.pxd."""

from tidegate.core.extra import Extra

class Rings:
    """The four class rings over one budget: one producer thread, one consumer thread.

    Args:
        budget_bytes: memory for all rings together; at least eight chunks.
        chunk_bytes: a multiple of 8 from 4096 to 64 MiB; default: 256 KiB, or less where the budget is small.

    Raises:
        ValueError: the chunk size is out of range, or the budget too small for it.
        MemoryError: the mapping was refused.
    """

    def __init__(self, budget_bytes: int, chunk_bytes: int | None = None) -> None: ...
    @property
    def chunk_bytes(self) -> int: ...
    @property
    def chunks(self) -> int: ...
    @property
    def reserved(self) -> int:
        """Chunks that each class has for itself."""
    def push(
        self,
        klass: int,
        value: bytes,
        *,
        slot: int = 0,
        offset: int = 0,
        gap: int = 0,
        flags: int = 0,
        key: bytes | None = None,
        headers: bytes = b"",
        timestamp_ms: int = -1,
        read_ns: int = 0,
        publish: bool = True,
        extra: Extra | None = None,
    ) -> bool:
        """Adds one record as the reader would; False: the ring is full. Producer's thread only."""
    def show(self) -> None:
        """Publishes what was pushed with ``publish=False``."""
    def pop(self, klass: int) -> tuple[int, bytes, bytes | None] | None:
        """Takes the oldest record: ``(offset, value, key)``, or None. Consumer's thread only."""
    def test_extra(self, klass: int) -> Extra | None:
        """What stands behind the oldest record; None: nothing, or no record. Consumer's thread only."""
    def peek_all(self, klass: int) -> list[bytes]:
        """Values of all published records, oldest first; takes nothing."""
    def buffered(self, klass: int) -> tuple[int, int]:
        """``(records, bytes of values)`` published and not yet taken."""
    def usage(self, klass: int) -> tuple[int, int, int, int]:
        """``(chunks in use, chunks it could still take, chunks ever given back, records ever taken out)``.
        Consumer's thread only."""
    def room(self, klass: int) -> int:
        """Chunks that the class could still take."""
    def test_room(self, klass: int, payload_bytes: int) -> bool:
        """Whether a lane held by so large a record may go on."""
