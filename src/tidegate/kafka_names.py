"""librdkafka's own table of properties: names, aliases, whose they are, which values it takes.

Read from the library in use rather than kept as a copy, so that a newer librdkafka brings its new properties by itself.
Costs about 90 ms, nearly all of it the import of confluent-kafka; so this is called only when a property is set.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from tidegate.errors import NativeLibraryError

_ALIAS = re.compile(r"Alias for `([^`]+)`")
# What must never be shown. Names are librdkafka's; matched anywhere in the name, so that new properties are covered.
_SECRET = re.compile(
    r"password|secret|passphrase|ssl\.key\.pem|private\.key\.pem|oauthbearer\.(config|extensions)|ssl_key"
)
_CONF_OK = 0
_CONSUMER = 1  # rd_kafka_type_t
_NO_CONSUMER_CLOSE = 8  # RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE: there is no group to leave
_WHOLE_NUMBER = re.compile(r"\s*[+-]?(0|[1-9][0-9]*)\s*")


@dataclass(frozen=True, slots=True)
class Property:
    """One line of the table. ``name`` is canonical: aliases are resolved."""

    name: str
    scope: str  # "C" consumer, "P" producer, "*" both
    integer: bool = False


def is_secret(name: str) -> bool:
    """Whether the value of the property ``name`` is masked wherever it would be shown."""
    return _SECRET.search(name) is not None


def environment_name(name: str) -> str:
    """``"ssl.ca.location"`` → ``"SSL_CA_LOCATION"``, the part behind ``TIDEGATE_KAFKA_``."""
    return name.replace(".", "_").upper()


@cache
def catalogue() -> Mapping[str, Property]:
    """Every property of the librdkafka in use by its :func:`environment_name`, aliases included.

    Raises:
        NativeLibraryError: librdkafka cannot be reached through confluent-kafka.
    """
    found: dict[str, Property] = {}
    for line in _table().splitlines():
        columns = [column.strip() for column in line.split("|", 5)]
        if len(columns) < 6 or columns[1] not in ("C", "P", "*"):
            continue
        alias = _ALIAS.search(columns[5])
        # Topic properties follow the global ones of the same name; the global one is what a consumer takes.
        one = Property(alias[1] if alias else columns[0], columns[1], "*Type: integer*" in columns[5])
        found.setdefault(environment_name(columns[0]), one)
    if "BOOTSTRAP_SERVERS" not in found:
        raise NativeLibraryError("librdkafka's table of properties cannot be read", code="librdkafka-properties")
    return found


def check_values(properties: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What is wrong with these (name, value) pairs, by name and mostly in librdkafka's words; empty when nothing is.

    Of a number librdkafka reads what it can and ignores the rest: ``45s`` would be 45 ms, ``010`` eight. Here that
    is a complaint as well.
    """
    lib = _library()
    integers = {known.name for known in catalogue().values() if known.integer}
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    words = ctypes.create_string_buffer(512)
    complaints: dict[str, str] = {}
    try:
        for name, value in properties:
            if name in integers and not _WHOLE_NUMBER.fullmatch(value):
                complaints[name] = "is not a plain whole number, without a unit"
            elif lib.rd_kafka_conf_set(conf, name.encode(), value.encode(), words, len(words)) != _CONF_OK:
                said = " ".join(words.value.decode(errors="replace").split())  # some of its words end in a line feed
                complaints[name] = f"is refused by librdkafka: {said}"
    finally:
        lib.rd_kafka_conf_destroy(conf)
    return complaints


def check_together(properties: Iterable[tuple[str, str]]) -> str | None:
    """What librdkafka says against a consumer with these properties, each of which it takes; None when it makes one.

    It reads certificates and keys for that, and connects to nothing as long as no broker is among the properties.
    """
    lib = _library()
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    words = ctypes.create_string_buffer(512)
    for name, value in properties:
        lib.rd_kafka_conf_set(conf, name.encode(), value.encode(), words, len(words))
    lib.rd_kafka_conf_set_log_cb(conf, None)
    client = lib.rd_kafka_new(_CONSUMER, conf, words, len(words))  # steals conf, unless it fails
    if not client:
        lib.rd_kafka_conf_destroy(conf)
        return words.value.decode(errors="replace").strip()
    lib.rd_kafka_destroy_flags(client, _NO_CONSUMER_CLOSE)
    return None


@cache
def _library() -> ctypes.CDLL:
    try:
        from confluent_kafka import cimpl

        # The extension is loaded already; its handle also finds the symbols of the librdkafka it is linked to.
        lib = ctypes.CDLL(cimpl.__file__)
        lib.rd_kafka_conf_new.restype = ctypes.c_void_p
        lib.rd_kafka_conf_set.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_size_t,
        ]
        lib.rd_kafka_conf_destroy.argtypes = [ctypes.c_void_p]
        lib.rd_kafka_conf_destroy.restype = None
        lib.rd_kafka_conf_set_log_cb.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        lib.rd_kafka_conf_set_log_cb.restype = None
        lib.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        lib.rd_kafka_new.restype = ctypes.c_void_p
        lib.rd_kafka_destroy_flags.argtypes = [ctypes.c_void_p, ctypes.c_int]
        lib.rd_kafka_destroy_flags.restype = None
        lib.rd_kafka_conf_properties_show.argtypes = [ctypes.c_void_p]
        lib.rd_kafka_conf_properties_show.restype = None
    except (ImportError, OSError, AttributeError) as error:
        raise NativeLibraryError(
            f"librdkafka cannot be reached through confluent-kafka: {error}",
            hint="Install tidegate's dependencies anew (make build); it needs the confluent-kafka wheel.",
        ) from error
    return lib


def _table() -> str:
    """The table as librdkafka prints it: it only writes to a FILE, so give it one in memory."""
    lib, libc = _library(), ctypes.CDLL(None)
    libc.open_memstream.restype = ctypes.c_void_p
    libc.fclose.argtypes = libc.free.argtypes = [ctypes.c_void_p]
    text, size = ctypes.c_void_p(), ctypes.c_size_t()
    stream = libc.open_memstream(ctypes.byref(text), ctypes.byref(size))
    if not stream:
        raise NativeLibraryError("no memory for librdkafka's table of properties", code="librdkafka-properties")
    lib.rd_kafka_conf_properties_show(stream)
    libc.fclose(stream)
    try:
        return ctypes.string_at(text, size.value).decode(errors="replace")
    finally:
        libc.free(text)
