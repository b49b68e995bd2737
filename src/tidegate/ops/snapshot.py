"""The figures of one moment, as /metrics needs them.

Taken on the event loop's thread without a pause in between, so what that thread counts (dispositions, in flight, sends)
is of one moment; what the reader's thread counts goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tidegate import __version__
from tidegate.ops import logs
from tidegate.types import CLASS_LABELS, LaneState

if TYPE_CHECKING:
    from tidegate.core.dispatcher import Dispatcher
    from tidegate.core.ledger import Ledger
    from tidegate.core.reader import Reader
    from tidegate.pressure.orders import Pressure

Buckets = tuple[tuple[int, ...], float]  # records by bound, the last beyond all of them; and the sum of all values


class ClassFigures(Protocol):
    """What is used of delivery's figures for one class."""

    @property
    def bytes(self) -> int: ...
    @property
    def sends(self) -> int: ...
    @property
    def acks(self) -> int: ...


class LimiterFigures(Protocol):
    """What is used of the limiter's figures."""

    @property
    def limit_records(self) -> int: ...
    @property
    def batch_records(self) -> int: ...
    @property
    def sending_records(self) -> int: ...
    @property
    def congestions(self) -> Mapping[str, int]: ...
    @property
    def fixed_seconds(self) -> float: ...
    @property
    def per_record_seconds(self) -> float: ...


class DeliveryFigures(Protocol):
    """What is used of delivery's figures; metrics know no sink and no delivery."""

    @property
    def classes(self) -> Sequence[ClassFigures]: ...
    @property
    def sending(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def limiter(self) -> LimiterFigures | None: ...
    @property
    def retries(self) -> Mapping[str, int]: ...
    @property
    def target(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures of one moment, in the shapes in which their owners give them."""

    books: dict[str, dict[str, dict[str, int]]]  # topic → class → "polled" or disposition → records
    irregular: dict[str, int]
    lost: dict[str, int]  # topic → records that retention took before they were read
    partitions: list[tuple[str, int, int, int, int, int]]  # topic, partition, position, frontier, target, stored
    states: dict[int, tuple[int, int, int]]  # class → buffered records, buffered bytes, records in flight
    oldest: tuple[float, ...]  # seconds, by class
    delays: tuple[Buckets, ...]  # by class; bounds are core/delays.pyx's
    errors: tuple[int, ...]  # of conservation, by class
    parking: tuple[int, ...]  # by class: records on their way to the parking topic
    room_bytes: tuple[int, ...]
    lanes: list[LaneState]
    rebalances: dict[str, int]
    heartbeat_age: float
    stale: int
    refetched: int
    delivery: DeliveryFigures
    accounted_bytes: int
    pressure: Pressure
    log_lines_dropped: int
    build: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom to ask. `take` belongs to the event loop's thread."""

    ledger: Ledger
    dispatcher: Dispatcher
    reader: Reader
    delivery: Callable[[], DeliveryFigures]
    accounted_bytes: Callable[[], int]
    pressure: Callable[[], Pressure]

    def take(self) -> Snapshot:
        """The figures of now."""
        from tidegate.core.rdkafka import version

        rings = self.dispatcher.rings
        return Snapshot(
            books=self.ledger.counts(),
            irregular=self.ledger.irregular(),
            lost=self.ledger.lost(),
            partitions=self.ledger.partitions(),
            states=self.dispatcher.states(),
            oldest=self.dispatcher.oldest(),
            delays=self.dispatcher.delays.report(),
            errors=self.dispatcher.conservation(),
            parking=self.ledger.parking(),
            room_bytes=tuple(max(0, rings.room(k)) * rings.chunk_bytes for k in range(len(CLASS_LABELS))),
            lanes=self.reader.lanes(),
            rebalances=self.reader.rebalances,
            heartbeat_age=self.reader.heartbeat_age,
            stale=self.reader.stale,
            refetched=self.reader.refetched,
            delivery=self.delivery(),
            accounted_bytes=self.accounted_bytes(),
            pressure=self.pressure(),
            log_lines_dropped=logs.dropped(),
            build=(__version__, version()),
        )
