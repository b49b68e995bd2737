# Rounds: what the thread that reads does, again and again.

from libc.stdint cimport int32_t, int64_t
from posix.time cimport clockid_t

from tidegate.core.csrc cimport tg_wakeup
from tidegate.core.handle cimport Handle
from tidegate.core.intake cimport Intake
from tidegate.core.ledger cimport Ledger
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.producer cimport Producer
from tidegate.core.ring cimport Rings

cdef enum:
    READING = 0
    STANDING = 1      # no more reading; the group is still served, offsets are still stored
    CLOSING = 2

cdef int64_t clock_ns(clockid_t clock=*) noexcept nogil

cdef class Rounds:
    cdef readonly Rings rings
    cdef readonly Ledger ledger
    cdef readonly Mailbox mailbox
    cdef Producer _producer     # None: nothing is parked
    cdef bint _parks
    cdef Intake intake
    cdef Handle _first          # one handle, or two (decision 4): critical and high topics apart from the others
    cdef Handle _second
    cdef bint _two
    cdef tg_wakeup _wake_up     # the reader sleeps on it
    cdef tg_wakeup _notify      # the event loop sleeps on it
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

    cdef void _loop(self) noexcept nogil
    cdef void _follow_wall_clock(self) noexcept nogil
    cdef void _wake(self, Handle handle) noexcept nogil
    cdef int _round(self, int64_t now_ns) noexcept nogil
    cdef void _sleep(self, int timeout_ms) noexcept nogil
