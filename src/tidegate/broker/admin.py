"""A cluster that is asked and told a few things within a bounded time: topics, their configuration, a new topic."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from tidegate.broker.diagnosis import diagnose, explain
from tidegate.broker.properties import tool_properties
from tidegate.broker.trouble import Trouble
from tidegate.errors import BrokerError, KafkaClientError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

    from tidegate.config import Settings

ASK_SECONDS = 2.0  # for one answer
_AGAIN_SECONDS = 0.1
_AT_ONCE = 200  # topics whose configuration is asked for: of each some forty entries come
_MOCK = "mockCluster"  # how librdkafka's mock cluster calls itself
T = TypeVar("T")


class NoAnswerError(BrokerError):
    """Nobody answered within the time that was given. Asking again later may help."""

    default_code = "no-answer"


class Cluster:
    """Asks within `seconds` in all; what is transient is asked again until then. Blocks; from one thread at a time.

    Args:
        unwanted: looked at before the same is asked again: nobody wants the answers any more.
        tell: called once, with why nobody answers, as soon as that is known and while it goes on asking.

    Attributes:
        embedded: after `topics`: it is librdkafka's mock, which knows neither of a topic's configuration nor how to
            make one: it is there once somebody asks for it by name.
        brokers: after `topics`: how many there are.

    Raises:
        KafkaClientError: librdkafka makes no client of the properties.
    """

    def __init__(
        self,
        settings: Settings,
        seconds: float,
        unwanted: Callable[[], bool] = lambda: False,
        tell: Callable[[Trouble], None] | None = None,
    ) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient  # costs 100 ms, so only for those who need it

        self.servers = settings.kafka_bootstrap_servers or ""
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._unwanted = unwanted
        self._settings = settings
        self._tell = tell
        self._trouble: Trouble | None = None
        self._said = said = deque[tuple[int, str]](maxlen=8)
        properties: dict[str, Any] = dict(tool_properties(settings))
        # No method of this object: the client would live as long as the cycle does.
        properties["error_cb"] = lambda error: said.append((error.code(), error.str()))
        try:
            self._admin = AdminClient(properties)
        except KafkaException as error:
            why = error.args[0].str().removeprefix("Failed to create admin client: ")  # as of any other client
            raise KafkaClientError(why) from None
        self.embedded = False
        self.brokers = 0

    def topics(self, name: str | None = None) -> dict[str, int]:
        """Partitions of each topic that this client may see, or of one. Raises NoAnswerError."""
        found = self._ask(lambda: self._admin.list_topics(name, timeout=self._left()))
        self.embedded = str(found.cluster_id).startswith(_MOCK)
        self.brokers = len(found.brokers)
        return {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None}

    def forbids(self, name: str) -> bool:
        """Whether this client may not know of the topic. Where there is none, and brokers make topics, it is made."""
        from confluent_kafka import KafkaError

        error = self._ask(lambda: self._admin.list_topics(name, timeout=self._left())).topics[name].error
        return error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED

    def create(
        self,
        name: str,
        partitions: int,
        config: Mapping[str, str],
        patient: Collection[int],
        *,
        only_ask: bool = False,
    ) -> bool:
        """Creates a topic with the brokers' own replication factor; False: it is there already.

        Args:
            partitions: -1 is as many as the brokers' default.
            patient: Kafka's error codes that may be transient here.
            only_ask: whether it could be created; nothing is.

        Raises:
            KafkaException: it is refused.
            NoAnswerError: nobody answers.
        """
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.cimpl import NewTopic

        topic = NewTopic(name, partitions, -1, config=dict(config))
        try:
            self._ask(
                lambda: self._admin.create_topics([topic], request_timeout=self._left(), validate_only=only_ask)[name],
                patient,
            )
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        return True

    def configs(
        self, names: Collection[str], patient: Collection[int] = ()
    ) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
        """Configuration by topic, and of the others why it is refused, in words. Arguments as for `create`.

        Raises:
            NoAnswerError: nobody answers.
        """
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]  # public, and not said so

        found: dict[str, dict[str, str]] = {}
        reasons: dict[str, str] = {}
        waiting = list(names)
        while waiting:
            asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in waiting[:_AT_ONCE]]
            again = []
            for resource, answer in self._admin.describe_configs(asked, request_timeout=ASK_SECONDS).items():
                try:
                    entries = answer.result(ASK_SECONDS * 2)
                    found[resource.name] = {e.name: e.value for e in entries.values() if e.value is not None}
                except (KafkaException, TimeoutError) as error:
                    if _silent(error, patient):
                        again.append(resource.name)
                    else:
                        reasons[resource.name] = words(error)
            if again:
                self.pause()
            waiting = again + waiting[_AT_ONCE:]
        return found, reasons

    def topic_rights(self, names: Collection[str]) -> dict[str, frozenset[str] | int]:
        """What this client may do with each topic, as ``"READ"``, or the error code where not even that is told; topics
        of which nothing is known are left out (KIP-430, brokers from 2.3)."""
        from confluent_kafka import TopicCollection

        if not names:
            return {}
        asked = self._admin.describe_topics(
            TopicCollection(list(names)), include_authorized_operations=True, request_timeout=self._left()
        )
        return {name: rights for name, answer in asked.items() if (rights := _rights(answer)) is not None}

    def group_rights(self, group: str) -> frozenset[str] | int | None:
        """As `topic_rights`, of a group; None: nothing is known."""
        asked = self._admin.describe_consumer_groups(
            [group], include_authorized_operations=True, request_timeout=self._left()
        )
        return _rights(asked[group])

    def pause(self) -> None:
        """Between a question and the same again. Raises NoAnswerError where the time is over."""
        if self._late:
            raise no_answer(self.servers, self._seconds, None if self._unwanted() else self.trouble())
        time.sleep(_AGAIN_SECONDS)

    def trouble(self) -> Trouble | None:
        """Why nobody answers, by what the client has heard, else by a look at the addresses: some seconds more."""
        if self._trouble is None:
            self._admin.poll(0)
            heard = (explain(self._settings, code, words) for code, words in self._said)
            self._trouble = next((one for one in heard if one is not None), None) or diagnose(self._settings)
        return self._trouble

    def afresh(self) -> None:
        """The time that answers may take begins anew."""
        self._deadline = time.monotonic() + self._seconds

    @property
    def _late(self) -> bool:
        return time.monotonic() >= self._deadline or self._unwanted()

    def _left(self) -> float:
        return max(0.05, min(ASK_SECONDS, self._deadline - time.monotonic()))

    def _ask(self, ask: Callable[[], Any], patient: Collection[int] = ()) -> Any:
        from confluent_kafka import KafkaException

        while True:
            try:
                answer = ask()
                return answer.result(ASK_SECONDS * 2) if isinstance(answer, Future) else answer
            except (KafkaException, TimeoutError) as error:
                if not _silent(error, patient):
                    raise
                if self._late and not _silent(error):
                    raise
            if self._tell is not None and not self._late:
                tell, self._tell = self._tell, None
                if (trouble := self.trouble()) is not None:
                    tell(trouble)
            self.pause()


def _rights(answer: Future[Any]) -> frozenset[str] | int | None:
    from confluent_kafka import KafkaException

    try:
        operations = answer.result(ASK_SECONDS * 2).authorized_operations
    except TimeoutError:
        return None
    except KafkaException as error:
        code: int = error.args[0].code()
        return None if transient(error.args[0]) else code
    return None if operations is None else frozenset(operation.name for operation in operations)


def _silent(error: Exception, patient: Collection[int] = ()) -> bool:
    """Whether the same question may get another answer; for `patient` see `Cluster.create`."""
    if isinstance(error, TimeoutError):
        return True
    return transient(error.args[0]) or error.args[0].code() in patient


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


def no_answer(servers: str, seconds: float, trouble: Trouble | None = None) -> NoAnswerError:
    """To be raised where the time is over."""
    if trouble is not None:
        hint = trouble.todo.replace("\n", "\n  ")
        return NoAnswerError(f"{trouble.what} (tried for {seconds:g} s)", code=trouble.code, hint=hint)
    return NoAnswerError(
        f"no broker answers at {servers} within {seconds:g} s",
        hint="Look whether TIDEGATE_KAFKA_BOOTSTRAP_SERVERS and the security settings are right and a broker is up.",
    )


def words(error: Exception) -> str:
    """What a KafkaException has from librdkafka or the broker, without a full stop."""
    return str(error.args[0].str()).rstrip(". ")
