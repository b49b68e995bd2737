"""Reader: the thread that owns the consumers and fills the rings, as the event loop sees it."""

import threading

from libc.stdint cimport int32_t, int64_t

from tidegate.core.atomic cimport tg_fence, tg_load_i32, tg_load_i64, tg_store_i32
from tidegate.core.csrc cimport tg_wakeup_clear, tg_wakeup_wake
from tidegate.core.dispatcher cimport Dispatcher
from tidegate.core.handle cimport Handle
from tidegate.core.lanes cimport TG_REPLAY
from tidegate.core.rdkafka cimport rd_kafka_metadata_t
from tidegate.core.rounds cimport CLOSING, STANDING, Rounds, clock_ns


cdef class Reader(Rounds):
    """Reads Kafka into the rings.

    Args:
        subscriptions: for each consumer handle, one or two, ``(librdkafka properties, topics)``; one group,
            disjoint topics.
        format: the body's format; ``"json"`` and ``"envelope"`` need the whole grammar checked, and the envelope
            needs keys and headers kept.
        start: ``"earliest"`` or ``"latest"``, where a partition has no committed offset.
        find_ends: note every partition's end at its assignment.
        gate: who decides what is parked or sampled; None: all is delivered.
        producer: of the parking topic, which has to be among a subscription's; None: nothing is parked.
        waits: classes whose topics can wait in Kafka, where a rule gave a whole topic to them; see `limit`.
        defers: classes that may be parked, also out of their rings; see Eviction.
        ttl_seconds: bulk records older than that are dropped and counted as expired; 0: none is.

    Raises:
        ConfigError, BrokerError: as Handle.
    """

    def start(self) -> None:
        """Starts the thread."""
        self._first.await_assignment(clock_ns(), True)
        if self._two:
            self._second.await_assignment(clock_ns(), True)
        self._thread = threading.Thread(target=self._run, name="tidegate-reader", daemon=True)
        self._thread.start()

    @property
    def notify_fd(self) -> int:
        """Readable when records, notes or the thread's end are there; read it, then call arm()."""
        return self._notify.wait_fd

    def arm(self) -> None:
        """Asks for one more signal. Look at the rings after this, not before."""
        tg_wakeup_clear(&self._notify)
        tg_store_i32(&self._armed, 1)
        tg_fence()

    def watch(self, Dispatcher dispatcher not None) -> None:
        """Lets the dispatcher, and the producer, wake the reader when they made room for a held lane."""
        dispatcher._watch(self, &self._room_wanted, self._wake_up.wake_fd)
        if self._producer is not None:
            self._producer._watch(self, &self._room_wanted, self._wake_up.wake_fd)

    def stand(self) -> None:
        """Stops reading. The group is still served and settled offsets are still stored. See `stands`."""
        tg_store_i32(&self._phase, STANDING)
        tg_wakeup_wake(self._wake_up.wake_fd)

    @property
    def stands(self) -> bool:
        """Nothing more will come into the rings."""
        return tg_load_i32(&self._stands) != 0 or self.ended

    def close(self) -> None:
        """Stores the last offsets, leaves the group and ends the thread within eleven seconds. See `join`."""
        with self._asking:
            tg_store_i32(&self._phase, CLOSING)
        tg_wakeup_wake(self._wake_up.wake_fd)

    def join(self, timeout: float) -> bool:
        """Waits for the thread. False: it hangs in librdkafka, and the process can only be left by os._exit."""
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive() and not self._close_timed_out
        return True

    def notes(self) -> list:
        """``(kind, code, number, text)`` since the last call; kinds as in mailbox.pxd."""
        return self.mailbox.drain()

    @property
    def ended(self) -> bool:
        """The thread has ended."""
        return tg_load_i32(&self._done) != 0

    @property
    def failed(self) -> bool:
        """librdkafka cannot go on; a note of kind ``fatal`` says why."""
        return self._failed

    @property
    def assignment_age(self):
        """Seconds since the assignment last changed; None: a handle had none yet, or it is changing."""
        cdef int64_t changed_ns = min(self._first.changed_ns, self._second.changed_ns)
        if changed_ns == 0 or self._first.changing() or self._second.changing():
            return None
        return (clock_ns() - max(self._first.changed_ns, self._second.changed_ns)) / 1e9

    def awaiting(self) -> tuple:
        """By handle: seconds that it waits for an assignment, since the start or a revocation; None: it does not."""
        return tuple(self._awaiting(handle) for handle in ([self._first, self._second] if self._two else [self._first]))

    cdef object _awaiting(self, Handle handle):
        cdef int64_t since_ns = tg_load_i64(&handle.awaiting_ns)
        return None if since_ns == 0 else (clock_ns() - since_ns) / 1e9

    def topics(self, float timeout, bint every):
        """Asks a broker for the cluster's topics; None: no broker answers within `timeout` seconds.

        Blocks, so not for the event loop's thread; `close` waits for it.

        Args:
            every: False: only whether one answers; the set holds what librdkafka asks for by itself.
        """
        cdef const rd_kafka_metadata_t *found = NULL
        cdef Handle handle = self._first
        cdef int timeout_ms = <int>(timeout * 1000)
        cdef int32_t err
        cdef int i
        with self._asking:
            if tg_load_i32(&self._phase) == CLOSING:
                return None
            with nogil:
                err = handle.rk.metadata(handle.client, every, NULL, &found, timeout_ms)
            if err:
                return None
            names = {found.topics[i].topic.decode("utf-8", "replace") for i in range(found.topic_cnt)
                     if found.topics[i].err == 0}
            handle.rk.metadata_destroy(found)
            return names

    @property
    def uncommitted(self) -> bool:
        """The last commit that Kafka, or the client in its place, answered was a failure."""
        return self._first.commit_err != 0 or self._second.commit_err != 0

    @property
    def rebalances(self) -> dict:
        """How often partitions were assigned, revoked and lost, over both handles."""
        cdef Handle other = self._second if self._two else None
        return {
            "assigned": self._first.assignments + (other.assignments if other is not None else 0),
            "revoked": self._first.revocations + (other.revocations if other is not None else 0),
            "lost": self._first.losses + (other.losses if other is not None else 0),
        }

    @property
    def heartbeat_age(self) -> float:
        """Seconds since the thread began its last round."""
        return (clock_ns() - tg_load_i64(&self._beat_ns)) / 1e9

    @property
    def stale(self) -> int:
        """Messages that arrived for partitions which were no longer ours."""
        return self.intake.stale

    @property
    def headerless(self) -> tuple:
        """``(records that were taken to have no headers without asking librdkafka, whether this is in use)``."""
        return self.intake.headerless, self.intake.peek

    @property
    def refetched(self) -> int:
        """Messages that arrived a second time and were dropped."""
        return self.intake.refetched

    @property
    def topic_count(self) -> int:
        """Topics met so far."""
        return self.intake.lane_count

    def lanes(self) -> list:
        """A LaneState for each lane; their order never changes, new ones come last."""
        return self.intake.report(clock_ns())

    def order(self, int lane, reason, bint pause=False) -> None:
        """Holds a lane, by its place in `lanes`, until told otherwise; `reason` None: no more.

        The reader's thread obeys in its next round, at once. With `pause` it also tells librdkafka to pause the
        lane's partitions: what was fetched ahead is let go, and fetched again later.

        Raises:
            IndexError: there is no such lane.
            KeyError: a reason other than ring, span, budget, app-down and operator.
        """
        self.intake.order(lane, reason, pause)
        tg_wakeup_wake(self._wake_up.wake_fd)

    def limit(self, int klass, rate) -> None:
        """How fast the topics may be read that a rule gave to a class and that can wait in Kafka: records/s over all of
        them; None: as fast as they can.

        Raises:
            IndexError: there is no such class.
        """
        if klass >= TG_REPLAY:
            raise IndexError(f"there is no class {klass}")
        self.intake.limit(klass, rate)
        tg_wakeup_wake(self._wake_up.wake_fd)

    def replay(self, double rate) -> None:
        """How fast the parking topic may be read, in records/s. 0, as it begins: not at all."""
        self.intake.limit(TG_REPLAY, rate)
        tg_wakeup_wake(self._wake_up.wake_fd)

    def park_overflow(self, classes) -> None:
        """Classes of which records are parked that find their ring full; of the others such a one holds its lane."""
        self.intake.park_overflow(classes)
