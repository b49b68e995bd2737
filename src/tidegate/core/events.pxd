# Events: what every client of librdkafka has to say of itself.

from libc.stdint cimport int32_t

from tidegate.core.mailbox cimport Mailbox
from tidegate.core.rdkafka cimport rd_kafka_event_t, rd_kafka_t, tg_rdkafka

cdef int32_t note_event(const tg_rdkafka *rk, rd_kafka_t *client, rd_kafka_event_t *event, Mailbox mailbox,
                        int fatal) noexcept nogil
