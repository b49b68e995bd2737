"""Typed face of batch.pyx."""

class Batch:
    """Records of one class on their way to a sink. Made by the dispatcher only; the body never changes.

    Raises:
        TypeError: when called.
    """

    attempts: int
    """Sends begun so far; the sender counts."""

    @property
    def klass(self) -> int:
        """`tidegate.types.EventClass` as its number."""
    @property
    def records(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def format(self) -> int: ...
    @property
    def oldest_ms(self) -> int:
        """Smallest record timestamp, in milliseconds since 1970; -1: none has one."""
    @property
    def taken_ns(self) -> int:
        """Monotonic time at which it left the ring."""
    @property
    def weight(self) -> float:
        """How many events each record stands for; 1.0 in an envelope, where each says its own."""
    @property
    def replayed(self) -> bool:
        """Its records were parked: their ids are those of where they stood before."""
    @property
    def content_type(self) -> str: ...
    @property
    def offsets(self) -> str:
        """The records' offsets in the order of the body, at most 4 KiB:
        ``orders/0:100x20,+3x6`` is 100–119 and 122–127; partitions are parted by ``;``."""
    @property
    def idempotency_key(self) -> str:
        """32 hexadecimal digits made of the ids of all records: the same for every attempt."""
    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers of the batch; the same object each time."""
    def ids(self) -> list[tuple[str, int, int]]:
        """``(topic, partition, offset)`` of each record in the order of the body, until the batch is settled. Of what
        was parked, where it stood before."""
    def test_runs(self) -> list[tuple[int, int, int, int]]:
        """``(slot, first offset, records, missing before it)`` of each run that settling acknowledges."""
    def __len__(self) -> int: ...
