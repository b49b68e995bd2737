"""An embedded Kafka broker: librdkafka's mock cluster, in this process, for the demo and for tests.

confluent-kafka's own face to it (the property ``test.mock.num.brokers``) neither chooses partition counts nor shortens
the three seconds that a new group waits for members, so the few C functions that do are called through ctypes, on
the very library that confluent-kafka has loaded.

What it is not: **the mock evicts silently.** A partition keeps at most ``PARTITION_CAPACITY_BYTES`` or
``PARTITION_CAPACITY_RECORDS``, whichever is reached first, and then forgets its oldest message sets. Size partitions
so that the peak backlog stays under half of either. Aborted transactions are not hidden from ``read_committed``
readers, topics are never compacted, and nothing survives ``close``. A (classic) group that a member has left takes in
new members only after its session timeout less one second: restart members with a short ``session.timeout.ms``.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Mapping
from functools import cache
from types import TracebackType
from typing import Any, Final, Self

from tidegate.errors import BrokerError

PARTITION_CAPACITY_BYTES: Final = 5 * 1024 * 1024
PARTITION_CAPACITY_RECORDS: Final = 100_000

_PRODUCER: Final = 0  # rd_kafka_type_t; the handle is only the home of the mock cluster's thread
_ERRSTR_BYTES: Final = 512
_FAILED: Final = "embedded-broker-failed"

# name: (result, arguments), from rdkafka.h and rdkafka_mock.h
_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "rd_kafka_conf_new": (ctypes.c_void_p, []),
    "rd_kafka_conf_set_log_cb": (None, [ctypes.c_void_p, ctypes.c_void_p]),
    "rd_kafka_new": (ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [ctypes.c_void_p]),
    "rd_kafka_err2str": (ctypes.c_char_p, [ctypes.c_int]),
    "rd_kafka_mock_cluster_new": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
    "rd_kafka_mock_cluster_destroy": (None, [ctypes.c_void_p]),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, [ctypes.c_void_p]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [ctypes.c_void_p, ctypes.c_int32]),
    "rd_kafka_mock_topic_create": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
    "rd_kafka_mock_partition_set_leader": (
        ctypes.c_int,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32],
    ),
    "rd_kafka_mock_broker_set_down": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32]),
    "rd_kafka_mock_broker_add": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32]),
    "rd_kafka_mock_broker_remove_from_metadata": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32]),
    "rd_kafka_mock_coordinator_set": (
        ctypes.c_int,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int32],
    ),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        [ctypes.c_void_p, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)],
    ),
}


@cache
def _library() -> ctypes.CDLL:
    """librdkafka as confluent-kafka loaded it; never a second copy.

    ``dlsym`` on the handle of the extension module also searches the libraries that it depends on, wherever the
    wheel has put them. ``RTLD_NOLOAD`` makes sure that nothing new is mapped.
    """
    from confluent_kafka import cimpl  # heavy: only the demo and tests get here

    try:
        lib = ctypes.CDLL(cimpl.__file__, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(lib, name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError) as e:
        raise BrokerError(
            f"this build of confluent-kafka has no embedded broker: {e}",
            code="no-embedded-broker",
            hint="install confluent-kafka from its wheel on PyPI, or set TIDEGATE_KAFKA_BOOTSTRAP_SERVERS",
        ) from e
    return lib


class EmbeddedBroker:
    """A mock Kafka cluster with the given topics; stops with ``close``, the ``with`` block or the process.

    ``topics`` maps names to partition counts; a client that names an unknown topic creates it with 4 partitions.
    ``brokers`` are numbered from 1. Raises ``BrokerError`` where the library refuses. Methods may be called from
    any thread, but not beside ``close``.
    """

    def __init__(self, topics: Mapping[str, int] | None = None, brokers: int = 1) -> None:
        lib = _library()
        conf = lib.rd_kafka_conf_new()
        lib.rd_kafka_conf_set_log_cb(conf, None)  # clients that come and go would fill stderr
        errstr = ctypes.create_string_buffer(_ERRSTR_BYTES)
        handle = lib.rd_kafka_new(_PRODUCER, conf, errstr, _ERRSTR_BYTES)  # steals conf
        if not handle:
            raise BrokerError(f"the embedded broker did not start: {errstr.value.decode()}", code=_FAILED)
        cluster = lib.rd_kafka_mock_cluster_new(handle, brokers)
        if not cluster:
            lib.rd_kafka_destroy(handle)
            raise BrokerError(f"the embedded broker did not start with {brokers} brokers", code=_FAILED)
        self._lib = lib
        self._cluster: int | None = cluster
        self._brokers = brokers
        self._finalizer: Callable[[], Any] = weakref.finalize(self, _destroy, lib, handle, cluster, os.getpid())
        lib.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
        self.bootstrap_servers: str = lib.rd_kafka_mock_cluster_bootstraps(cluster).decode()
        try:
            for name, partitions in (topics or {}).items():
                self.create_topic(name, partitions)
        except BaseException:
            self.close()
            raise

    def create_topic(self, name: str, partitions: int) -> None:
        """Adds a topic whose partitions are replicated to every broker."""
        error = self._lib.rd_kafka_mock_topic_create(self._live(), name.encode(), partitions, self._brokers)
        self._check(error, f"create topic {name} with {partitions} partitions")

    def set_broker_down(self, broker: int) -> None:
        """Closes the broker's connections and refuses new ones until ``set_broker_up``."""
        self._check(self._lib.rd_kafka_mock_broker_set_down(self._live(), broker), f"take broker {broker} down")

    def set_broker_up(self, broker: int) -> None:
        """Lets a broker accept connections again; what its partitions held is still there."""
        self._check(self._lib.rd_kafka_mock_broker_set_up(self._live(), broker), f"bring broker {broker} up")

    def add_broker(self, broker: int) -> None:
        """One more broker, which leads nothing yet."""
        self._check(self._lib.rd_kafka_mock_broker_add(self._live(), broker), f"add broker {broker}")

    def hide_broker(self, broker: int) -> None:
        """Leaves the broker out of what clients are told, as Kafka does with one that is fenced; it still answers."""
        error = self._lib.rd_kafka_mock_broker_remove_from_metadata(self._live(), broker)
        self._check(error, f"hide broker {broker}")

    def set_coordinator(self, group: str, broker: int) -> None:
        """Moves a group to another broker."""
        error = self._lib.rd_kafka_mock_coordinator_set(self._live(), b"group", group.encode(), broker)
        self._check(error, f"make broker {broker} coordinate {group}")

    def set_leader(self, topic: str, partition: int, broker: int) -> None:
        """Moves a partition's leadership; clients learn it from the errors they get or the next metadata refresh."""
        error = self._lib.rd_kafka_mock_partition_set_leader(self._live(), topic.encode(), partition, broker)
        self._check(error, f"make broker {broker} lead {topic}[{partition}]")

    def push_errors(self, api_key: int, *errors: int) -> None:
        """The next requests of this kind (Kafka's ApiKey) fail with these Kafka error codes, one each."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._lib.rd_kafka_mock_push_request_errors_array(self._live(), api_key, len(errors), codes)

    def close(self) -> None:
        """Ends the cluster and forgets its records. Clients that are still connected see it as unreachable."""
        self._cluster = None
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _live(self) -> int:
        if self._cluster is None:  # a null pointer would end the process
            raise BrokerError("the embedded broker is closed", code="embedded-broker-closed")
        return self._cluster

    def _check(self, error: int, attempt: str) -> None:
        if error:
            reason = self._lib.rd_kafka_err2str(error).decode()
            raise BrokerError(f"the embedded broker cannot {attempt}: {reason}", code=_FAILED)


def _destroy(lib: ctypes.CDLL, handle: int, cluster: int, owner: int) -> None:
    if os.getpid() == owner:  # librdkafka's threads do not survive a fork: a child must leave the handle alone
        lib.rd_kafka_mock_cluster_destroy(cluster)
        lib.rd_kafka_destroy(handle)
