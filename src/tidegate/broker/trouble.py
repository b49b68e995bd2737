"""What can keep a client from its brokers, topics and group: each case with what, where and what to do. Pure.

One table (`TROUBLES`) names every case; the log, `tidegate validate --connect` and docs/errors.md go by it. Which case
it is, `diagnosis.py` finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tidegate.broker import acls

if TYPE_CHECKING:
    from tidegate.config import Settings

# code → what it means, and what to do, for docs/errors.md
TROUBLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "kafka-unresolved": (
            "A broker's host name cannot be resolved.",
            "Correct `TIDEGATE_KAFKA_BOOTSTRAP_SERVERS`. If only a broker's own name fails, correct"
            " `advertised.listeners` there.",
        ),
        "kafka-unreachable": (
            "Nothing takes connections at a broker's address.",
            "See whether the broker is up, host and port are right, and no firewall or network policy is in between.",
        ),
        "kafka-not-there": (
            "Something takes connections at the address and does not answer as Kafka does.",
            "Correct the port; where the listener wants a client certificate, give it"
            " (`TIDEGATE_KAFKA_SSL_CERTIFICATE_LOCATION`, `TIDEGATE_KAFKA_SSL_KEY_LOCATION`).",
        ),
        "kafka-protocol": (
            "The listener speaks another security protocol than the client: plaintext to a TLS port, TLS to a plain"
            " one, a password where none is asked for, or none where one is.",
            "Set `TIDEGATE_KAFKA_SECURITY_PROTOCOL` to the one that the message names, or take another port.",
        ),
        "kafka-mechanism": (
            "The listener does not have the SASL mechanism.",
            "Set `TIDEGATE_KAFKA_SASL_MECHANISM` to one of those that the message names.",
        ),
        "kafka-credentials": (
            "Kafka refuses the user or the password.",
            "Correct `TIDEGATE_KAFKA_SASL_USERNAME` and `TIDEGATE_KAFKA_SASL_PASSWORD` (or `_PASSWORD_FILE`).",
        ),
        "kafka-certificate": (
            "The broker's certificate is not trusted, or not one of this host.",
            "Set `TIDEGATE_KAFKA_SSL_CA_LOCATION` to the certificate of who signed it.",
        ),
        "kafka-topic-missing": (
            "A topic of `TIDEGATE_TOPICS` is not there, or the client may not see it. tidegate reads it as soon as it"
            " is.",
            "Correct the name, create the topic, or allow the client to describe it.",
        ),
        "kafka-topic-denied": (
            "The client may not read a topic.",
            "Run the `kafka-acls.sh` command of the message.",
        ),
        "kafka-group-denied": (
            "The client may not use the group `TIDEGATE_GROUP_ID`.",
            "Run the `kafka-acls.sh` command of the message, or take a group that it may use.",
        ),
    }
)
WITH_BROKER = ("kafka-topic-missing", "kafka-topic-denied", "kafka-group-denied")  # told by one that answers
_WITHOUT_PASSWORD = {"OAUTHBEARER": "TIDEGATE_KAFKA_SASL_OAUTHBEARER_*", "GSSAPI": "TIDEGATE_KAFKA_SASL_KERBEROS_*"}
_PROTOCOL = "TIDEGATE_KAFKA_SECURITY_PROTOCOL"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One case of `TROUBLES`. ``what`` says where as well; ``todo`` may have several lines, commands on their own."""

    code: str
    what: str
    todo: str


def protocol_of(settings: Settings) -> str:
    """The client's ``security.protocol``."""
    return given(settings, "security.protocol", "plaintext").lower()


def mechanism_of(settings: Settings) -> str:
    """The client's SASL mechanism, whether it needs one or not."""
    return given(settings, "sasl.mechanisms", given(settings, "sasl.mechanism", "GSSAPI"))


def given(settings: Settings, name: str, default: str = "") -> str:
    """A property of librdkafka that the operator has set. Not to be shown where it is a secret."""
    value = settings.kafka.get(name)
    return default if value is None else value.get_secret_value()


def unresolved(address: str, words: str = "no such name") -> Trouble:
    """The resolver does not know the host."""
    todo = (
        "Correct TIDEGATE_KAFKA_BOOTSTRAP_SERVERS. A name that does not stand there comes from a broker: then correct"
        " its advertised.listeners."
    )
    return Trouble("kafka-unresolved", f"cannot resolve {address}: {words.lower()}", todo)


def unreachable(address: str, words: str) -> Trouble:
    """No connection comes about."""
    todo = (
        "See whether the broker is up, host and port are right (TIDEGATE_KAFKA_BOOTSTRAP_SERVERS), and no"
        " firewall or network policy is in between."
    )
    return Trouble("kafka-unreachable", f"cannot connect to {address}: {words.lower()}", todo)


def not_there(address: str, words: str) -> Trouble:
    """Connected, and no word of Kafka's comes."""
    todo = (
        "If it is a broker, it hangs or is overloaded: see its log. Else correct host and port in"
        " TIDEGATE_KAFKA_BOOTSTRAP_SERVERS."
    )
    return Trouble("kafka-not-there", f"{address} takes connections and {words}", todo)


def without_certificate(settings: Settings, address: str) -> Trouble:
    """Behind TLS it ends the connection, as what wants a client's certificate does."""
    if given(settings, "ssl.certificate.location") or given(settings, "ssl.keystore.location"):
        todo = "See in the broker's log whether it accepts this client's certificate, and has not expired."
    else:
        todo = "It may want a client certificate: TIDEGATE_KAFKA_SSL_CERTIFICATE_LOCATION and _SSL_KEY_LOCATION."
    return Trouble("kafka-not-there", f"{address} speaks TLS and then ends the connection", todo)


def other_protocol(settings: Settings, address: str, theirs: str, mechanisms: tuple[str, ...] = ()) -> Trouble:
    """The listener has another security protocol."""
    todo = f"Set {_PROTOCOL}={theirs}, or name the port of a listener that speaks {protocol_of(settings)}."
    if mechanisms and "sasl" not in protocol_of(settings):
        todo += (
            f" With it: TIDEGATE_KAFKA_SASL_MECHANISM (one of {', '.join(mechanisms)}),"
            " TIDEGATE_KAFKA_SASL_USERNAME and TIDEGATE_KAFKA_SASL_PASSWORD."
        )
    return Trouble("kafka-protocol", f"{address} speaks {theirs}, and this client {protocol_of(settings)}", todo)


def other_mechanism(settings: Settings, address: str, theirs: str) -> Trouble:
    """The listener does not have the client's SASL mechanism."""
    what = f"{address} does not take SASL mechanism {mechanism_of(settings)}; it has {theirs}"
    return Trouble("kafka-mechanism", what, "Set TIDEGATE_KAFKA_SASL_MECHANISM to one of these.")


def untrusted(settings: Settings, address: str) -> Trouble:
    """A certificate is refused. librdkafka does not say why; the command shows who signed it, for whom, until when."""
    used = given(settings, "ssl.ca.location")
    by = f"by what {used} holds" if used else "by this machine's certificates"
    todo = (
        "Set TIDEGATE_KAFKA_SSL_CA_LOCATION to the certificate (PEM) of who signed the broker's; or it has expired, or"
        " is for another host name. See it with:\n"
        f"openssl s_client -connect {address} -showcerts </dev/null"
    )
    return Trouble("kafka-certificate", f"the certificate of {address} is not trusted {by}", todo)


def bad_credentials(settings: Settings, address: str) -> Trouble:
    """The listener refuses who the client says it is."""
    mechanism = mechanism_of(settings)
    if mechanism in _WITHOUT_PASSWORD:
        todo = f"The words of librdkafka say why; its settings are {_WITHOUT_PASSWORD[mechanism]}."
        return Trouble("kafka-credentials", f"no sign-in at {address} with {mechanism}", todo)
    todo = (
        "Correct TIDEGATE_KAFKA_SASL_USERNAME and TIDEGATE_KAFKA_SASL_PASSWORD, or the file that"
        " TIDEGATE_KAFKA_SASL_PASSWORD_FILE names."
    )
    user = given(settings, "sasl.username")
    return Trouble("kafka-credentials", f"{address} refuses user {user} ({mechanism})", todo)


def topic_denied(settings: Settings, *topics: str) -> Trouble:
    """A source may not be read, or one of several."""
    todo = f"An administrator allows it with:\n{acls.command(settings, 'topic', topics, acls.SOURCE)}"
    which = f"topic {topics[0]}" if len(topics) == 1 else f"one of the topics {', '.join(topics)}"
    return Trouble("kafka-topic-denied", f"{acls.principal(settings)} may not read {which}", todo)


def group_denied(settings: Settings) -> Trouble:
    """The group may not be joined."""
    group = settings.group_id
    todo = f"An administrator allows it with:\n{acls.command(settings, 'group', [group], acls.GROUP)}"
    return Trouble("kafka-group-denied", f"{acls.principal(settings)} may not join group {group}", todo)
