"""Reader: the thread that owns the consumers and fills the rings, without the GIL.

A round serves every handle's consumer queue, does what the control ordered, reads one batch from each lane that is not
held, stores the offsets that were settled, and sleeps in poll(2) on one descriptor when there was nothing to do: lane
queues, consumer queues and the event loop all write to it. It waits for nothing else, so neither a stalled event loop
nor a full ring can cost the membership of the group.
"""

import os
import threading

from libc.stdint cimport int32_t, int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, clockid_t, timespec
from posix.unistd cimport close, read, write

from tidegate.core.atomic cimport tg_fence, tg_load_i32, tg_load_i64, tg_store_i32, tg_store_i64, tg_swap_i32
from tidegate.core.csrc cimport TG_SCAN_GRAMMAR, TG_SCAN_STRUCTURE
from tidegate.core.dispatcher cimport Dispatcher
from tidegate.core.gate cimport Gate
from tidegate.core.handle cimport Handle
from tidegate.core.intake cimport Intake
from tidegate.core.lanes cimport TG_ORDER_PAUSE, TG_REPLAY, holds_itself, tg_lane
from tidegate.core.ledger cimport Ledger
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.producer cimport Producer
from tidegate.core.rdkafka cimport rd_kafka_metadata_t
from tidegate.core.ring cimport Rings
from tidegate.core.rules cimport RuleTable

from tidegate.core.process import name_thread

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms)
    short POLLIN

cdef enum:
    READING = 0
    STANDING = 1      # no more reading; the group is still served, offsets are still stored
    CLOSING = 2
    POLL_MS = 100
    SWEEP_NS = 200000000
    COUNT_NS = 50000000   # the control looks every 100 ms
    CLOSE_NS = 11000000000  # four seconds of it may pass with the last commit
    STEP_NS = 100000000   # the wall clock goes back by more: it was set, not slewed


