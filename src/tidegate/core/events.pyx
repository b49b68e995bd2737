"""Events: what every client of librdkafka has to say of itself, log lines and errors, as notes to the event loop."""

from libc.stdint cimport int32_t
from libc.stdio cimport snprintf

from tidegate.core.mailbox cimport NOTE_ERROR, NOTE_LOG, TG_NOTE_TEXT
from tidegate.core.rdkafka cimport TG_RK_EVENT_ERROR, TG_RK_EVENT_LOG


cdef int32_t note_event(const tg_rdkafka *rk, rd_kafka_t *client, rd_kafka_event_t *event, Mailbox mailbox,
                        int fatal) noexcept nogil:
    """Notes a log line or an error; of another event, nothing. Borrows both.

    Returns librdkafka's reason where the client has failed for good, which is a note of kind `fatal`; otherwise 0."""
    cdef int32_t kind = rk.event_type(event), reason
    cdef const char *facility
    cdef const char *text
    cdef int level
    cdef char words[TG_NOTE_TEXT]
    if kind == TG_RK_EVENT_LOG:
        if rk.event_log(event, &facility, &text, &level) == 0:
            snprintf(words, sizeof(words), b"%s: %s", facility, text)
            mailbox.put(NOTE_LOG, level, 0, words)
    elif kind == TG_RK_EVENT_ERROR:
        if rk.event_error_is_fatal(event):
            reason = rk.fatal_error(client, words, sizeof(words))
            mailbox.put(fatal, reason, 0, words)
            return reason
        mailbox.put(NOTE_ERROR, rk.event_error(event), 0, rk.event_error_string(event))
    return 0
