# Intake: lanes, and the way of a message from a lane's queue into a ring.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.ledger cimport Ledger, tg_slot
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.rdkafka cimport rd_kafka_message_t, rd_kafka_queue_t, tg_rdkafka
from tidegate.core.ring cimport Rings, tg_record
from tidegate.core.rules cimport RuleTable, tg_header, tg_verdict

cdef enum:
    TG_CARRY = 1000              # messages taken from a lane at once, at most
    TG_CARRY_BYTES = 1 << 20     # and so many bytes, by the size of the last ones: librdkafka's queue refills behind it
    TG_HEADERS = 32              # room for headers at first; it grows
    TG_PROBE = 4096              # one in so many records without headers is asked for them all the same

    TG_FLOWING = 0
    TG_HELD_RING = 1             # the ring of lane.hold_class is full
    TG_HELD_SPAN = 2             # a partition has too many unsettled offsets
    TG_HALTED = 3                # for good: a record that can never be held

cdef struct tg_lane:
    rd_kafka_queue_t *queue
    int32_t number               # the ledger's
    int32_t handle
    int32_t topic_class          # -1: a record's own rules decide
    int32_t topic_rule
    int32_t hold
    int32_t hold_class
    size_t hold_bytes            # payload of the record that found its ring full
    int64_t hold_since_ns
    int64_t held_ns[3]           # by reason, ended holds only
    uint64_t holds
    uint32_t resets              # slots whose position was out of range
    uint32_t carry_at
    uint32_t carry_len
    uint32_t carry_max           # messages to take next
    int32_t partitions           # of the topic, when last asked; 0: not known
    int32_t known                # partitions that the topic had when this process first saw it; -1: not known
    bint met                     # the group has begun to read the topic (start.pyx)
    int64_t unmet_until_ns       # so long the answer counts that it had not, when this process began
    int64_t log[2]               # the topic's id; 0, 0: not known
    int32_t log_number           # how often another log took the topic's name
    bint replaced                # there may be slots of an earlier log
    int64_t void_until_ns        # and offsets of it among the group's: members notice at different times
    tg_slot **slots              # by partition
    int32_t *begun               # by partition: 1 + the log_number of which the group has our start; 0: none
    int32_t slot_room
    rd_kafka_message_t **carry   # taken from the queue, not yet in a ring; at most one batch

cdef class Intake:
    cdef Rings rings
    cdef Ledger ledger
    cdef RuleTable rules
    cdef Mailbox mailbox
    cdef const tg_rdkafka *rk
    cdef tg_lane **lanes
    cdef int lane_count
    cdef bint keep_key
    cdef bint keep_headers
    cdef bint want_headers
    cdef int level
    cdef tg_header *headers              # of the message in hand
    cdef size_t header_room
    cdef bint peek                       # the byte behind a value can be trusted: see _headerless
    cdef uint64_t headerless             # records that it said have none
    cdef uint64_t stale                  # messages of partitions that were no longer ours

    cdef tg_lane *lane_of(self, int handle, const char *topic) noexcept nogil
    cdef tg_lane *_new_lane(self, int handle, str topic) noexcept
    cdef bint place(self, tg_lane *lane, int32_t partition, tg_slot *slot) noexcept nogil
    cdef void forget(self, tg_lane *lane, int32_t partition) noexcept nogil
    cdef int read(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef bint released(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef void clear(self) noexcept nogil
    cdef void _hold(self, tg_lane *lane, int reason, int klass, int64_t now_ns) noexcept nogil
    cdef bint _take(self, tg_lane *lane, rd_kafka_message_t *message, int64_t now_ns) noexcept nogil
    cdef bint _rewound(self, tg_lane *lane, tg_slot **slot, int64_t offset) noexcept nogil
    cdef bint _headerless(self, rd_kafka_message_t *message) noexcept nogil
    cdef size_t _gather(self, rd_kafka_message_t *message, size_t *block_bytes) noexcept nogil
    cdef void _trouble(self, tg_lane *lane, rd_kafka_message_t *message) noexcept nogil
