"""Reports: what became of the records that were given to the producer of the parking topic.

An acknowledged record is settled as deferred. One that Kafka did not take stays unsettled, so no commit can pass it,
and is copied out of its report: it is produced again, a few times and ever later; after that, or where trying again
cannot help, it goes back to the reader, to be delivered as if it had never been parked. What belongs to a partition
that was taken away is discarded instead, for its next owner reads it again. In all this each record keeps its one
entry, and ends once.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from tidegate.core.atomic cimport tg_load_i32, tg_store_i32
from tidegate.core.events cimport note_event
from tidegate.core.ledger cimport TG_DEFERRED, TG_DISCARDED
from tidegate.core.mailbox cimport NOTE_ERROR
from tidegate.core.rdkafka cimport (
    TG_RK_ERR_FATAL,
    TG_RK_ERR_INVALID_RECORD,
    TG_RK_ERR_MSG_SIZE_TOO_LARGE,
    TG_RK_ERR_PURGE_INFLIGHT,
    TG_RK_ERR_PURGE_QUEUE,
    TG_RK_ERR_QUEUE_FULL,
    TG_RK_ERR_RECORD_LIST_TOO_LARGE,
    TG_RK_EVENT_DR,
    TG_RK_MSG_F_COPY,
    TG_RK_MSG_NOT_PERSISTED,
    TG_RK_PARTITION_UA,
    TG_RK_PURGE_F_INFLIGHT,
    TG_RK_PURGE_F_NON_BLOCKING,
    TG_RK_PURGE_F_QUEUE,
    rd_kafka_message_t,
)
from tidegate.core.slots cimport TG_SLOT_LIVE, TG_SLOT_ORPHAN

cdef extern from *:
    """
    #define tg_prefetch(p) __builtin_prefetch(p)
    """
    void tg_prefetch(const void *p) noexcept nogil

cdef enum:
    MAX_WAIT_NS = 30000000000    # between two attempts
    ANSWER_NS = 2000000000       # for what Kafka still says of what a failed client has sent
    AHEAD = 32                   # reports looked at together: their entries left the cache when they were parked


cdef class Reports:
    """Base of Producer; not made by itself."""

    def __dealloc__(self):
        free(self.waiting)

    cdef bint serve(self, int64_t now_ns, int most) noexcept nogil:
        """Deals with up to `most` events, then with what waits to be produced again. False: more events are there."""
        cdef rd_kafka_event_t *event
        cdef int32_t fatal
        cdef int _turn
        cdef bint all_of_them = False
        for _turn in range(most):
            event = self.rk.queue_poll(self.queue, 0)
            if event is NULL:
                all_of_them = True
                break
            if self.rk.event_type(event) == TG_RK_EVENT_DR:
                self._acknowledge(event, now_ns)
            else:
                fatal = note_event(self.rk, self.client, event, self.mailbox, NOTE_ERROR)  # not for the process
                if fatal:
                    self.failed_err, self.failed_ns = fatal, now_ns
                    tg_store_i32(&self.failed, 1)
            self.rk.event_destroy(event)  # and with it the messages: only now has librdkafka room for others
        if self.waiting_len and not self.ending:
            self._retry(now_ns)
        if self.failed and not self.ending:
            self._hurry(now_ns)
        tg_store_i32(&self.stalled, self.waiting_len > 0)
        return all_of_them

    cdef void _hurry(self, int64_t now_ns) noexcept nogil:
        """What a failed client sent may be answered for a moment; then it is asked to report all that it holds. Until
        it holds nothing it is kept, so that each record ends by its report."""
        if now_ns - self.failed_ns > ANSWER_NS and self.rk.outq_len(self.client):
            self.rk.purge(self.client, TG_RK_PURGE_F_QUEUE | TG_RK_PURGE_F_INFLIGHT | TG_RK_PURGE_F_NON_BLOCKING)
            self.failed_ns = now_ns

    cdef void _acknowledge(self, rd_kafka_event_t *event, int64_t now_ns) noexcept nogil:
        """Settles the records of one event, neighbours together."""
        cdef const rd_kafka_message_t *messages[AHEAD]
        cdef tg_entry *entry
        cdef uint32_t slot = 0, gap = 0, count = 0
        cdef int64_t first = 0
        cdef int klass = 0, found, i
        cdef bint any_of_them = False
        while True:
            found = 0
            while found < AHEAD:
                messages[found] = self.rk.event_message_next(event)
                if messages[found] is NULL:
                    break
                tg_prefetch(messages[found]._private)
                found += 1
            if found == 0:
                break
            for i in range(found):
                entry = <tg_entry *>messages[i]._private
                if messages[i].err:
                    self._keep(entry, messages[i])
                    self._fail(entry, messages[i].err, now_ns)
                    continue
                any_of_them = True
                self.acknowledged += 1
                if count and entry.slot == slot and entry.klass == klass and entry.gap == 0 and (
                        entry.offset == first + count):
                    count += 1
                else:
                    if count:
                        self.runs += 1
                        self.ledger.settle_parked(klass, TG_DEFERRED, slot, first, count, gap)
                    slot, klass, first, gap, count = entry.slot, entry.klass, entry.offset, entry.gap, 1
                self.pool.free_spsc(entry)
        if count:
            self.runs += 1
            self.ledger.settle_parked(klass, TG_DEFERRED, slot, first, count, gap)
        if any_of_them:
            self.ledger.last_settled_ns = now_ns

    # --- what Kafka did not take ------------------------------------------------------------------

    cdef void _keep(self, tg_entry *entry, const rd_kafka_message_t *message) noexcept nogil:
        """Copies a failed record out of its report, which takes its bytes along when it is destroyed."""
        if self.rk.message_status(message) != TG_RK_MSG_NOT_PERSISTED:
            self.uncertain += 1
        if entry.copy is not NULL:  # it failed before
            return
        entry.copy = <uint8_t *>malloc(entry.size + entry.key_len + 1)
        if entry.copy is not NULL:
            memcpy(entry.copy, message.payload, entry.size)
            if entry.key_len:
                memcpy(entry.copy + entry.size, message.key, entry.key_len)

    cdef void _fail(self, tg_entry *entry, int32_t err, int64_t now_ns) noexcept nogil:
        """One try has failed; the record's bytes are in `entry.copy`, unless there was no memory for them."""
        cdef int32_t state = tg_load_i32(&self.ledger.slots[entry.slot].state)
        cdef tg_trouble *trouble
        if self.failed and not self.ending and (err == TG_RK_ERR_PURGE_QUEUE or err == TG_RK_ERR_PURGE_INFLIGHT):
            err = TG_RK_ERR_FATAL  # that is why it was purged
        entry.err = err
        entry.attempts += 1
        if self.ending or entry.copy is NULL or (state != TG_SLOT_LIVE and state != TG_SLOT_ORPHAN):
            self.discard(entry, err)
            return
        trouble = self._trouble(entry, err)
        if (entry.attempts >= self.max_attempts or tg_load_i32(&self.failed) or err in (
                TG_RK_ERR_MSG_SIZE_TOO_LARGE, TG_RK_ERR_RECORD_LIST_TOO_LARGE, TG_RK_ERR_INVALID_RECORD,
                TG_RK_ERR_FATAL)):
            trouble.returned += 1
            self.returned += 1
            self.pool.give_back_spsc(entry)
        else:
            trouble.again += 1
            entry.due_ns = now_ns + min(self.retry_ns << (entry.attempts - 1), <int64_t>MAX_WAIT_NS)
            self._wait(entry)

    cdef void discard(self, tg_entry *entry, int32_t err) noexcept nogil:
        """Ends a record without acknowledging it."""
        self._trouble(entry, err).discarded += 1
        self.discarded += 1
        self.ledger.settle_parked(entry.klass, TG_DISCARDED, entry.slot, entry.offset, 1, entry.gap)
        self.pool.free_spsc(entry)

    cdef void _wait(self, tg_entry *entry) noexcept nogil:
        self.waiting[(self.waiting_at + self.waiting_len) & (self.pool.size - 1)] = (
            <uint32_t>(entry - self.pool.entries))
        self.waiting_len += 1

    cdef void _retry(self, int64_t now_ns) noexcept nogil:
        """Produces again what is due, in the order in which it failed, and discards what is no longer ours."""
        cdef tg_entry *entry
        cdef uint32_t _i
        cdef int32_t state, err
        cdef bint full = False
        for _i in range(self.waiting_len):
            entry = &self.pool.entries[self.waiting[self.waiting_at]]
            self.waiting_at = (self.waiting_at + 1) & (self.pool.size - 1)
            self.waiting_len -= 1
            state = tg_load_i32(&self.ledger.slots[entry.slot].state)
            if state != TG_SLOT_LIVE and state != TG_SLOT_ORPHAN:
                self.discard(entry, entry.err)
            elif full or now_ns < entry.due_ns:
                self._wait(entry)
            elif self.rk.produce(self.topic, TG_RK_PARTITION_UA, TG_RK_MSG_F_COPY, entry.copy, entry.size,
                                 NULL if entry.null_key else entry.copy + entry.size, entry.key_len, entry) == 0:
                self.repeated += 1
            else:
                err = self.rk.last_error()
                if err == TG_RK_ERR_QUEUE_FULL:
                    full = True
                    self._wait(entry)
                else:
                    self._fail(entry, err, now_ns)

    cdef tg_trouble *_trouble(self, tg_entry *entry, int32_t err) noexcept nogil:
        """Where failures for this reason are counted until the next drain; this one is."""
        cdef int i
        for i in range(self.trouble_count):
            if self.troubles[i].err == err:
                self.troubles[i].records += 1
                return &self.troubles[i]
        if self.trouble_count == TG_TROUBLES:
            self.troubles[TG_TROUBLES - 1].records += 1
            return &self.troubles[TG_TROUBLES - 1]
        i = self.trouble_count
        self.trouble_count += 1
        self.troubles[i] = tg_trouble(err, entry.slot, entry.offset, 1, 0, 0, 0)
        return &self.troubles[i]
