"""Extra: what stands behind a record that was parked or sampled, for tests and Python alone (tg_extra of ring.pxd)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extra:
    """Where a record stood before it was parked, and how it was sampled.

    Attributes:
        origin: number from `Ledger.test_origin`; 0: the record stands where it was written.
        origin_offset: its offset there.
        randomness: R, 56 bits; None: not known.
        threshold: T, below 2^56; None: no threshold was applied.
        factor: weight that no threshold says; 1: none.
        replayed: it was parked, and comes out of the parking topic.
    """

    origin: int = 0
    origin_offset: int = 0
    randomness: int | None = None
    threshold: int | None = None
    factor: float = 1.0
    replayed: bool = False
