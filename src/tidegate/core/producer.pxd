# Producer: the native writer of the parking topic. park and what is below it belong to the reader's thread, everything
# else to the event loop's, which parks by itself only what already lies in a ring (eviction.pyx).

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.csrc cimport tg_header, tg_parked, tg_wakeup
from tidegate.core.pool cimport tg_entry
from tidegate.core.rdkafka cimport rd_kafka_message_t, rd_kafka_queue_t, rd_kafka_t, rd_kafka_topic_t
from tidegate.core.reports cimport Reports
from tidegate.core.slots cimport tg_slot

cdef enum:
    PARKED = 0      # it is the producer's now, and counted as read
    FULL = 1        # no room, or Kafka fails and what it did not take comes first: hold the lane, ask again when woken
    FAILED = 2      # it can never be parked as it is: `refused` says why; the record is the caller's still

cdef struct tg_connection:      # what `renew` puts in another's place
    rd_kafka_t *client
    rd_kafka_queue_t *queue
    rd_kafka_topic_t *topic

cdef class Producer(Reports):
    cdef readonly str name               # of the topic
    cdef bytes _servers                  # bootstrap.servers
    cdef tg_wakeup _wakeup               # the event loop sleeps on it
    cdef object _reader                  # keeps alive what the next two belong to
    cdef int _reader_fd                  # written to when there is room, or something given back; -1: none
    cdef int32_t *_room_wanted           # the reader's flag
    cdef dict _properties                # as given to librdkafka
    cdef bint _renewing
    cdef uint64_t renewed                # clients that took the place of one that had failed
    cdef int32_t _resting                # event loop's: nothing is ordered to be parked, no lane need wait for room

    # reader
    cdef int32_t _inside                 # it is in `put`, and may hold the client: see `retire`
    cdef uint8_t *_scratch               # owns: the envelope in hand
    cdef size_t _scratch_room
    cdef int32_t _partitions             # of the topic; 0: librdkafka chooses one by the key
    cdef int32_t refused                 # librdkafka's error of the last FAILED

    cdef int park(self, tg_slot *slot, uint32_t gap, int klass, const rd_kafka_message_t *message,
                  const tg_header *headers, uint32_t header_count, int sampling, uint64_t randomness,
                  uint64_t threshold) noexcept nogil
    cdef int put(self, tg_slot *slot, uint32_t gap, tg_parked *record, const tg_header *headers, const void *key,
                 size_t key_len) noexcept nogil
    cdef int _put(self, tg_slot *slot, uint32_t gap, tg_parked *record, const tg_header *headers, const void *key,
                  size_t key_len) noexcept nogil
    cdef bint has_room(self, size_t bytes) noexcept nogil
    cdef tg_entry *oldest_back(self, tg_parked *record) noexcept nogil
    cdef void drop_back(self, tg_entry *entry) noexcept nogil

    # event loop
    cdef void _watch(self, object reader, int32_t *wanted, int fd) noexcept
    cdef void _wake(self) noexcept nogil
    cdef list _failures(self)
    cdef tg_connection _connect(self) except *
    cdef void _destroy(self, tg_connection *one) noexcept nogil
