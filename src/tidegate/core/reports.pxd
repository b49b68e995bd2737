# Reports: the event loop's half of the producer: what became of the records that were given to it.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tidegate.core.ledger cimport Ledger
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.pool cimport Pool, tg_entry
from tidegate.core.rdkafka cimport (
    rd_kafka_event_t,
    rd_kafka_message_t,
    rd_kafka_queue_t,
    rd_kafka_t,
    rd_kafka_topic_t,
    tg_rdkafka,
)

cdef enum:
    TG_TROUBLES = 16        # reasons told apart between two drains; more are counted with the last

cdef struct tg_trouble:
    int32_t err
    uint32_t slot           # of the first record
    int64_t offset
    uint64_t records
    uint64_t again
    uint64_t returned
    uint64_t discarded

cdef class Reports:
    cdef const tg_rdkafka *rk
    cdef rd_kafka_t *client              # owns; NULL: closed
    cdef rd_kafka_topic_t *topic         # owns
    cdef rd_kafka_queue_t *queue         # owns: the main queue
    cdef readonly Ledger ledger
    cdef readonly Mailbox mailbox
    cdef readonly Pool pool
    cdef int max_attempts
    cdef int64_t retry_ns
    cdef bint ending                     # what fails from now on is discarded
    cdef int32_t stalled                 # records wait to be produced again: the reader is to give no more
    cdef int32_t failed                  # the client is beyond repair: the reader is to give it nothing
    cdef int32_t failed_err              # librdkafka's error for which
    cdef int64_t failed_ns               # since when, or since what it held was purged last
    cdef uint32_t *waiting               # owns: numbers of the entries that wait, a queue as large as the pool
    cdef uint32_t waiting_at
    cdef uint32_t waiting_len
    cdef tg_trouble troubles[TG_TROUBLES]
    cdef int trouble_count
    cdef uint64_t acknowledged
    cdef uint64_t runs                   # in which they were settled
    cdef uint64_t repeated               # records produced again
    cdef uint64_t uncertain              # failed, but Kafka may have them: they may be parked twice
    cdef uint64_t returned
    cdef uint64_t discarded

    cdef bint serve(self, int64_t now_ns, int most) noexcept nogil
    cdef void discard(self, tg_entry *entry, int32_t err) noexcept nogil
    cdef void _hurry(self, int64_t now_ns) noexcept nogil
    cdef void _acknowledge(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil
    cdef void _keep(self, tg_entry *entry, const rd_kafka_message_t *message) noexcept nogil
    cdef void _fail(self, tg_entry *entry, int32_t err, int64_t now_ns) noexcept nogil
    cdef void _retry(self, int64_t now_ns) noexcept nogil
    cdef void _wait(self, tg_entry *entry) noexcept nogil
    cdef tg_trouble *_trouble(self, tg_entry *entry, int32_t err) noexcept nogil
