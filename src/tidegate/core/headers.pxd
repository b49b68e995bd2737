# Headers: what is known of the headers of the message in hand.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from tidegate.core.lanes cimport Lanes
from tidegate.core.ledger cimport Ledger
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.rdkafka cimport rd_kafka_message_t
from tidegate.core.ring cimport Rings
from tidegate.core.rules cimport RuleTable, tg_header

cdef enum:
    TG_HEADERS = 32              # room for headers at first; it grows
    TG_PROBE = 4096              # one in so many records without headers is asked for them all the same

cdef class Headers(Lanes):
    cdef Mailbox mailbox
    cdef bint keep_headers
    cdef bint want_headers
    cdef tg_header *headers              # owns the array, borrows from the message in hand
    cdef size_t header_room
    cdef bint peek                       # the byte behind a value can be trusted: see _headerless
    cdef uint64_t headerless             # records that it said have none

    cdef bint _headerless(self, rd_kafka_message_t *message) noexcept nogil
    cdef size_t _gather(self, rd_kafka_message_t *message, size_t *block_bytes) noexcept nogil
