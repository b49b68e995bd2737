"""librdkafka as the confluent-kafka wheel carries it, resolved once at import.

Raises:
    ImportError: the library is older than 2.15, or lacks a symbol that tidegate needs.
"""

from confluent_kafka import cimpl as _cimpl

from tidegate.errors import ConfigError, KafkaClientError

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


cdef rd_kafka_t *new_client(int kind, dict properties, int events) except NULL:
    """A consumer or producer made of `properties`, in their order; `events` are those that it reports on its queues.

    Raises:
        ConfigError: librdkafka refuses a property.
        KafkaClientError: the client cannot be created.
    """
    cdef char words[512]
    cdef rd_kafka_t *client
    cdef rd_kafka_conf_t *conf = _api.conf_new()
    for name, value in properties.items():
        if _api.conf_set(conf, name.encode(), str(value).encode(), words, sizeof(words)) != TG_RK_CONF_OK:
            _api.conf_destroy(conf)
            raise ConfigError(f"Kafka property {name}: {words.decode('utf-8', 'replace')}")
    _api.conf_set_events(conf, events)
    with nogil:  # with TLS it reads files
        client = _api.new_(kind, conf, words, sizeof(words))
    if client is NULL:
        _api.conf_destroy(conf)
        raise KafkaClientError(words.decode("utf-8", "replace"))
    return client


def version() -> str:
    """Version of the librdkafka in use, such as ``"2.16.0"``."""
    return _api.version_str().decode()
