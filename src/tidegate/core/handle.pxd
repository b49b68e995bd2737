# Handle: one librdkafka consumer of the group and what it owns.

from libc.stdint cimport int32_t, int64_t, uint64_t

from tidegate.core.intake cimport Intake
from tidegate.core.lanes cimport tg_lane
from tidegate.core.ledger cimport Ledger, tg_slot
from tidegate.core.mailbox cimport Mailbox
from tidegate.core.rdkafka cimport (
    rd_kafka_event_t,
    rd_kafka_message_t,
    rd_kafka_queue_t,
    rd_kafka_t,
    rd_kafka_topic_partition_list_t,
    tg_rdkafka,
)
from tidegate.core.start cimport Start

cdef class Handle:
    cdef const tg_rdkafka *rk
    cdef rd_kafka_t *client              # owns
    cdef rd_kafka_queue_t *queue         # owns: the consumer queue
    cdef rd_kafka_topic_partition_list_t *assigning   # owns: an assignment whose start offsets are not known yet
    cdef rd_kafka_topic_partition_list_t *revoking    # owns: a revocation whose in-flight work is not settled yet
    cdef bint asked                      # the questions of that assignment are under way
    cdef int64_t assign_after_ns
    cdef int64_t look_after_ns
    cdef int64_t look_every_ns
    cdef int64_t revoke_until_ns
    cdef int64_t awaiting_ns             # since when an assignment is waited for; 0: the last word was an assignment
    cdef int64_t changed_ns              # when the assignment last changed; 0: never had one
    cdef uint64_t assignments            # that began, empty ones too
    cdef uint64_t revocations
    cdef uint64_t losses
    cdef int32_t commit_err              # of the last commit that was answered
    cdef bint silent                     # a member without partitions is told nothing (KIP-848)
    cdef int64_t last_commit_until_ns    # until when the last commit is tried; 0: the end has not begun
    cdef int64_t last_commit_ns          # when the next try is due; 0: one is under way
    cdef bint closing
    cdef bint closed
    cdef bint failed
    cdef readonly int number
    cdef Intake intake
    cdef Ledger ledger
    cdef Mailbox mailbox
    cdef Start start
    cdef bint find_ends
    cdef int wake_fd

    cdef bint changing(self) noexcept nogil
    cdef void await_assignment(self, int64_t now_ns, bint afresh) noexcept nogil
    cdef void serve(self, int64_t now_ns) noexcept nogil
    cdef void sweep(self) noexcept nogil
    cdef void begin_close(self, int64_t now_ns) noexcept nogil
    cdef void destroy(self) noexcept nogil
    cdef void _decline(self) noexcept nogil
    cdef void _end(self, int64_t now_ns) noexcept nogil
    cdef bint _try_again(self, int32_t err, int64_t now_ns) noexcept nogil
    cdef void _close(self) noexcept nogil
    cdef void _event(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil
    cdef void _rebalance(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil
    cdef void _assign(self, int64_t now_ns) noexcept nogil
    cdef bint _open(self, rd_kafka_topic_partition_list_t *list) noexcept nogil
    cdef void _forward(self, tg_lane *lane, const char *topic, int32_t partition) noexcept nogil
    cdef void _revoke(self, int64_t now_ns) noexcept nogil
    cdef bint _busy(self) noexcept nogil
    cdef bint _replace(self, tg_lane *lane, tg_slot *slot) noexcept nogil
    cdef void _again(self, rd_kafka_topic_partition_list_t *broken, int64_t now_ns) noexcept nogil
    cdef rd_kafka_topic_partition_list_t *_owned(self) noexcept nogil
    cdef void _repair(self, int64_t now_ns) noexcept nogil
    cdef void pause(self, tg_lane *lane, bint on, int64_t now_ns) noexcept nogil
    cdef void _resume_assigned(self, rd_kafka_topic_partition_list_t *list, int64_t now_ns) noexcept nogil
    cdef void _adopt(self, rd_kafka_topic_partition_list_t *list, bint add) noexcept nogil
    cdef void _answered(self, rd_kafka_event_t *event) noexcept nogil
    cdef bint _incremental(self) noexcept nogil
    cdef tg_slot *_slot(self, const char *topic, int32_t partition, tg_lane **lane) noexcept nogil
    cdef void _note_list(self, int kind, rd_kafka_topic_partition_list_t *list) noexcept nogil
