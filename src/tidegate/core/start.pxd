# Start: what an assignment has to know before it begins, asked without waiting.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t

from tidegate.core.intake cimport Intake, tg_lane
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.rdkafka cimport (
    rd_kafka_AdminOptions_t,
    rd_kafka_event_t,
    rd_kafka_queue_t,
    rd_kafka_t,
    rd_kafka_topic_partition_list_t,
    rd_kafka_topic_partition_t,
    tg_rdkafka,
)

cdef enum:
    TG_MARK = 80                 # room for what is committed beside an offset

cdef int mark(tg_lane *lane, char *words, size_t size) noexcept nogil

cdef class Start:
    cdef const tg_rdkafka *rk
    cdef rd_kafka_t *client              # borrowed
    cdef rd_kafka_queue_t *answers       # owns
    cdef Intake intake
    cdef Mailbox mailbox
    cdef int handle
    cdef bint latest
    cdef bint find_ends
    cdef int64_t round                   # of questions; answers to an earlier one are dropped
    cdef int waiting                     # offsets outstanding for the assignment
    cdef bint undescribed                # and its topics
    cdef bint mute                       # the last question for topics was not answered
    cdef int64_t ready_ns
    # By the partitions of the assignment, each at its index; offset below 0: not known.
    cdef rd_kafka_topic_partition_list_t *lows      # owns: first offset that Kafka still has
    cdef rd_kafka_topic_partition_list_t *highs     # owns: high watermark
    cdef rd_kafka_topic_partition_list_t *ends      # owns: last stable offset; asked where somebody wants it
    cdef rd_kafka_topic_partition_list_t *commits   # owns: of every partition of the topics

    cdef void attach(self, rd_kafka_t *client, int wake_fd) noexcept nogil
    cdef void ask(self, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef bint ready(self, int64_t now_ns) noexcept nogil
    cdef void look(self) noexcept nogil
    cdef void serve(self) noexcept nogil
    cdef int32_t resolve(self, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef int64_t committed(self, const char *topic, int32_t partition) noexcept nogil
    cdef void drop(self) noexcept nogil
    cdef void destroy(self) noexcept nogil
    cdef rd_kafka_AdminOptions_t *_options(self, int operation, int kind) noexcept nogil
    cdef void _describe(self, int kind, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef rd_kafka_topic_partition_list_t *_list_offsets(self, rd_kafka_topic_partition_list_t *list, int kind,
                                                        int64_t spec, int isolation) noexcept nogil
    cdef void _described(self, rd_kafka_event_t *event) noexcept nogil
    cdef void _listed(self, rd_kafka_event_t *event, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef int32_t _fetch_commits(self, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef void _know(self, tg_lane *lane, const char *topic) noexcept nogil
    cdef void _decide(self, tg_lane *lane, rd_kafka_topic_partition_t *part, int at) noexcept nogil
