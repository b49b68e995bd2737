"""A consumer that looks and takes nothing: it assigns itself partitions, never joins the group and never commits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tidegate.broker.admin import no_answer, transient, words
from tidegate.broker.diagnosis import diagnose
from tidegate.broker.properties import looking_properties
from tidegate.errors import KafkaClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer

    from tidegate.config import Settings

_AGAIN_SECONDS = 0.1
T = TypeVar("T")


@contextmanager
def looking(settings: Settings) -> Iterator[Consumer]:
    """Such a consumer, closed at the end of the block. Raises KafkaClientError: librdkafka makes none."""
    from confluent_kafka import Consumer, KafkaException

    try:
        consumer = Consumer(dict[str, Any](looking_properties(settings)))
    except KafkaException as error:
        raise KafkaClientError(words(error)) from None
    try:
        yield consumer
    finally:
        consumer.close()


def patiently(settings: Settings, seconds: float, ask: Callable[[], T]) -> T:
    """The answer to a question, asked again for `seconds` where what came was transient. Blocks.

    Raises:
        KafkaException: it is refused.
        NoAnswerError: nobody answers.
    """
    from confluent_kafka import KafkaException

    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            if not transient(error.args[0]):
                raise
            if time.monotonic() > deadline:
                raise no_answer(settings.kafka_bootstrap_servers or "", seconds, diagnose(settings)) from None
        time.sleep(_AGAIN_SECONDS)
