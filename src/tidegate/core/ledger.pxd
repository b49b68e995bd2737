# Ledger: which offsets are settled, by partition and assignment; how many events went which way.
#
# A slot is one partition during one assignment: the assignment epoch is the slot's own identity. It is not used again
# before every record that carries its number is settled or discarded, so a late acknowledgement can only reach the
# slot it belongs to, where it is void.
#
#   written by      reader                      event loop
#   slot.state      LIVE, CLOSING, DEAD         -
#   slot.next       position: next offset       -
#   slot.covered    behind the last record      -
#                   that was read
#   slot.frontier   only where == covered       advanced by acknowledgements
#   slot.read       records put into rings,     -
#                   or given to the producer
#   slot.parked     those with the producer     -
#   slot.popped     -                           records taken out of rings
#   slot.settled    -                           records that ended one way or the other
#
# A parked record never enters a ring, so nobody pops it. What is in flight is popped + parked - settled, whichever way
# a record went, and a slot's number is free again where read == settled. One that cannot be parked comes back to the
# reader, which takes it out of `parked` when it puts it into a ring, where it is popped as any other.
#
# frontier == covered means that nothing is outstanding; only then may the reader move it (gaps, ends of partition).
# What the reader drops by itself (sampled, expired) lies between covered and next: it is settled with the record behind
# it, as a gap is, or as soon as nothing is outstanding.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.origins cimport Origins
from tidegate.core.ring cimport TG_CLASSES

cdef enum:
    TG_SLOT_FREE = 0
    TG_SLOT_LIVE = 1
    TG_SLOT_CLOSING = 2     # revoked: what is in flight may still settle, the rest is discarded
    TG_SLOT_DEAD = 3        # acknowledgements are void
    TG_SLOT_ORPHAN = 4      # its log was replaced: what was read is delivered, but no offset is stored

    TG_MAX_SLOTS = 65536
    TG_MAX_LANES = 4096

    TG_DELIVERED = 0
    TG_DEFERRED = 1
    TG_SAMPLED = 2
    TG_EXPIRED = 3
    TG_DEAD_LETTERED = 4
    TG_DISCARDED = 5
    TG_DISPOSITIONS = 6

cdef struct tg_slot:
    # reader's
    int32_t state
    int32_t lane
    int32_t partition
    uint32_t number
    int64_t next            # -1: not known before the first record
    int64_t covered         # as far as records were read; up to `next` they were dropped
    int64_t end             # offset of the last end-of-partition event; -1: none
    int64_t stored          # last offset given to librdkafka; -1: none
    int64_t target          # --until-end: the end at assignment; -1: none; -2: the next end of partition will do
    int32_t resetting       # 1: the repair is under way; 2: wanted, at the position as it is
    int32_t anew            # 1: its start is not what the group has committed, and is to be; 2: that is under way
    int32_t log             # lane.log_number at its beginning: records of an earlier log are not this one's
    int64_t begin           # where it was told to begin, an offset or a logical one
    int64_t reset_from      # position lost by an offset reset, to count what retention took; -1: none
    int32_t unreadable      # 1: what lies at `next` could not be read; nothing behind it is taken
    int32_t tries           # how often it could not, at `stuck_at`; 0: never
    int64_t stuck_at
    int64_t mend_after_ns   # when it is asked for again
    int64_t log_end         # where a reader of committed records comes to an end, when last asked; -1: not known
    uint64_t serial         # no other slot of this process ever has the same
    uint64_t read
    uint64_t parked         # given to the producer, less what came back and went into a ring
    uint64_t _line[8]
    # event loop's
    int64_t frontier        # all before it is settled; -1: not known
    uint64_t popped
    uint64_t settled
    uint64_t marked         # bits set in the map
    uint64_t *map           # one bit per offset, circular; NULL until the first acknowledgement out of order

cdef struct tg_lane_counts:
    const char *topic                    # borrowed from the ledger's list of names
    size_t topic_len
    uint64_t polled[TG_CLASSES]          # reader
    uint64_t unclassified
    uint64_t invalid
    uint64_t lost                        # reader: records that retention took before they were read
    uint64_t dropped[TG_CLASSES][2]      # reader: sampled, expired
    uint64_t _line[8]
    uint64_t ended[TG_CLASSES][TG_DISPOSITIONS]   # event loop

cdef class Ledger:
    cdef tg_slot **slots
    cdef int32_t _used                   # slots ever made
    cdef uint32_t *_free
    cdef uint32_t _free_len
    cdef tg_lane_counts **lanes
    cdef readonly int lane_count
    cdef Origins origins                 # where parked records stood
    cdef readonly uint32_t span          # offsets that one slot may hold unsettled; a power of two
    cdef list _lane_names
    cdef list _lane_bytes
    cdef int64_t first_read_ns
    cdef int64_t last_settled_ns
    cdef uint64_t taken[TG_CLASSES]      # event loop: records taken out of the rings
    cdef uint64_t parked[TG_CLASSES]     # reader: records given to the producer, less what came back into a ring
    cdef uint64_t dropped[TG_CLASSES]    # reader: records sampled and expired, over all lanes
    cdef uint64_t _line[8]
    cdef uint64_t unparked[TG_CLASSES]   # event loop: those of them that ended
    cdef uint64_t stale                  # acknowledgements that came too late to count for the offsets
    cdef uint64_t _opened                # slots ever opened

    # reader
    cdef uint32_t origin(self, const char *topic, size_t topic_len, int32_t partition) noexcept nogil
    cdef tg_slot *open(self, int lane, int partition, int64_t start) noexcept nogil
    cdef bint skip_to(self, tg_slot *slot, int64_t offset, uint32_t *gap) noexcept nogil
    cdef void catch_up(self, tg_slot *slot) noexcept nogil
    cdef void sweep_end(self, tg_slot *slot) noexcept nogil
    cdef void take_in(self, tg_slot *slot, int klass, int64_t offset) noexcept nogil
    cdef void drop(self, tg_slot *slot, int klass, int disposition, int64_t offset) noexcept nogil
    cdef void recycle(self) noexcept nogil
    cdef void park(self, tg_slot *slot, int klass, int64_t offset) noexcept nogil
    cdef void park_refused(self, tg_slot *slot, int klass, int64_t next, int64_t covered) noexcept nogil
    cdef void park_failed(self, tg_slot *slot, int klass) noexcept nogil
    cdef uint64_t parked_begun(self) noexcept nogil
    cdef uint64_t parked_ended(self) noexcept nogil

    cdef uint64_t _ended(self, int lane, int klass, int disposition) noexcept nogil

    # event loop
    cdef void acknowledge(self, tg_slot *slot, int64_t first, uint32_t count, uint32_t gap) noexcept nogil
    cdef void settle_run(self, int klass, int disposition, uint32_t slot, int64_t first, uint32_t count,
                         uint32_t gap) noexcept nogil
    cdef void settle_parked(self, int klass, int disposition, uint32_t slot, int64_t first, uint32_t count,
                            uint32_t gap) noexcept nogil
    cdef void _advance(self, tg_slot *slot) noexcept nogil
