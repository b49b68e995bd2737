"""Mailbox: a fixed queue of notes, one writer, one reader. What does not fit is dropped and counted."""

from libc.stdint cimport uint64_t
from libc.string cimport strlen, strncpy

from tidegate.core.atomic cimport tg_load_u64, tg_store_u64

KINDS = ("log", "error", "fatal", "assigned", "revoked", "lost", "halted", "reset", "start")


cdef class Mailbox:
    """Notes of the reader's thread: `drain` gives them to the event loop."""

    cdef void put(self, int kind, int code, int64_t number, const char *text) noexcept nogil:
        cdef tg_note *note
        if self._head - tg_load_u64(&self._tail) >= TG_NOTES:
            self.dropped += 1
            return
        note = &self._notes[self._head % TG_NOTES]
        note.kind, note.code, note.number = kind, code, number
        note.text[0] = note.text[TG_NOTE_TEXT - 1] = 0
        if text is not NULL:
            strncpy(note.text, text, TG_NOTE_TEXT - 1)
        tg_store_u64(&self._head, self._head + 1)

    def drain(self) -> list:
        """``(kind, code, number, text)`` of each note since the last call, oldest first."""
        cdef tg_note *note
        cdef uint64_t head = tg_load_u64(&self._head)
        notes = []
        while self._tail != head:
            note = &self._notes[self._tail % TG_NOTES]
            text = (<char *>note.text)[:strlen(note.text)].decode("utf-8", "replace")
            notes.append((KINDS[note.kind], note.code, note.number, text))
            tg_store_u64(&self._tail, self._tail + 1)
        return notes
