"""Typed face of reader.pyx."""

from collections.abc import Collection, Mapping, Sequence

from tidegate.core.dispatcher import Dispatcher
from tidegate.core.gate import Gate
from tidegate.core.ledger import Ledger
from tidegate.core.mailbox import Mailbox
from tidegate.core.producer import Producer
from tidegate.core.ring import Rings
from tidegate.core.rules import RuleTable
from tidegate.types import LaneState

class Reader:
    """Reads Kafka into the rings, in a thread of its own.

    Args:
        subscriptions: for each consumer handle, one or two, ``(librdkafka properties, topics)``; one group,
            disjoint topics; a topic that starts with ``^`` is a regular expression.
        format: the body's format; it decides how far values are checked and whether keys and headers are kept.
        start: ``"earliest"`` or ``"latest"``, where a partition has no committed offset.
        find_ends: note every partition's end at its assignment.
        gate: who decides what is parked or sampled; None: all is delivered.
        producer: of the parking topic, which has to be among a subscription's; None: nothing is parked.
        waits: classes whose topics can wait in Kafka, where a rule gave a whole topic to them; see `limit`.
        defers: classes that may be parked, also out of their rings, where there is a producer; see Eviction.
        ttl_seconds: bulk records older than that are dropped and counted as expired; 0: none is.

    Raises:
        ConfigError: librdkafka refuses a property.
        BrokerError: the client cannot subscribe.
        ValueError: not one or two subscriptions.
    """

    def __init__(
        self,
        subscriptions: Sequence[tuple[Mapping[str, str], Sequence[str]]],
        rules: RuleTable,
        rings: Rings,
        ledger: Ledger,
        *,
        format: str = "ndjson",  # noqa: A002
        start: str = "earliest",
        find_ends: bool = False,
        gate: Gate | None = None,
        producer: Producer | None = None,
        waits: Collection[int] = (),
        defers: Collection[int] = (),
        ttl_seconds: float = 0.0,
    ) -> None: ...
    @property
    def rings(self) -> Rings: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def mailbox(self) -> Mailbox: ...
    def start(self) -> None:
        """Starts the thread."""
    @property
    def notify_fd(self) -> int:
        """Readable when records, notes or the thread's end are there; read it by arm()."""
    def arm(self) -> None:
        """Asks for one more signal. Look at the rings after this, not before."""
    def watch(self, dispatcher: Dispatcher) -> None:
        """Lets the dispatcher, and the producer, wake the reader when they made room for a held lane."""
    def stand(self) -> None:
        """Stops reading. The group is still served and settled offsets are still stored."""
    def close(self) -> None:
        """Stores the last offsets, leaves the group and ends the thread within eleven seconds. See `join`."""
    def join(self, timeout: float) -> bool:
        """Waits for the thread. False: it hangs in librdkafka, and the process can only be left by os._exit."""
    def notes(self) -> list[tuple[str, int, int, str]]:
        """``(kind, code, number, text)`` since the last call; kinds as in mailbox.pxd."""
    @property
    def stands(self) -> bool: ...
    @property
    def ended(self) -> bool:
        """The thread has ended."""
    @property
    def failed(self) -> bool:
        """librdkafka cannot go on; a note of kind ``fatal`` says why."""
    @property
    def assignment_age(self) -> float | None:
        """Seconds since the assignment last changed; None: a handle had none yet, or it is changing."""
    def awaiting(self) -> tuple[float | None, ...]:
        """By handle: seconds that it waits for an assignment, since the start or a revocation; None: it does not.

        With KIP-848 waits at the start and after a loss are not known: who gets no partitions hears nothing.
        """
    def topics(self, timeout: float, every: bool) -> set[str] | None:
        """Asks a broker for the cluster's topics; None: no broker answers within `timeout` seconds.

        Blocks, so not for the event loop's thread; `close` waits for it.

        Args:
            every: False: only whether one answers; the set holds what librdkafka asks for by itself.
        """
    @property
    def uncommitted(self) -> bool:
        """The last commit that Kafka, or the client in its place, answered was a failure."""
    @property
    def rebalances(self) -> dict[str, int]:
        """How often partitions were assigned, revoked and lost, over both handles."""
    @property
    def heartbeat_age(self) -> float:
        """Seconds since the thread began its last round."""
    @property
    def stale(self) -> int:
        """Messages that arrived for partitions which were no longer ours."""
    @property
    def headerless(self) -> tuple[int, bool]: ...
    @property
    def refetched(self) -> int:
        """Messages that arrived a second time and were dropped."""
    @property
    def topic_count(self) -> int: ...
    def lanes(self) -> list[LaneState]:
        """Every lane; their order never changes, new ones come last."""
    def order(self, lane: int, reason: str | None, pause: bool = False) -> None:
        """Holds a lane, by its place in `lanes`, until told otherwise; `reason` None: no more.

        The reader's thread obeys in its next round, at once. With `pause` it also tells librdkafka to pause the
        lane's partitions: what was fetched ahead is let go, and fetched again later.

        Raises:
            IndexError: there is no such lane.
            KeyError: a reason other than ring, span, budget, app-down and operator.
        """
    def limit(self, klass: int, rate: float | None) -> None:
        """How fast the topics may be read that a rule gave to a class and that can wait in Kafka: records/s over all of
        them; None: as fast as they can.

        Raises:
            IndexError: there is no such class.
        """
    def replay(self, rate: float) -> None:
        """How fast the parking topic may be read, in records/s. 0, as it begins: not at all."""
    def park_overflow(self, classes: Collection[int]) -> None:
        """Classes of which records are parked that find their ring full; of the others such a one holds its lane."""
