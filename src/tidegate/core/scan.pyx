"""A small Python face of the JSON scanner (csrc/tg_scan.h), for tests and for tools.

The hot path calls the C functions itself and never comes through here. TIDEGATE_SIMD names the implementation
to use; it is read once, at import.
"""

import os

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc


from tidegate.core.csrc cimport (
    TG_SCAN_ABSENT, TG_SCAN_ENOMEM, TG_SCAN_GRAMMAR, TG_SCAN_MAX_FIELDS, TG_SCAN_OK, TG_SCAN_STRUCTURE, tg_scan,
    tg_scan_implementations, tg_scan_info, tg_scan_level, tg_scan_plan, tg_scan_plan_free, tg_scan_plan_new,
    tg_scan_status, tg_scan_status_name, tg_scan_unescape, tg_scan_use, tg_scan_using, tg_scan_value,
)

HAS_NEWLINE = 1
HAS_BOM = 2
KINDS = ("absent", "string", "number", "true", "false", "null", "object", "array")


def implementations() -> list[str]:
    """Names of the implementations that this build and this CPU have, best first."""
    cdef const char *names[8]
    cdef int n = min(tg_scan_implementations(names, 8), 8)
    return [names[i].decode() for i in range(n)]


def use(name: str | None) -> None:
    """Takes the implementation called ``name``; ``None`` is the best one. Raises ValueError where it is not usable."""
    cdef bytes raw
    if name is None:
        tg_scan_use(NULL)
        return
    raw = name.encode()
    if b"\0" in raw or tg_scan_use(raw) != 0:
        raise ValueError(f"no scanner implementation {name!r} here; there are: {', '.join(implementations())}")


def using() -> str:
    """Name of the implementation in use."""
    return tg_scan_using().decode()


cdef class Scanner:
    """Looks for the values at JSON pointers (RFC 6901) and checks the whole document.

    Raises ValueError where ``pointers`` are not at most 64 JSON pointers with tokens of at most 255 bytes.
    """

    cdef tg_scan_plan *_plan  # owns
    cdef size_t _fields

    def __cinit__(self, pointers: list[str]) -> None:
        cdef const char *texts[TG_SCAN_MAX_FIELDS]
        cdef size_t lens[TG_SCAN_MAX_FIELDS]
        cdef bytes raw
        cdef tg_scan_status status
        encoded = [p.encode("utf-8", "surrogatepass") for p in pointers]
        self._fields = len(encoded)
        if self._fields > TG_SCAN_MAX_FIELDS:
            raise ValueError(f"{self._fields} JSON pointers, at most {TG_SCAN_MAX_FIELDS} are possible")
        for i in range(self._fields):
            raw = encoded[i]
            texts[i] = raw
            lens[i] = len(raw)
        status = tg_scan_plan_new(texts, lens, self._fields, &self._plan)
        if status == TG_SCAN_ENOMEM:
            raise MemoryError
        if status != TG_SCAN_OK:
            raise ValueError(f"not usable as JSON pointers: {pointers!r}")

    def __dealloc__(self) -> None:
        tg_scan_plan_free(self._plan)

    def scan(self, doc: bytes, grammar: bool = False) -> tuple[str, int, int, list[tuple[str, str] | None]]:
        """Scans ``doc``: status, byte position of an error, HAS_* flags, and for each pointer ``None`` (absent, or
        the document is bad) or kind and text. Strings come decoded, numbers as they stand; other kinds have no text.
        """
        cdef tg_scan_value values[TG_SCAN_MAX_FIELDS]
        cdef tg_scan_info info
        cdef const uint8_t *data = <const uint8_t *>(<const char *>doc)
        cdef size_t size = len(doc)
        cdef tg_scan_level level = TG_SCAN_GRAMMAR if grammar else TG_SCAN_STRUCTURE
        cdef tg_scan_status status
        with nogil:
            status = tg_scan(self._plan, data, size, level, values, &info)
        found = [_value(&values[i]) for i in range(self._fields)]
        return tg_scan_status_name(status).decode(), info.error_pos, info.flags, found


cdef object _value(const tg_scan_value *value):
    cdef uint8_t *buffer
    cdef size_t size
    if value.kind == TG_SCAN_ABSENT:
        return None
    kind = KINDS[value.kind]
    if kind not in ("string", "number"):
        return kind, ""
    if not value.escaped:
        return kind, value.ptr[:value.len].decode("utf-8")
    buffer = <uint8_t *>malloc(value.len)
    if buffer == NULL:
        raise MemoryError
    try:
        size = tg_scan_unescape(value.ptr, value.len, buffer)
        return kind, buffer[:size].decode("utf-8", "surrogatepass")
    finally:
        free(buffer)


_wanted = os.environ.get("TIDEGATE_SIMD", "")
if _wanted not in ("", "auto"):
    use(_wanted)
