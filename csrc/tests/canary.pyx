# cython: language_level=3
"""Errs on purpose, only in sanitized builds: a sanitizer that lets these pass did not look at the rest either."""

from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free


def read_behind(Py_ssize_t size):
    """Reads one byte behind a heap block. AddressSanitizer aborts."""
    cdef char *block = <char *>calloc(1, size)  # else GCC warns of what is read, not of where
    if block == NULL:
        raise MemoryError()
    cdef char byte = block[size]
    free(block)
    return byte


def overflow(int32_t number):
    """Adds beyond the largest 32-bit number. UndefinedBehaviorSanitizer aborts for 2**31 - 1."""
    cdef int32_t sum = number + 1
    return sum
