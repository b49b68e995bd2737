"""Leaf: what can go wrong, by code. ``str(error)`` is the whole text for one screen: what, where, what to do."""

from __future__ import annotations

from typing import ClassVar

_WITHOUT_MECHANISM = (
    "Set TIDEGATE_KAFKA_SASL_MECHANISM, such as PLAIN or SCRAM-SHA-512: left out, it is GSSAPI, which this librdkafka"
    " does not have."
)
_CONTEXT = 60  # characters of a rule shown around the faulty one


class TidegateError(Exception):
    """Anything tidegate reports by itself, as opposed to a bug.

    Args:
        message: what is wrong and where, without a final line feed.
        code: stable kebab-case name of the case, for logs and tests. Default: the class's own.
        hint: what to do about it, a full sentence; shown below the message.

    Attributes:
        exit_code: of the process when the error ends it: 2 for configuration and samples, 1 otherwise.
    """

    default_code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"


class ConfigError(TidegateError):
    """A setting is wrong or missing; trying again does not help."""

    default_code = "configuration"
    exit_code = 2


class KafkaClientError(ConfigError):
    """librdkafka makes no client of its properties: they do not go together, or a file that they name is no use.

    Args:
        words: librdkafka's.
    """

    default_code = "kafka-client"

    def __init__(self, words: str) -> None:
        hint = (
            _WITHOUT_MECHANISM
            if "SASL mechanism GSSAPI" in words
            else "Its properties are set as TIDEGATE_KAFKA_<PROPERTY>; `tidegate config` shows all in force."
        )
        super().__init__(f"Kafka client: {words}", hint=hint)


class RuleError(ConfigError):
    """A rule's text cannot be understood, or contradicts another rule.

    Attributes:
        rule: the rule's whole text.
        position: 0-based index of the faulty character in it (its length: something is missing at the end).
    """

    default_code = "rule"

    def __init__(self, message: str, *, rule: str, position: int = 0, code: str | None = None, hint: str | None = None):
        super().__init__(message, code=code, hint=hint)
        self.rule = rule
        self.position = min(max(position, 0), len(rule))

    def __str__(self) -> str:
        start = max(0, self.position - _CONTEXT // 2)
        # One column per character, or the caret would point beside the mark.
        shown = "".join(c if c.isprintable() else "?" for c in self.rule[start : start + _CONTEXT])
        lines = [self.message, f"  {shown}", f"  {' ' * (self.position - start)}^"]
        return "\n".join(lines if self.hint is None else [*lines, f"  {self.hint}"])


class BrokerError(TidegateError):
    """Kafka refuses or does not answer, and waiting does not help."""

    default_code = "broker"


class SinkError(TidegateError):
    """The target cannot be used at all. A target that is merely down is not an error: events are held."""

    default_code = "sink"


class NativeLibraryError(TidegateError):
    """librdkafka or the native core is absent, too old or not what it was built for."""

    default_code = "native-library"
