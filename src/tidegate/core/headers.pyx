"""Headers: those of the message in hand, from librdkafka, or the knowledge that it has none."""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport strlen

from tidegate.core.mailbox cimport NOTE_ERROR
from tidegate.core.rdkafka cimport TG_RK_ERR_OK, rd_kafka_headers_t


cdef class Headers(Lanes):
    """Base of Admission; not made by itself."""

    def __init__(self, Rings rings not None, Ledger ledger not None, RuleTable rules not None,
                 Mailbox mailbox not None, *, bint keep_headers):
        Lanes.__init__(self, rings, ledger, rules)
        self.mailbox, self.keep_headers = mailbox, keep_headers
        self.want_headers = keep_headers or rules.needs_headers
        self.peek = True
        self.headers = <tg_header *>calloc(TG_HEADERS, sizeof(tg_header))
        if self.headers is NULL:
            raise MemoryError
        self.header_room = TG_HEADERS

    def __dealloc__(self):
        free(self.headers)

    cdef bint _headerless(self, rd_kafka_message_t *message) noexcept nogil:
        """True: the record has no headers. Saves the question to librdkafka, which allocates and parses for each.

        In a record batch of version 2, the only one with a leader epoch, the value is followed by the number of
        headers as a varint (Kafka's protocol guide, "Record"), and librdkafka hands out the value where it stands
        in the fetched batch. That is its habit and no promise of its: one answer in TG_PROBE is checked, and a wrong
        one ends the use of this."""
        cdef rd_kafka_headers_t *all = NULL
        if not self.peek or message.len == 0 or self.rk.message_leader_epoch(message) < 0:
            return False  # an empty value is not handed out in place
        if (<const uint8_t *>message.payload)[message.len] != 0:
            return False
        self.headerless += 1
        if self.headerless % TG_PROBE == 1 and self.rk.message_headers(message, &all) == TG_RK_ERR_OK:
            self.peek = False
            self.mailbox.put(NOTE_ERROR, 0, message.partition, b"this librdkafka does not hand out values in place: "
                             b"headers are asked for from now on; up to 4095 records may have been read without theirs")
            return False
        return True

    cdef size_t _gather(self, rd_kafka_message_t *message, size_t *block_bytes) noexcept nogil:
        """Fills self.headers; returns their number and the bytes they take in a record."""
        cdef rd_kafka_headers_t *all = NULL
        cdef tg_header *grown
        cdef size_t n = 0, bytes = 0
        cdef const void *value
        if self.rk.message_headers(message, &all) != TG_RK_ERR_OK:
            return 0
        while True:
            if n == self.header_room:
                grown = <tg_header *>realloc(self.headers, 2 * n * sizeof(tg_header))
                if grown is NULL:
                    break
                self.headers, self.header_room = grown, 2 * n
            if self.rk.header_get_all(all, n, &self.headers[n].name, &value,
                                      &self.headers[n].value_len) != TG_RK_ERR_OK:
                break
            self.headers[n].name_len = strlen(self.headers[n].name)
            self.headers[n].value = <const uint8_t *>value
            bytes += 8 + self.headers[n].name_len + (self.headers[n].value_len if value is not NULL else 0)
            n += 1
        block_bytes[0] = bytes
        return n
