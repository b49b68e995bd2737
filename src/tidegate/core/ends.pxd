# Ends: where the logs of lanes end, while somebody has to know.

from libc.stdint cimport int64_t, uint64_t

from tidegate.core.intake cimport Intake, tg_lane
from tidegate.core.rdkafka cimport rd_kafka_event_t, rd_kafka_queue_t, rd_kafka_t, tg_rdkafka

cdef class Ends:
    cdef const tg_rdkafka *rk
    cdef rd_kafka_t *client              # borrowed
    cdef rd_kafka_queue_t *answers       # owns
    cdef Intake intake
    cdef int handle
    cdef bint asking                     # a question is under way
    cdef int64_t look_after_ns
    cdef int64_t look_parked_ns          # when the parking topic is asked about although nothing is known to wait there
    cdef uint64_t parked_before          # records of this process whose parking had ended when its end was asked for

    cdef void attach(self, rd_kafka_t *client, int wake_fd) noexcept nogil
    cdef void look(self, int64_t now_ns) noexcept nogil
    cdef void serve(self, int64_t now_ns) noexcept nogil
    cdef void destroy(self) noexcept nogil
    cdef bint _wanted(self, tg_lane *lane, int64_t now_ns) noexcept nogil
    cdef bint _waits(self, tg_lane *lane) noexcept nogil
    cdef void _take(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil
