# Questions: what an assignment has to know of topics and logs, asked without waiting.

from libc.stdint cimport int32_t, int64_t

from tidegate.core.intake cimport Intake, tg_lane
from tidegate.core.rdkafka cimport (
    rd_kafka_event_t,
    rd_kafka_queue_t,
    rd_kafka_t,
    rd_kafka_topic_partition_list_t,
    tg_rdkafka,
)

cdef enum:
    TG_NO_OFFSET = -1001         # not known, or not there
    ENOUGH_NS = 1500000000       # an assignment waits so long for lows and ends, where the group's offset is known

cdef void free_list(const tg_rdkafka *rk, rd_kafka_topic_partition_list_t **list) noexcept nogil
cdef void ask_offsets(const tg_rdkafka *rk, rd_kafka_t *client, rd_kafka_queue_t *answers,
                      rd_kafka_topic_partition_list_t *asked, int64_t tag, int isolation) noexcept nogil

cdef class Questions:
    cdef const tg_rdkafka *rk
    cdef rd_kafka_t *client              # borrowed
    cdef rd_kafka_queue_t *answers       # owns
    cdef int wake_fd
    cdef Intake intake
    cdef int handle
    cdef bint latest
    cdef bint find_ends
    cdef int64_t round                   # of questions; answers to an earlier one are dropped
    cdef int waiting                     # offsets outstanding for the assignment
    cdef bint undescribed                # and its topics
    cdef bint mute                       # the last question for topics was not answered
    cdef bint deaf                       # nor the one after it, which any broker can answer: somebody is to be found
    cdef bint calling                    # that one is under way
    cdef int64_t call_after_ns
    cdef rd_kafka_topic_partition_list_t *topics    # owns: what is subscribed to
    cdef int64_t ready_ns
    cdef int64_t asked_ns                # since when the assignment waits; 0: none does
    cdef int32_t commits_err             # 0: they are known
    # By the partitions of the assignment, each at its index; offset below 0: not known.
    cdef rd_kafka_topic_partition_list_t *lows      # owns: first offset that Kafka still has
    cdef rd_kafka_topic_partition_list_t *highs     # owns: high watermark
    cdef rd_kafka_topic_partition_list_t *ends      # owns: last stable offset; asked where somebody wants it
    cdef rd_kafka_topic_partition_list_t *commits   # owns: the group's offsets, of every partition of the topics
    # The group's offsets: the question that waits, and the one that a thread has. While it has it, it is not ours.
    cdef rd_kafka_topic_partition_list_t *wanted    # owns
    cdef rd_kafka_topic_partition_list_t *lent      # owns
    cdef int64_t wanted_tag
    cdef int64_t lent_tag
    cdef int32_t lent_err                # its answer
    cdef int32_t back                    # 1: it is there
    cdef object thread
    cdef int64_t send_after_ns           # a thread could not be started: not again before

    cdef void attach(self, rd_kafka_t *client, int wake_fd, rd_kafka_topic_partition_list_t *topics) noexcept nogil
    cdef void ask(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil
    cdef bint ready(self, int64_t now_ns) noexcept nogil
    cdef bint alone(self, int64_t now_ns) noexcept nogil
    cdef void _call(self) noexcept nogil
    cdef void look(self) noexcept nogil
    cdef void serve(self, int64_t now_ns) noexcept nogil
    cdef void drop(self) noexcept nogil
    cdef void destroy(self) noexcept nogil
    cdef void _describe(self, int kind, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef rd_kafka_topic_partition_list_t *_list_offsets(self, rd_kafka_topic_partition_list_t *list, int kind,
                                                        int64_t spec, int isolation) noexcept nogil
    cdef void _ask_commits(self, rd_kafka_topic_partition_list_t *list, int64_t tag) noexcept nogil
    cdef void _send(self) noexcept nogil
    cdef void _returned(self, int64_t now_ns) noexcept nogil
    cdef void _seen(self, int64_t now_ns) noexcept nogil
    cdef void _described(self, rd_kafka_event_t *event, bint first, int64_t now_ns) noexcept nogil
    cdef void _listed(self, rd_kafka_event_t *event, rd_kafka_topic_partition_list_t *list) noexcept nogil
