"""How the one memory budget is divided (decided and measured for 96 MiB; the shares hold for any size)."""

from __future__ import annotations

from dataclasses import dataclass

MINIMUM_BYTES = 16 << 20
_CLASSES = 4
# Kept for what no share counts: fetch responses being unpacked, bodies being built, partitions, an allocator's holes.
# Three tenths, of large budgets an eighth (docs/adr/0009-a-spare-part-of-the-budget.md).
_SPARE_BYTES = 28 << 20  # enough for 1,024 partitions
# Payload bytes that librdkafka may queue per byte of prefetch budget. The rest pays for its 340 B per queued message
# (about as much again at the usual 260 B events) and for the fetch response in hand that overshoots the limit.
_QUEUED_SHARE = 0.4
_QUEUED_FLOOR_KBYTES = 32
_MESSAGE_BYTES = 340  # of librdkafka's own for each queued message, whatever its size
_QUEUED_MESSAGES = (100, 100_000)
# Of one partition in one fetch response, which may overshoot each lane's limit, and so each lane's share.
_FETCH_BYTES = (16 << 10, 256 << 10)
# A lane takes so much whatever its limits are: each of its partitions brings a whole batch of its producer's at least.
# Measured with records of 1 KB in two partitions each, batches of 150 KB: 50 topics 156 MiB of RSS, 200 topics 240.
_LANE_BYTES = 350 << 10


@dataclass(frozen=True, slots=True)
class Budget:
    """Shares of ``TIDEGATE_MEMORY_BYTES``, all in bytes; ``total`` less what they add up to is spare.

    Attributes:
        prefetch: what librdkafka holds ahead of the reader, over all lanes.
        rings: the classes' buffers together.
        in_flight: bodies of batches sent or waiting to be sent again.
    """

    total: int
    prefetch: int
    rings: int
    in_flight: int

    @classmethod
    def from_bytes(cls, total: int) -> Budget:
        """Divide ``total`` bytes: a part stays spare, and of the rest a quarter, a half, a quarter.

        Raises:
            ValueError: less than 16 MiB, which leaves no room for one fetch, one batch and four rings.
        """
        if total < MINIMUM_BYTES:
            raise ValueError(f"a budget of {total} bytes is below the minimum of {MINIMUM_BYTES}")
        used = total - min(total * 3 // 10, max(_SPARE_BYTES, total // 8))
        prefetch, rings = used // 4, used // 2
        return cls(total=total, prefetch=prefetch, rings=rings, in_flight=used - prefetch - rings)

    @property
    def shared(self) -> int:
        """What the shares add up to: the budget without what is spare."""
        return self.prefetch + self.rings + self.in_flight

    def sending(self, batch_max_bytes: int) -> int:
        """Bytes of bodies that may be in flight at once. The room of two batches is kept: for the one being built,
        because only then is it known whether it fits, and for one that was found not to."""
        return max(self.in_flight - 2 * batch_max_bytes, self.in_flight // 2)

    @property
    def ring_minimum(self) -> int:
        """Reserved for each class whatever the others hold."""
        return self.rings // 12

    @property
    def rings_shared(self) -> int:
        """What the classes share by demand beyond their minimums."""
        return self.rings - _CLASSES * self.ring_minimum

    @property
    def most_lanes(self) -> int:
        """Topics in one process up to which the bound on memory holds."""
        return max(1, self.prefetch // _LANE_BYTES)

    @staticmethod
    def total_for(lanes: int) -> int:
        """The budget, in whole MiB, with which the bound holds for so many topics."""
        used = 4 * lanes * _LANE_BYTES
        return -(-max(used + _SPARE_BYTES, used * 8 // 7, MINIMUM_BYTES) // (1 << 20)) << 20

    def queued_kbytes(self, lanes: int) -> int:
        """``queued.max.messages.kbytes`` for each of ``lanes`` lanes: librdkafka counts per forwarded queue."""
        if lanes < 1:
            raise ValueError("there is at least one lane")
        return max(_QUEUED_FLOOR_KBYTES, int(self.prefetch * _QUEUED_SHARE) // lanes // 1024)

    def fetch_bytes(self, lanes: int) -> int:
        """``fetch.message.max.bytes``: small, so that a busy lane delays no other, and smaller with many."""
        if lanes < 1:
            raise ValueError("there is at least one lane")
        least, most = _FETCH_BYTES
        return max(least, min(most, self.prefetch // lanes // 2))

    def queued_messages(self, lanes: int) -> int:
        """``queued.min.messages`` for each of ``lanes`` lanes: records of a few bytes weigh what librdkafka adds."""
        if lanes < 1:
            raise ValueError("there is at least one lane")
        least, most = _QUEUED_MESSAGES
        return max(least, min(most, self.prefetch // lanes // _MESSAGE_BYTES))
