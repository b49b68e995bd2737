"""Mailbox: a queue of notes, one writer, one reader. What does not fit waits with the writer; what does not fit there
either is dropped and counted."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove, strlen, strncpy

from tidegate.core.atomic cimport tg_load_u64, tg_store_u64

KINDS = ("log", "error", "fatal", "assigned", "revoked", "lost", "halted", "reset", "start", "unreadable")


cdef void write(tg_note *note, int kind, int code, int64_t number, const char *text) noexcept nogil:
    note.kind, note.code, note.number = kind, code, number
    note.text[0] = note.text[TG_NOTE_TEXT - 1] = 0
    if text is not NULL:
        strncpy(note.text, text, TG_NOTE_TEXT - 1)


cdef class Mailbox:
    """Notes of the reader's thread: `drain` gives them to the event loop."""

    def __dealloc__(self):
        free(self._waiting)

    cdef void put(self, int kind, int code, int64_t number, const char *text) noexcept nogil:
        """Writes a note; the order stays. A rebalance after an outage has one for each of a thousand partitions."""
        self.flush()
        if self._waiting_len == 0 and self._room():
            write(&self._notes[self._head % TG_NOTES], kind, code, number, text)
            tg_store_u64(&self._head, self._head + 1)
        elif self._waiting_len < self._waiting_room or self._grow():
            write(&self._waiting[self._waiting_len], kind, code, number, text)
            self._waiting_len += 1
        else:
            tg_store_u64(&self._dropped, self._dropped + 1)

    cdef bint _grow(self) noexcept nogil:
        cdef uint32_t room = 2 * self._waiting_room or TG_NOTES
        cdef tg_note *grown = NULL
        if room <= TG_NOTES_WAITING:
            grown = <tg_note *>realloc(self._waiting, room * sizeof(tg_note))
        if grown is NULL:
            return False
        self._waiting, self._waiting_room = grown, room
        return True

    cdef bint _room(self) noexcept nogil:
        return self._head - tg_load_u64(&self._tail) < TG_NOTES

    cdef void flush(self) noexcept nogil:
        """The writer's: hands on what waits for room."""
        cdef uint32_t moved = 0
        if self._waiting_len == 0:
            return
        while moved < self._waiting_len and self._room():
            memcpy(&self._notes[self._head % TG_NOTES], &self._waiting[moved], sizeof(tg_note))
            tg_store_u64(&self._head, self._head + 1)
            moved += 1
        self._waiting_len -= moved
        if self._waiting_len == 0:
            free(self._waiting)
            self._waiting, self._waiting_room = NULL, 0
        elif moved:
            memmove(self._waiting, self._waiting + moved, self._waiting_len * sizeof(tg_note))

    def drain(self) -> list:
        """``(kind, code, number, text)`` of each note since the last call, oldest first."""
        cdef tg_note *note
        cdef uint64_t head = tg_load_u64(&self._head), dropped = tg_load_u64(&self._dropped)
        notes = []
        while self._tail != head:
            note = &self._notes[self._tail % TG_NOTES]
            text = (<char *>note.text)[:strlen(note.text)].decode("utf-8", "replace")
            notes.append((KINDS[note.kind], note.code, note.number, text))
            tg_store_u64(&self._tail, self._tail + 1)
        if dropped != self._told:
            notes.append(("log", 4, 0, f"{dropped - self._told} notes did not fit and are not told"))
            self._told = dropped
        return notes

    @property
    def dropped(self) -> int:
        """Notes that did not fit."""
        return tg_load_u64(&self._dropped)

    # --- a small face for tests -------------------------------------------------------------------

    def test_put(self, str kind, int code, int64_t number, bytes text) -> None:
        self.put(KINDS.index(kind), code, number, text)

    def test_flush(self) -> None:
        self.flush()
