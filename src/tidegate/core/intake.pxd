# Intake: the way of a message from a lane's queue into a ring.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.lanes cimport Lanes, tg_lane
from tidegate.core.ledger cimport tg_slot
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.rdkafka cimport rd_kafka_message_t
from tidegate.core.ring cimport tg_record
from tidegate.core.rules cimport tg_header, tg_verdict

cdef enum:
    TG_CARRY_BYTES = 1 << 20     # taken from a lane at once, by the size of the last ones: its queue refills behind it
    TG_HEADERS = 32              # room for headers at first; it grows
    TG_MEND_NS = 1000000000      # after what could not be read it is asked for again, then after twice as long,
    TG_MEND_DOUBLINGS = 5        # so often
    TG_PROBE = 4096              # one in so many records without headers is asked for them all the same

cdef class Intake(Lanes):
    cdef Mailbox mailbox
    cdef bint keep_key
    cdef bint keep_headers
    cdef bint want_headers
    cdef int level
    cdef tg_header *headers              # of the message in hand
    cdef size_t header_room
    cdef bint peek                       # the byte behind a value can be trusted: see _headerless
    cdef uint64_t headerless             # records that it said have none
    cdef uint64_t refetched              # messages that had been read before

    cdef int read(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef void look(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef void shed(self, tg_lane *lane) noexcept nogil
    cdef bint _take(self, tg_lane *lane, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil
    cdef bint _rewound(self, tg_lane *lane, tg_slot **slot, int64_t offset) noexcept nogil
    cdef bint _headerless(self, rd_kafka_message_t *message) noexcept nogil
    cdef size_t _gather(self, rd_kafka_message_t *message, size_t *block_bytes) noexcept nogil
    cdef void _trouble(self, tg_lane *lane, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil
    cdef void _stuck(self, tg_lane *lane, tg_slot *slot, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil
