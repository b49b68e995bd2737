# Intake: the way of a message from a lane's queue into a ring.

from libc.stdint cimport int64_t, uint64_t

from tidegate.core.admission cimport Admission
from tidegate.core.lanes cimport tg_lane
from tidegate.core.ledger cimport tg_lane_counts
from tidegate.core.rdkafka cimport rd_kafka_message_t
from tidegate.core.rules cimport tg_verdict
from tidegate.core.slots cimport tg_slot

cdef enum:
    TG_CARRY_BYTES = 1 << 20     # taken from a lane at once, by the size of the last ones: its queue refills behind it
    TG_MEND_NS = 1000000000      # after what could not be read it is asked for again, then after twice as long,
    TG_MEND_DOUBLINGS = 5        # so often

cdef class Intake(Admission):
    cdef uint64_t refetched              # messages that had been read before

    cdef int read(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef void look(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef void shed(self, tg_lane *lane) noexcept nogil
    cdef bint _take(self, tg_lane *lane, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil
    cdef void _note_read(self, tg_lane_counts *counts, const tg_verdict *verdict, int64_t now_ns) noexcept nogil
    cdef bint _rewound(self, tg_lane *lane, tg_slot **slot, int64_t offset) noexcept nogil
    cdef void _trouble(self, tg_lane *lane, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil
    cdef void _stuck(self, tg_lane *lane, tg_slot *slot, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil
