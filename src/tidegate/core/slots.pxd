# Slots: which offsets are settled, by partition and assignment.
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
# A parked record never enters a ring, so nobody pops it; or it is evicted from one, and was popped there. What is in
# flight is popped + parked - settled, whichever way a record went, and a slot's number is free again where
# read == settled. One that cannot be parked comes back to the reader, which takes it out of `parked` when it puts it
# into a ring, where it is popped as any other.
#
# frontier == covered means that nothing is outstanding; only then may the reader move it (gaps, ends of partition).
# What the reader drops by itself (sampled, expired) lies between covered and next: it is settled with the record behind
# it, as a gap is, or as soon as nothing is outstanding.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    TG_SLOT_FREE = 0
    TG_SLOT_LIVE = 1
    TG_SLOT_CLOSING = 2     # revoked: what is in flight may still settle, the rest is discarded
    TG_SLOT_DEAD = 3        # acknowledgements are void
    TG_SLOT_ORPHAN = 4      # its log was replaced: what was read is delivered, but no offset is stored

    TG_MAX_SLOTS = 65536

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

cdef class Slots:
    cdef tg_slot **slots
    cdef int32_t _used                   # slots ever made
    cdef uint32_t *_free
    cdef uint32_t _free_len
    cdef uint64_t _opened                # slots ever opened
    cdef readonly uint32_t span          # offsets that one slot may hold unsettled; a power of two

    # reader
    cdef tg_slot *open(self, int lane, int partition, int64_t start) noexcept nogil
    cdef bint skip_to(self, tg_slot *slot, int64_t offset, uint32_t *gap) noexcept nogil
    cdef void catch_up(self, tg_slot *slot) noexcept nogil
    cdef void sweep_end(self, tg_slot *slot) noexcept nogil
    cdef void recycle(self) noexcept nogil

    # event loop
    cdef void acknowledge(self, tg_slot *slot, int64_t first, uint32_t count, uint32_t gap) noexcept nogil
    cdef void _advance(self, tg_slot *slot) noexcept nogil
