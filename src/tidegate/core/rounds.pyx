"""Rounds: what the thread that reads does, again and again, without the GIL.

A round serves every handle's consumer queue, does what the control ordered, reads one batch from each lane that is not
held, stores the offsets that were settled, and sleeps in poll(2) on one descriptor when there was nothing to do: lane
queues, consumer queues and the event loop all write to it. It waits for nothing else, so neither a stalled event loop
nor a full ring can cost the membership of the group.
"""

import os
import threading

from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from tidegate.core.atomic cimport tg_fence, tg_load_i32, tg_store_i32, tg_store_i64, tg_swap_i32
from tidegate.core.csrc cimport (
    TG_SCAN_GRAMMAR,
    TG_SCAN_STRUCTURE,
    tg_wakeup_clear,
    tg_wakeup_close,
    tg_wakeup_open,
    tg_wakeup_wake,
)
from tidegate.core.gate cimport Gate
from tidegate.core.lanes cimport TG_ORDER_PAUSE, holds_itself, tg_lane
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
    POLL_MS = 100
    SWEEP_NS = 200000000
    COUNT_NS = 50000000   # the control looks every 100 ms
    CLOSE_NS = 11000000000  # four seconds of it may pass with the last commit
    STEP_NS = 100000000   # the wall clock goes back by more: it was set, not slewed


cdef int64_t clock_ns(clockid_t clock=CLOCK_MONOTONIC) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef class Rounds:
    """Base of Reader, which has the arguments; not made by itself."""

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
        if (problem := tg_wakeup_open(&self._wake_up) or tg_wakeup_open(&self._notify)) != 0:
            raise OSError(problem, os.strerror(problem))
        self._armed = 1
        self._beat_ns = clock_ns()
        self._wall_ahead_ns = clock_ns(CLOCK_REALTIME) - clock_ns()
        self._asking = threading.Lock()
        if not 1 <= len(subscriptions) <= 2:
            raise ValueError(f"one or two subscriptions, not {len(subscriptions)}")
        self._two = len(subscriptions) == 2
        made = [
            Handle(number, properties, topics, self.intake, self.mailbox, start=start, find_ends=find_ends,
                   wake_fd=self._wake_up.wake_fd)
            for number, (properties, topics) in enumerate(subscriptions)
        ]
        self._first, self._second = made[0], made[len(made) - 1]

    def __dealloc__(self):
        # Not while librdkafka may still write to it: a client that did not close, or was never started, is left.
        if self._done and not self._close_timed_out:
            tg_wakeup_close(&self._wake_up)
            tg_wakeup_close(&self._notify)

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
                    tg_wakeup_wake(self._notify.wake_fd)
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
                tg_wakeup_wake(self._notify.wake_fd)
            if worked == 0:
                self._sleep(5 if phase == CLOSING else POLL_MS)
        if not self._close_timed_out:
            self.intake.clear()
            self._first.destroy()
            if self._two:
                self._second.destroy()
        tg_store_i32(&self._done, 1)
        tg_wakeup_wake(self._notify.wake_fd)

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
        waiting.fd, waiting.events, waiting.revents = self._wake_up.wait_fd, POLLIN, 0
        if poll(&waiting, 1, timeout_ms) > 0:
            tg_wakeup_clear(&self._wake_up)
