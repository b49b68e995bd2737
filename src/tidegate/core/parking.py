"""What Python sees of parking: a record of the parking topic, and why one could not be written to it, in words."""

from __future__ import annotations

from typing import NamedTuple


class Parked(NamedTuple):
    """One record as its envelope holds it; the key is the Kafka message's own.

    Attributes:
        topic, partition, offset: where it came from.
        timestamp_ms: as Kafka had it; -1: none.
        timestamp_type: 0 none, 1 create time, 2 log append time.
        klass: index of its class.
        randomness, threshold: of sampling, below 2**56; None where it has none.
        headers: in their order, names repeat; a value may be None.
        payload: None is a tombstone.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    timestamp_type: int
    klass: int
    randomness: int | None
    threshold: int | None
    headers: tuple[tuple[bytes, bytes | None], ...]
    payload: bytes | None


class ParkingFailure(NamedTuple):
    """Records that Kafka did not take into the parking topic, by one reason. None of them is acknowledged.

    Attributes:
        code: stable kebab-case name of the reason.
        reason: librdkafka's words.
        hint: what to do about it, a full sentence.
        records: how many, all of one reason.
        again: of these, those that are produced once more.
        returned: those that go back to the reader, to be delivered as if they had never been parked.
        discarded: those whose partition was taken away, or for which the process ends: Kafka brings them again.
        topic, partition, offset: where the first one came from.
    """

    code: str
    reason: str
    hint: str
    records: int
    again: int
    returned: int
    discarded: int
    topic: str
    partition: int
    offset: int


_REASONS = {
    3: "topic-missing",  # UNKNOWN_TOPIC_OR_PART
    -188: "topic-missing",  # _UNKNOWN_TOPIC
    -190: "topic-missing",  # _UNKNOWN_PARTITION
    10: "message-too-large",
    18: "message-too-large",  # RECORD_LIST_TOO_LARGE
    29: "not-authorised",
    31: "not-authorised",  # CLUSTER_AUTHORIZATION_FAILED
    53: "not-authorised",  # TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    87: "refused-by-topic",  # INVALID_RECORD
    -192: "timed-out",  # _MSG_TIMED_OUT
    -151: "given-up",  # _PURGE_INFLIGHT
    -152: "given-up",  # _PURGE_QUEUE
    -150: "producer-failed",  # _FATAL
}

_HINTS = {
    "topic-missing": "Create the topic {topic}, or set TIDEGATE_PARKING_TOPIC=none to go on without parking.",
    "message-too-large": "Raise max.message.bytes of the topic {topic} above that of the topics that are read, "
    "and TIDEGATE_KAFKA_MESSAGE_MAX_BYTES with it.",
    "not-authorised": "Allow this client to WRITE and DESCRIBE the topic {topic}, and to IDEMPOTENT_WRITE the cluster.",
    "refused-by-topic": "Set cleanup.policy=delete for the topic {topic}: a compacted one refuses records without key.",
    "timed-out": "Look for a partition of {topic} without a leader or with too few replicas in sync.",
    "given-up": "Nothing is to be done: Kafka brings the records again to whoever reads their partition next.",
    "producer-failed": "Another producer takes its place; where that goes on, look for the cause in the brokers' logs.",
    "other": "Look for the reason in the brokers' logs; what cannot be parked is delivered.",
}


def explain(err: int, topic: str) -> tuple[str, str]:
    """Code and hint for librdkafka's error number ``err``, for records that were to go to the topic."""
    code = _REASONS.get(err, "other")
    return code, _HINTS[code].format(topic=topic)
