# Lanes: one per topic, which slots their partitions have, what holds them, what is in hand.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tidegate.core.ledger cimport Ledger
from tidegate.core.producer cimport Producer
from tidegate.core.rdkafka cimport rd_kafka_message_t, rd_kafka_queue_t, tg_rdkafka
from tidegate.core.ring cimport Rings
from tidegate.core.rules cimport RuleTable
from tidegate.core.slots cimport tg_slot

cdef enum:
    TG_CARRY = 1000              # messages taken from a lane at once, at most

    TG_FLOWING = 0
    TG_HELD_RING = 1             # the ring of lane.hold_class is full
    TG_HELD_SPAN = 2             # a partition has too many unsettled offsets
    TG_HELD_PARKING = 3          # a record is to be parked, and the producer takes none
    TG_HALTED = 4                # for good: a record that can never be held
    TG_ORDERED_RING = 5          # the control holds it: the ring of its class is nearly full
    TG_ORDERED_SPAN = 6          # too many unsettled offsets, nearly
    TG_ORDERED_BUDGET = 7        # memory is short
    TG_ORDERED_APP_DOWN = 8      # nobody would take what it brings
    TG_ORDERED_OPERATOR = 9      # somebody said so
    TG_REASONS = 10

    TG_ORDER_REASON = 15         # of tg_lane.order: one of TG_ORDERED_*, or 0
    TG_ORDER_PAUSE = 16          # librdkafka is to let go what it fetched ahead, and to fetch no more

    TG_QUEUED_BYTES = 340        # librdkafka's own for each message that waits in a queue

    TG_REPLAY = 4                # the bucket of the parking topic; those below are the classes'
    TG_BUCKETS_OF_LANES = 5
    TG_BURST_MS = 200            # so much of its rate a bucket can hold
    TG_RUN_MS = 50               # and so much the parking topic's gives at once: see allowed

# How fast lanes may be read that can wait in Kafka: one for all lanes of a class, and one for the parking topic.
cdef struct tg_bucket:
    int64_t rate                 # event loop's: thousandths of a record per second; -1: as fast as they can
    double tokens                # records that may be read now
    int64_t filled_ns

cdef struct tg_lane:
    rd_kafka_queue_t *queue
    int32_t number               # the ledger's
    int32_t handle
    int32_t topic_class          # -1: a record's own rules decide
    int32_t topic_rule
    bint parking                 # it is the parking topic
    int32_t bucket               # -1: nothing limits how fast it is read
    int32_t evictable            # bits of classes whose records stand whole in their rings: see eviction.pyx
    int32_t throttled            # its bucket was empty in the last round
    int32_t hold
    int32_t hold_class
    size_t hold_bytes            # payload of the record that found its ring, or the producer, full
    int64_t hold_since_ns
    int64_t held_ns[TG_REASONS]  # by reason, ended holds only
    uint64_t holds
    int32_t order                # event loop's: TG_ORDER_*
    int32_t paused               # librdkafka has been told so
    int64_t pause_after_ns       # not before: the last try failed
    int64_t paused_since_ns
    int64_t paused_ns            # ended pauses only
    uint64_t pauses
    uint64_t purged              # messages that pausing threw away
    int64_t queued               # messages fetched, not yet in a ring: as last looked at
    int64_t mean_bytes           # of the last messages
    int64_t head_ms              # timestamp of the message that a hold keeps waiting; -1: none, or not known
    int64_t read_ms              # oldest timestamp of the last batches' first messages; -1: none since a partition came
    int64_t reading_ms           # the same, of batches since the last count_queued
    int64_t ends_ns              # when its partitions' ends were last known; 0: never
    bint stirred                 # read since its ends were asked for
    uint32_t resets              # slots whose position was out of range
    int64_t mend_after_ns        # when a slot that could not be read is next to be tried again; 0: there is none
    uint32_t carry_at
    uint32_t carry_len
    uint32_t carry_max           # messages to take next
    int32_t partitions           # of the topic, when last asked; 0: not known
    int32_t known                # partitions that the topic had when this process first saw it; -1: not known
    bint met                     # the group has begun to read the topic (start.pyx)
    int64_t unmet_until_ns       # so long the answer counts that it had not, when this process began
    int64_t log[2]               # the topic's id; 0, 0: not known
    int64_t gone[2]              # and the one before it
    int32_t log_number           # how often another log took the topic's name
    bint replaced                # there may be slots of an earlier log
    int64_t void_until_ns        # and offsets of it among the group's: members notice at different times
    tg_slot **slots              # by partition
    int32_t *begun               # by partition: 1 + the log_number of which the group has our start; 0: none
    int32_t slot_room
    rd_kafka_message_t **carry   # taken from the queue, not yet in a ring; at most one batch, and one more: see shed

cdef inline bint holds_itself(const tg_lane *lane) noexcept nogil:
    """Whether the reader holds the lane until somebody makes room."""
    return TG_FLOWING < lane.hold < TG_HALTED

cdef class Lanes:
    cdef Rings rings
    cdef Ledger ledger
    cdef RuleTable rules
    cdef const tg_rdkafka *rk
    cdef tg_lane **lanes
    cdef int lane_count
    cdef uint64_t stale                  # messages of partitions that were no longer ours
    cdef Producer producer               # of the parking topic; None: nothing is parked
    cdef str parking_topic
    cdef int32_t overflow                # event loop's: bits of classes that are parked where their ring is full
    cdef bint waits[4]                   # by class: topics that a rule gave to it can wait in Kafka
    cdef int32_t evictable               # bits of classes that may be parked out of their rings
    cdef tg_bucket buckets[TG_BUCKETS_OF_LANES]

    cdef tg_lane *lane_of(self, int handle, const char *topic) noexcept nogil
    cdef tg_lane *_new_lane(self, int handle, str topic) noexcept
    cdef bint place(self, tg_lane *lane, int32_t partition, tg_slot *slot) noexcept nogil
    cdef void forget(self, tg_lane *lane, int32_t partition, int64_t now_ns) noexcept nogil
    cdef bint _may_overflow(self, const tg_lane *lane) noexcept nogil
    cdef bint released(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef int64_t allowed(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef void count_queued(self) noexcept nogil
    cdef void clear(self) noexcept nogil
    cdef void _hold(self, tg_lane *lane, int reason, int klass, int64_t now_ns) noexcept nogil
