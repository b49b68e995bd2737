"""Copies what rule_image.py compiled into native tables. `keep` holds the objects that they borrow from."""

from array import array

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from tidegate.core.csrc cimport (
    TG_SCAN_MAX_FIELDS, tg_glob, tg_matcher, tg_scan_plan, tg_scan_plan_new, tg_scan_status, tg_trie, tg_words,
    tg_words_fill,
)


cdef const void *hold(list keep, bytes data) except NULL:
    keep.append(data)
    return <const void *> <const char *> data


cdef const int32_t *hold_numbers(list keep, list numbers) except NULL:
    return <const int32_t *> hold(keep, array("i", numbers).tobytes())


cdef int fill_words(tg_words *w, list keep, list pairs) except -1:
    cdef bytearray slots
    size, end = 4, 0
    while size < 2 * len(pairs):
        size *= 2
    ends = array("I", [0])
    for word, _ in pairs:
        end += len(word)
        ends.append(end)
    w.n, w.mask = len(pairs), size - 1
    w.offsets = <const uint32_t *> hold(keep, ends.tobytes())
    w.bytes = <const uint8_t *> hold(keep, b"".join([word for word, _ in pairs]))
    w.values = <const uint32_t *> hold(keep, array("I", [value for _, value in pairs]).tobytes())
    slots = bytearray(8 * size)
    keep.append(slots)
    tg_words_fill(w, <uint32_t *> <char *> slots)
    return 0


cdef int fill_trie(tg_trie *t, list keep, object image) except -1:
    if image.cells:
        t.cells = <const uint32_t *> hold(keep, image.cells)
        t.classes = <const uint8_t *> hold(keep, image.classes)
    return 0


cdef int fill_matcher(tg_matcher *m, list keep, object image) except -1:
    fill_words(&m.words, keep, image.words)
    fill_trie(&m.head, keep, image.head)
    fill_trie(&m.tail, keep, image.tail)
    fill_trie(&m.inner, keep, image.inner)
    m.globs = <const tg_glob *> hold(keep, image.globs)
    m.code = <const uint16_t *> hold(keep, image.code)
    m.bare = image.bare
    m.empty = not (image.words or image.head.cells or image.tail.cells or image.inner.cells or image.globs)
    return 0


cdef tg_scan_plan *make_plan(list pointers) except NULL:
    cdef const char *texts[TG_SCAN_MAX_FIELDS]
    cdef size_t lens[TG_SCAN_MAX_FIELDS]
    cdef tg_scan_plan *plan = NULL
    cdef tg_scan_status status
    for i, pointer in enumerate(pointers):
        texts[i] = pointer
        lens[i] = len(pointer)
    status = tg_scan_plan_new(texts, lens, len(pointers), &plan)
    if plan == NULL:  # rule_text.py and rule_layout.py refuse what could not be compiled
        raise MemoryError(f"scan plan: status {<int>status}")
    return plan
