"""A cluster that is asked and told a few things within a bounded time: topics, their configuration, a new topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from tidegate.broker.properties import tool_properties
from tidegate.errors import BrokerError, KafkaClientError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, KafkaException

    from tidegate.config import Settings

ASK_SECONDS = 2.0  # for one answer
_AGAIN_SECONDS = 0.1
_MOCK = "mockCluster"  # how librdkafka's mock cluster calls itself
T = TypeVar("T")


class NoAnswerError(BrokerError):
    """Nobody answered within the time that was given. Asking again later may help."""

    default_code = "no-answer"


class Cluster:
    """Asks within `seconds` in all; what is transient is asked again until then. Blocks; from one thread at a time.

    Raises:
        KafkaClientError: librdkafka makes no client of the properties.
    """

    def __init__(self, settings: Settings, seconds: float) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient  # costs 100 ms, so only for those who need it

        self.servers = settings.kafka_bootstrap_servers or ""
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        try:
            self._admin = AdminClient(dict[str, str | int | float | bool](tool_properties(settings)))
        except KafkaException as error:
            raise KafkaClientError(error.args[0].str()) from None
        self.embedded = False
        """Whether it is librdkafka's mock, which knows neither of topics' configuration nor how to make them or delete
        their records: a topic is there once somebody asks for it by name. Known after `topics`."""
        self.brokers = 0

    def topics(self, name: str | None = None) -> dict[str, int]:
        """Partitions of each topic that this client may see, or of one. Raises NoAnswerError."""
        found = self._ask(lambda: self._admin.list_topics(name, timeout=self._left()))
        self.embedded = str(found.cluster_id).startswith(_MOCK)
        self.brokers = len(found.brokers)
        return {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None}

    def create(self, name: str, partitions: int, config: Mapping[str, str], patient: Collection[int]) -> bool:
        """Creates a topic with the brokers' own replication factor; False: it is there already.

        Args:
            partitions: -1 is as many as the brokers' default.
            patient: Kafka's error codes that may be transient here.

        Raises:
            KafkaException: it is refused.
            NoAnswerError: nobody answers.
        """
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.cimpl import NewTopic

        topic = NewTopic(name, partitions, -1, config=dict(config))
        try:
            self._ask(lambda: self._admin.create_topics([topic], request_timeout=self._left())[name], patient)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        return True

    def configs(self, names: Collection[str]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
        """Configuration by topic, and why there is none, in words, of the rest. One answer has them all."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]  # public, and not said so

        found: dict[str, dict[str, str]] = {}
        reasons: dict[str, str] = {}
        asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        if not asked:
            return found, reasons
        answers = self._admin.describe_configs(asked, request_timeout=ASK_SECONDS)
        for resource, answer in answers.items():
            try:
                entries = answer.result(ASK_SECONDS * 2)
                found[resource.name] = {e.name: e.value for e in entries.values() if e.value is not None}
            except (KafkaException, TimeoutError) as error:
                reasons[resource.name] = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        return found, reasons

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._deadline

    def pause(self) -> None:
        """Between a question and the same again."""
        time.sleep(_AGAIN_SECONDS)

    def _left(self) -> float:
        return max(0.05, min(ASK_SECONDS, self._deadline - time.monotonic()))

    def _ask(self, ask: Callable[[], Any], patient: Collection[int] = ()) -> Any:
        from confluent_kafka import KafkaException

        while True:
            try:
                answer = ask()
                return answer.result(ASK_SECONDS * 2) if isinstance(answer, Future) else answer
            except (KafkaException, TimeoutError) as error:
                code = error.args[0].code() if isinstance(error, KafkaException) else 0
                silent = code == 0 or transient(error.args[0])
                if not silent and code not in patient:
                    raise
                if self.late:
                    if not silent:
                        raise
                    raise no_answer(self.servers, self._seconds) from None
            self.pause()


def transient(error: KafkaError) -> bool:
    """Whether it says no more than that a broker is away, busy or about to be another."""
    from confluent_kafka import KafkaError as E

    return error.retriable() or error.code() in (
        E._TRANSPORT,
        E._TIMED_OUT,
        E._TIMED_OUT_QUEUE,
        E._ALL_BROKERS_DOWN,
        E._RESOLVE,
        E._DESTROY,
        E._WAIT_COORD,
        E._SSL,
        E._AUTHENTICATION,
        E.REQUEST_TIMED_OUT,
        E.NETWORK_EXCEPTION,
        E.BROKER_NOT_AVAILABLE,
        E.LEADER_NOT_AVAILABLE,
        E.NOT_CONTROLLER,
        E.COORDINATOR_LOAD_IN_PROGRESS,
        E.COORDINATOR_NOT_AVAILABLE,
        E.NOT_COORDINATOR,
        E.THROTTLING_QUOTA_EXCEEDED,
    )


def no_answer(servers: str, seconds: float) -> NoAnswerError:
    """To be raised where the time is over."""
    return NoAnswerError(
        f"no broker answers at {servers} within {seconds:g} s",
        hint="Look whether TIDEGATE_KAFKA_BOOTSTRAP_SERVERS and the security settings are right and a broker is up.",
    )


def words(error: KafkaException) -> str:
    """What librdkafka or the broker says, without a full stop."""
    return str(error.args[0].str()).rstrip(". ")