cdef int64_t clock_ns(clockid_t clock=CLOCK_MONOTONIC) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef class Reader:
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

    cdef readonly Rings rings
    cdef readonly Ledger ledger
    cdef readonly Mailbox mailbox
    cdef Producer _producer     # None: nothing is parked
    cdef bint _parks
    cdef Intake intake
    cdef Handle _first          # one handle, or two (decision 4): critical and high topics apart from the others
    cdef Handle _second
    cdef bint _two
    cdef int _wake_fd           # the reader sleeps on it
    cdef int _notify_fd         # the event loop sleeps on it
    cdef int32_t _armed         # the event loop wants to be told of new records
    cdef int32_t _room_wanted   # a lane is held: the dispatcher tells when it made room
    cdef int32_t _phase
    cdef int32_t _stands        # the round that was under way when it was told to stand is over
    cdef int32_t _done
    cdef bint _failed
    cdef bint _close_timed_out
    cdef int64_t _beat_ns
    cdef int64_t _wall_ahead_ns  # wall clock less monotonic clock, when last looked at
    cdef object _thread
    cdef object _asking         # held while a question to the brokers is under way: the client must outlive it

    def __init__(self, subscriptions, RuleTable rules not None, Rings rings not None, Ledger ledger not None, *,
                 str format="ndjson", str start="earliest", bint find_ends=False, Gate gate=None,
                 Producer producer=None, waits=(), defers=(), double ttl_seconds=0.0):
        self.rings, self.ledger = rings, ledger
        self.mailbox = Mailbox()
        envelope = format == "envelope"
        self.intake = Intake(rings, ledger, rules, self.mailbox, keep_key=envelope, keep_headers=envelope,
                             level=TG_SCAN_STRUCTURE if format == "ndjson" else TG_SCAN_GRAMMAR, gate=gate,
                             producer=producer, waits=waits, defers=defers, ttl_seconds=ttl_seconds)
        self._producer, self._parks = producer, producer is not None
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._notify_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._armed = 1
        self._beat_ns = clock_ns()
        self._wall_ahead_ns = clock_ns(CLOCK_REALTIME) - clock_ns()
        self._asking = threading.Lock()
        if not 1 <= len(subscriptions) <= 2:
            raise ValueError(f"one or two subscriptions, not {len(subscriptions)}")
        self._two = len(subscriptions) == 2
        made = [
            Handle(number, properties, topics, self.intake, self.mailbox, start=start, find_ends=find_ends,
                   wake_fd=self._wake_fd)
            for number, (properties, topics) in enumerate(subscriptions)
        ]
        self._first, self._second = made[0], made[len(made) - 1]

    def __dealloc__(self):
        # Not while librdkafka may still write to it: a client that did not close, or was never started, is left.
        if self._done and not self._close_timed_out:
            close(self._wake_fd)
            close(self._notify_fd)

    # --- the thread -------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the thread."""
        self._first.await_assignment(clock_ns(), True)
        if self._two:
            self._second.await_assignment(clock_ns(), True)
        self._thread = threading.Thread(target=self._run, name="tidegate-reader", daemon=True)
        self._thread.start()

    def _run(self):
        name_thread("tidegate-reader")
        with nogil:
            self._loop()

    cdef void _loop(self) noexcept nogil:
        cdef int64_t now_ns, sweep_ns = 0, count_ns = 0, close_by_ns = 0
        cdef int worked, phase
        while True:
            now_ns = clock_ns()
            tg_store_i64(&self._beat_ns, now_ns)
            phase = tg_load_i32(&self._phase)
            if phase != READING and not self._stands:
                tg_store_i32(&self._stands, 1)
            if phase == CLOSING:
                if close_by_ns == 0:
                    close_by_ns = now_ns + CLOSE_NS
                    self.intake.clear()
                    self._first.begin_close(now_ns)
                    if self._two:
                        self._second.begin_close(now_ns)
                elif self._first.closed and (not self._two or self._second.closed):
                    break
                elif now_ns >= close_by_ns:
                    self._close_timed_out = True
                    break
            self._first.serve(now_ns)
            if self._two:
                self._second.serve(now_ns)
            if self._first.failed or self._second.failed:
                self._failed = True
            worked = 0
            if phase == READING and not self._failed:
                worked = self._round(now_ns)
                if worked and tg_load_i32(&self._armed) and tg_swap_i32(&self._armed, 0):
                    self._signal(self._notify_fd)
            if now_ns - count_ns >= COUNT_NS:
                count_ns = now_ns
                self.intake.count_queued()
            if now_ns - sweep_ns >= SWEEP_NS:
                sweep_ns = now_ns
                if phase != CLOSING:
                    self._follow_wall_clock()
                self._first.sweep()
                if self._two:
                    self._second.sweep()
            self.mailbox.flush()
            if self.mailbox._head != self.mailbox._tail:
                self._signal(self._notify_fd)
            if worked == 0:
                self._sleep(5 if phase == CLOSING else POLL_MS)
        if not self._close_timed_out:
            self.intake.clear()
            self._first.destroy()
            if self._two:
                self._second.destroy()
        tg_store_i32(&self._done, 1)
        self._signal(self._notify_fd)

    cdef void _follow_wall_clock(self) noexcept nogil:
        """Wakes librdkafka where the wall clock was put back.

        Its main thread, which sends the heartbeats, sleeps until a time of the wall clock (cnd_timedwait on
        CLOCK_REALTIME): put back by an hour, it would oversleep by an hour, and the membership would be gone.
        """
        cdef int64_t ahead_ns = clock_ns(CLOCK_REALTIME) - clock_ns()
        if ahead_ns < self._wall_ahead_ns - STEP_NS:
            self._wake(self._first)
            if self._two:
                self._wake(self._second)
        self._wall_ahead_ns = ahead_ns

    cdef void _wake(self, Handle handle) noexcept nogil:
        # A question that the main thread answers; of all there are, the one without any effect.
        cdef char *name = handle.rk.memberid(handle.client)
        if name is not NULL:
            handle.rk.mem_free(handle.client, name)

    cdef int _round(self, int64_t now_ns) noexcept nogil:
        """One batch from each lane that is not held. Returns the messages dealt with."""
        cdef int worked = 0, i
        cdef int32_t order
        cdef bint held = False, pause
        cdef tg_lane *lane
        if self._parks:
            worked += self.intake.give_back(now_ns)
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            if lane.queue is NULL:
                continue
            order = tg_load_i32(&lane.order)
            pause = (order & TG_ORDER_PAUSE) != 0
            if pause != lane.paused and now_ns >= lane.pause_after_ns:
                if lane.handle:
                    self._second.pause(lane, pause, now_ns)
                else:
                    self._first.pause(lane, pause, now_ns)
            if (lane.hold or order or lane.paused) and not self.intake.released(lane, now_ns):
                held = held or holds_itself(lane)
                self.intake.look(lane, now_ns)
                continue
            if lane.head_ms >= 0:
                tg_store_i64(&lane.head_ms, -1)
            worked += self.intake.read(lane, now_ns)
            held = held or holds_itself(lane)
        if worked:
            tg_fence()  # what was published is visible before the flag is read: see arm()
        if held and worked == 0:
            # Ask to be woken, then look once more: room made in between would otherwise go unnoticed.
            tg_store_i32(&self._room_wanted, 1)
            tg_fence()
            for i in range(self.intake.lane_count):
                lane = self.intake.lanes[i]
                if holds_itself(lane) and self.intake.released(lane, now_ns):
                    worked += 1
        return worked

    cdef void _sleep(self, int timeout_ms) noexcept nogil:
        cdef pollfd waiting
        cdef uint64_t count
        waiting.fd, waiting.events, waiting.revents = self._wake_fd, POLLIN, 0
        if poll(&waiting, 1, timeout_ms) > 0:
            read(self._wake_fd, &count, sizeof(count))

    cdef void _signal(self, int fd) noexcept nogil:
        cdef uint64_t one = 1
        write(fd, &one, sizeof(one))

    # --- for the event loop -----------------------------------------------------------------------

    @property
    def notify_fd(self) -> int:
        """Readable when records, notes or the thread's end are there; read it, then call arm()."""
        return self._notify_fd

    def arm(self) -> None:
        """Asks for one more signal. Look at the rings after this, not before."""
        cdef uint64_t count
        read(self._notify_fd, &count, sizeof(count))
        tg_store_i32(&self._armed, 1)
        tg_fence()

    def watch(self, Dispatcher dispatcher not None) -> None:
        """Lets the dispatcher, and the producer, wake the reader when they made room for a held lane."""
        dispatcher._watch(self, &self._room_wanted, self._wake_fd)
        if self._producer is not None:
            self._producer._watch(self, &self._room_wanted, self._wake_fd)

    def stand(self) -> None:
        """Stops reading. The group is still served and settled offsets are still stored. See `stands`."""
        tg_store_i32(&self._phase, STANDING)
        self._signal(self._wake_fd)

    @property
    def stands(self) -> bool:
        """Nothing more will come into the rings."""
        return tg_load_i32(&self._stands) != 0 or self.ended

    def close(self) -> None:
        """Stores the last offsets, leaves the group and ends the thread within eleven seconds. See `join`."""
        with self._asking:
            tg_store_i32(&self._phase, CLOSING)
        self._signal(self._wake_fd)

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
        self._signal(self._wake_fd)

    def limit(self, int klass, rate) -> None:
        """How fast the topics may be read that a rule gave to a class and that can wait in Kafka: records/s over all of
        them; None: as fast as they can.

        Raises:
            IndexError: there is no such class.
        """
        if klass >= TG_REPLAY:
            raise IndexError(f"there is no class {klass}")
        self.intake.limit(klass, rate)
        self._signal(self._wake_fd)

    def replay(self, double rate) -> None:
        """How fast the parking topic may be read, in records/s. 0, as it begins: not at all."""
        self.intake.limit(TG_REPLAY, rate)
        self._signal(self._wake_fd)

    def park_overflow(self, classes) -> None:
        """Classes of which records are parked that find their ring full; of the others such a one holds its lane."""
        self.intake.park_overflow(classes)
