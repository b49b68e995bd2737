# Mailbox: rare notes from the reader's thread to the event loop, without the GIL and without waiting.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    TG_NOTES = 512
    TG_NOTE_TEXT = 240
    TG_NOTES_WAITING = 65536     # with the writer, at most: 16 MiB

cdef enum:
    NOTE_LOG = 0          # code: syslog level
    NOTE_ERROR = 1        # code: librdkafka's error
    NOTE_FATAL = 2        # the reader cannot go on
    NOTE_ASSIGNED = 3     # code: partitions
    NOTE_REVOKED = 4      # code: partitions
    NOTE_LOST = 5         # code: partitions
    NOTE_HALTED = 6       # a lane stands still for good: text says why
    NOTE_RESET = 7        # a position was out of range; number: records lost (-1: not known yet)
    NOTE_START = 8        # where a partition begins that has no usable committed offset; code: syslog level
    NOTE_UNREADABLE = 9   # the data at a partition's position is damaged; code: librdkafka's error

cdef struct tg_note:
    int32_t kind
    int32_t code
    int64_t number
    char text[TG_NOTE_TEXT]

cdef class Mailbox:
    cdef tg_note _notes[TG_NOTES]
    cdef uint64_t _head      # reader writes
    cdef uint64_t _tail      # event loop writes
    cdef tg_note *_waiting   # owns: what found no room; the writer's, as the next three
    cdef uint32_t _waiting_len
    cdef uint32_t _waiting_room
    cdef uint64_t _dropped
    cdef uint64_t _told      # of those; event loop

    cdef void put(self, int kind, int code, int64_t number, const char *text) noexcept nogil
    cdef bint _room(self) noexcept nogil
    cdef bint _grow(self) noexcept nogil
    cdef void flush(self) noexcept nogil
