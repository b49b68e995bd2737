"""librdkafka as the confluent-kafka wheel carries it, resolved once at import.

Raises:
    ImportError: the library is older than 2.15, or lacks a symbol that tidegate needs.
"""

from confluent_kafka import cimpl as _cimpl

cdef tg_rdkafka _api
cdef char _words[256]
cdef const char *_problem = tg_rdkafka_load(_cimpl.__file__.encode(), &_api, _words, sizeof(_words))
if _problem is not NULL:
    raise ImportError(
        f"tidegate needs librdkafka 2.15 or newer through confluent-kafka: {_problem.decode()}. "
        "Install a wheel of confluent-kafka 2.15 or newer (pip install -U confluent-kafka)."
    )


cdef const tg_rdkafka *rdkafka() noexcept nogil:
    return &_api


def version() -> str:
    """Version of the librdkafka in use, such as ``"2.16.0"``."""
    return _api.version_str().decode()
