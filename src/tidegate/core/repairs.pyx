"""Repairs: partitions that cannot go on where they are leave the assignment and join it again.

Their position is out of range, or their log was replaced, or what lies there could not be read. librdkafka has no other
way: a seek cannot mend any of it.
"""

from libc.stdio cimport snprintf

from tidegate.core.atomic cimport tg_store_i32
from tidegate.core.mailbox cimport NOTE_FATAL, NOTE_RESET, TG_NOTE_TEXT
from tidegate.core.rdkafka cimport TG_RK_ERR_OK, TG_RK_OFFSET_BEGINNING
from tidegate.core.slots cimport TG_SLOT_ORPHAN


cdef class Repairs(Commits):
    """A client whose partitions are mended."""

    cdef void _repair(self, int64_t now_ns) noexcept nogil:
        """Partitions whose position was out of range, or whose log was replaced, start again at what Kafka has; those
        that could not be read further, at their position."""
        cdef rd_kafka_topic_partition_list_t *list
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef bint due
        cdef int i, p
        for i in range(self.intake.lane_count):
            lane = self.intake.lanes[i]
            due = lane.mend_after_ns != 0 and now_ns >= lane.mend_after_ns
            if lane.handle != self.number or (lane.resets == 0 and not lane.replaced and not due):
                continue
            lane.mend_after_ns = 0
            list = self.rk.topic_partition_list_new(4)
            for p in range(lane.slot_room):
                slot = lane.slots[p]
                if slot is NULL:
                    continue
                if slot.log != lane.log_number:
                    if not self._replace(lane, slot):
                        continue
                elif slot.unreadable:
                    if now_ns < slot.mend_after_ns:
                        if lane.mend_after_ns == 0 or slot.mend_after_ns < lane.mend_after_ns:
                            lane.mend_after_ns = slot.mend_after_ns
                        continue
                    slot.unreadable = 0
                elif slot.resetting == 2 or (slot.reset_from >= 0 and slot.resetting == 0):
                    slot.resetting = 1 if slot.reset_from >= 0 else 0
                else:
                    continue
                self.rk.topic_partition_list_add(list, self.ledger.lanes[lane.number].topic, p)
            lane.resets, lane.replaced = 0, False
            if list.cnt:
                self._again(list, now_ns)
                self.sweep()  # librdkafka commits what was stored of the old log when its partitions leave
            self.rk.topic_partition_list_destroy(list)

    cdef bint _replace(self, tg_lane *lane, tg_slot *slot) noexcept nogil:
        """A slot of the new log takes the old one's place. librdkafka goes on at the old position, and notices nothing
        where the new log is longer."""
        cdef tg_slot *fresh = self.ledger.open(lane.number, slot.partition, 0)
        cdef char words[TG_NOTE_TEXT]
        if fresh is NULL:
            self.mailbox.put(NOTE_FATAL, 0, 0, b"no memory for a partition whose log was replaced")
            self.failed = True
            return False
        fresh.target, fresh.stored, fresh.anew, fresh.log = slot.target, -1, 1, lane.log_number
        snprintf(words, sizeof(words), b"%s/%d: the log was replaced, position %lld is void; starts at 0",
                 self.ledger.lanes[lane.number].topic, slot.partition, <long long>slot.next)
        self.mailbox.put(NOTE_RESET, slot.partition, 0, words)
        tg_store_i32(&slot.state, TG_SLOT_ORPHAN)
        return self.intake.place(lane, fresh.partition, fresh)

    cdef void _again(self, rd_kafka_topic_partition_list_t *broken, int64_t now_ns) noexcept nogil:
        """Partitions leave the assignment and join it, at their position or their log's start: a seek cannot mend
        this (_STATE). An eager protocol knows whole assignments only: what is well must be part of it, or falls silent.
        """
        cdef rd_kafka_topic_partition_list_t *list = broken if self._incremental() else self._owned()
        cdef rd_kafka_topic_partition_list_t *now
        cdef tg_lane *lane
        cdef tg_slot *slot
        cdef int i
        self._adopt(list, False)
        # librdkafka's thread clears the forward when it comes to the order to stop, some time after the call above
        # returned. An answer to a later question says that it has: forwarding before would leave the partition silent
        # for good.
        if self.rk.assignment(self.client, &now) == TG_RK_ERR_OK:
            self.rk.topic_partition_list_destroy(now)
        for i in range(list.cnt):
            slot = self._slot(list.elems[i].topic, list.elems[i].partition, &lane)
            list.elems[i].offset = (TG_RK_OFFSET_BEGINNING if slot.reset_from >= 0
                                    else slot.next if slot.next >= 0 else slot.begin)
            list.elems[i].err = 0
            self.intake.forget(lane, list.elems[i].partition, now_ns)
            self._forward(lane, list.elems[i].topic, list.elems[i].partition)
        self._adopt(list, True)
        if list is not broken:
            self.rk.topic_partition_list_destroy(list)
