# Dispatcher: records out of the rings into batches.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t

from tidegate.core.batch cimport Batch
from tidegate.core.csrc cimport tg_decimal_memo
from tidegate.core.delays cimport Delays
from tidegate.core.ledger cimport Ledger
from tidegate.core.ring cimport TG_CLASSES, Rings, tg_record
from tidegate.core.schedule cimport Schedule

cdef class Dispatcher:
    cdef readonly Rings rings
    cdef readonly Ledger ledger
    cdef readonly Schedule schedule
    cdef readonly Delays delays
    cdef readonly int format
    cdef readonly uint32_t max_records
    cdef uint32_t _batch_records              # of a batch at present, 1 to max_records
    cdef readonly size_t max_bytes
    cdef readonly int64_t linger_ns
    cdef public bint draining
    cdef object _reader                       # keeps alive what the next two belong to
    cdef int _reader_fd                       # written to when room was made for a held lane; -1: none
    cdef int32_t *_room_wanted                # the reader's flag
    cdef int64_t in_flight[TG_CLASSES]
    cdef set _out                             # batches that are neither settled nor discarded
    cdef int64_t _test_now_ns                 # where a test stopped the clock; 0: it runs
    cdef tg_decimal_memo _weights

    cdef int64_t _now(self) noexcept nogil
    cdef int64_t _given(self, int klass) noexcept nogil
    cdef void _made_room(self) noexcept nogil
    cdef tg_record *_head(self, int klass) noexcept nogil
    cdef int _ready(self, int classes, int64_t now_ns, int64_t *waited_ns) noexcept nogil
    cdef Batch _build(self, int klass, int64_t now_ns)
    cdef void _watch(self, object reader, int32_t *wanted, int fd) noexcept
