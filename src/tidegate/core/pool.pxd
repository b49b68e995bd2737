# Pool: what is known of each record that is with the producer, from the reader's park to its delivery report.
#
# The reader takes entries, the event loop frees them. Both ways are queues of entry numbers as large as the pool, so
# neither can be full: the one who puts never waits, and needs no look at the other's position. For what it parks
# itself the event loop keeps some of what it frees, with bytes of their own: the reader would leave it none.
#
#   written by         reader                          event loop
#   free.tail, .head   takes                           frees
#   back.tail, .head   takes                           gives back what cannot be parked
#   spare              freed by the reader itself      -
#   in_bytes           taken, less undone              -
#   out_bytes          -                               freed
#   own, own_bytes     -                               the event loop's own entries, and what is in those in use
#   entry              until librdkafka has it         from its delivery report on

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef struct tg_entry:
    int64_t offset
    int64_t due_ns          # to be produced again from then on
    uint8_t *copy           # owns: envelope, then key, of a record whose report was an error; NULL: librdkafka has it
    size_t size             # bytes of the envelope
    size_t key_len
    uint32_t slot
    uint32_t gap
    int32_t err             # of the last report
    uint8_t klass
    uint8_t null_key
    uint8_t attempts        # that failed
    uint8_t out             # 1: between park and its end
    uint8_t own             # the event loop took it

cdef struct tg_numbers:
    uint32_t *at
    uint64_t tail           # reader
    uint64_t _line[8]
    uint64_t head           # event loop; visible to the reader from `publish` on
    uint64_t shown

cdef class Pool:
    cdef tg_entry *entries               # owns
    cdef readonly uint32_t size          # entries; a power of two
    cdef readonly size_t max_bytes
    cdef tg_numbers _free
    cdef tg_numbers _back
    cdef uint32_t *_spare                # owns
    cdef uint32_t _spare_len
    cdef uint64_t _in_bytes
    cdef uint64_t _line[8]
    cdef uint64_t _out_bytes
    cdef uint32_t *_own                  # owns
    cdef uint32_t _own_len
    cdef uint32_t _own_most              # of them, those in use too
    cdef uint32_t _own_owed              # that went to the reader, to be kept back from what is freed
    cdef size_t _own_bytes
    cdef readonly size_t own_max_bytes

    # reader
    cdef tg_entry *take_spsc(self, size_t bytes) noexcept nogil
    cdef void undo_spsc(self, tg_entry *entry) noexcept nogil
    cdef bint has_room(self, size_t bytes) noexcept nogil
    cdef tg_entry *oldest_back_spsc(self) noexcept nogil
    cdef void drop_back_spsc(self, tg_entry *entry) noexcept nogil

    # event loop
    cdef tg_entry *take_own(self, size_t bytes) noexcept nogil
    cdef void undo_own(self, tg_entry *entry) noexcept nogil
    cdef void free_spsc(self, tg_entry *entry) noexcept nogil
    cdef void give_back_spsc(self, tg_entry *entry) noexcept nogil
    cdef bint publish(self) noexcept nogil
    cdef double fill(self) noexcept nogil
