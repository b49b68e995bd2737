"""Typed face of gate.pyx. Its C face, for the reader, is in gate.pxd."""

from collections.abc import Collection, Iterable, Mapping

from tidegate.core.passage import Passage as Passage
from tidegate.core.passage import TypeCount as TypeCount

DELIVER: int
PARK: int
DROP: int
RUNGS: int
"""Rungs of the ladder of shares: 1, 3/4, 1/2, 3/8 … 1/64."""
THRESHOLDS: tuple[int, ...]
"""T of each rung."""

class Gate:
    """Deliver, park or drop, by class and sampling key. Orders come from the event loop's thread, records from one
    reader's thread; in tests both may be the same.

    Args:
        seed: of the hash, 64 bits; the same in the whole fleet, or replicas do not agree.
        sampled: classes that may be dropped from; their types are counted.

    Raises:
        ValueError: a class that is never sampled.
    """

    def __init__(self, seed: int = 0, sampled: Collection[int] = ...) -> None: ...
    @property
    def seed(self) -> int: ...
    @property
    def samples(self) -> bool:
        """There are classes that may be dropped from."""
    def order(self, klass: int, keep: float, rest: int = ...) -> None:
        """From now on the share `keep` of the class is delivered and the rest parked, or dropped.

        With ``DROP``, types go by their own rungs (`set_rungs`), and `keep`, brought down to the ladder, is for types
        that have none yet.

        Raises:
            ValueError: no such class or share; critical would lose any; a class that may not be sampled would.
        """
    def release(self, klass: int) -> None:
        """All of the class is delivered."""
    def set_rungs(self, orders: Mapping[tuple[int, int], int | None]) -> None:
        """At which rung each type is kept, by its slot; None: as its class is. An order for a type that has lost its
        slot has no effect.

        Raises:
            ValueError: a slot or rung that there is not.
        """
    def retire(self, slots: Iterable[tuple[int, int]]) -> None:
        """Slots of types that are gone: others may have them. An order by `set_rungs` takes it back."""
    def types(self, klass: int) -> list[TypeCount]:
        """The class's types with their counts, which only grow while a type has its slot."""
    def totals(self) -> tuple[tuple[int, int, int], ...]:
        """By class: records (delivered, parked, dropped) since the start."""
    def moments(self, klass: int) -> tuple[float, ...]:
        """For each rung: Σ y² over sampling keys since the last call, y being a key's sampled records at that rung or
        one that keeps less. An estimate from 128 counters: its relative standard error is an eighth."""
    def admit(
        self,
        klass: int,
        type: bytes | None = None,  # noqa: A002
        *,
        key: bytes | None = None,
        escaped: bool = False,
        record_key: bytes | None = None,
        topic: bytes = b"",
        partition: int = 0,
        offset: int = 0,
        tracestate: bytes | None = None,
        traceparent: bytes | None = None,
        factor: float = 1.0,
    ) -> Passage:
        """Decides about one record and counts it. `key` is its sampling key (with `escaped`: JSON text); where there is
        none, the record's own key counts, else its place. `factor` is a weight that came without a threshold."""
    def bench(self, klass: int, types: list[bytes], keys: list[bytes], rounds: int) -> float:
        """Nanoseconds for each of ``rounds`` × ``len(types)`` records, decided and counted natively."""

def randomness(key: bytes, seed: int = 0) -> int:
    """R of a key: the low 56 bits of its XXH64."""
