"""Typed face of producer.pyx. Its C face, for the reader, is in producer.pxd."""

from tidegate.core.ledger import Ledger
from tidegate.core.mailbox import Mailbox
from tidegate.core.parking import ParkingFailure

PROPERTIES: dict[str, str]

class Producer:
    """The native writer of one parking topic.

    Args:
        properties: librdkafka configuration, over PROPERTIES.
        topic: where the records go.
        ledger: what is acknowledged is settled there, as deferred.
        records: most records with the producer at once, rounded up to a power of two; an eighth of them is for what is
            parked out of the rings.
        bytes: most bytes of their keys and envelopes; a record that is larger than all goes alone.
        attempts: how often a record is produced before it goes back to the reader, 1 to 16.
        retry_seconds: before the second attempt, twice as long before each further one, at most 30.
        partitions: of the topic: a record goes to the one with its own partition's number, modulo them; 0: librdkafka
            chooses by the key.

    Raises:
        ConfigError: librdkafka refuses a property.
        KafkaClientError: the client cannot be created.
    """

    def __init__(
        self,
        properties: dict[str, str],
        topic: str,
        ledger: Ledger,
        *,
        records: int = 65536,
        bytes: int = 16 << 20,  # noqa: A002 - as everywhere
        attempts: int = 3,
        retry_seconds: float = 1.0,
        partitions: int = 0,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def mailbox(self) -> Mailbox:
        """What librdkafka logs and complains about; errors of records come from `drain`."""
    @property
    def usable(self) -> bool:
        """False: librdkafka's client has failed for good; see ``renew``."""
    def retire(self) -> bool:
        """Whether the client has failed for good and holds nothing any more; from then on ``drain`` does nothing until
        ``renew``, which has to follow."""
    @property
    def failure(self) -> tuple[str, str, str]:
        """Code, reason and hint of the last client that failed for good, as in ParkingFailure."""
    def renew(self) -> None:
        """Puts another client into the place of one that was retired. In any thread, while nobody calls ``close``; it
        blocks, without the GIL.

        Raises:
            KafkaClientError: there can be no other client now; another turn of both may succeed.
        """
    @property
    def fill(self) -> float:
        """How full it is, in records or in bytes, 0 to 1."""
    @property
    def ended(self) -> int:
        """Records whose way through here has ended since the start, well or not."""
    def rest(self, resting: bool) -> None:
        """Whether nothing is ordered to be parked for now: then lanes do not wait for room here."""
    def find_brokers(self) -> None:
        """Makes ``bootstrap.servers`` known to librdkafka once more, which can forget every broker."""
    def fileno(self) -> int:
        """A descriptor that is readable when `drain` has something to do. It stays this object's."""
    def drain(self) -> list[ParkingFailure]:
        """Settles what Kafka acknowledged, tries again what it did not; failures since the last call, by reason."""
    def stats(self) -> dict[str, int]:
        """Counts since the start (acknowledged, runs, repeated, uncertain, returned, discarded, renewed), and what is
        there now (waiting, bytes, queued)."""
    def close(self, timeout: float) -> list[ParkingFailure]:
        """Waits up to ``timeout`` seconds for what is with Kafka, and discards the rest. When nothing is parked any
        more; it blocks, without the GIL."""
