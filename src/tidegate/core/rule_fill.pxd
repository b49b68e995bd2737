from libc.stdint cimport int32_t

from tidegate.core.csrc cimport tg_matcher, tg_scan_plan, tg_trie, tg_words


cdef const void *hold(list keep, bytes data) except NULL
cdef const int32_t *hold_numbers(list keep, list numbers) except NULL
cdef int fill_words(tg_words *w, list keep, list pairs) except -1
cdef int fill_trie(tg_trie *t, list keep, object image) except -1
cdef tg_scan_plan *make_plan(list pointers) except NULL
cdef int fill_matcher(tg_matcher *m, list keep, object image) except -1
