"""What keeps a client from its brokers, topics and group: librdkafka's codes and words to what, where and what to do.

One table (`TROUBLES`) names every case; the log, `tidegate validate --connect` and docs/errors.md go by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tidegate.broker import acls
from tidegate.broker.listener import Listener, Reached, look, split_servers

if TYPE_CHECKING:
    from tidegate.config import Settings

# librdkafka's and Kafka's error codes (rdkafka.h)
RESOLVE, TRANSPORT, ALL_BROKERS_DOWN, SSL, AUTHENTICATION = -193, -195, -187, -181, -169
UNKNOWN_TOPIC, TOPIC_DENIED, GROUP_DENIED, CLUSTER_DENIED = 3, 29, 30, 31
AWAY = (ALL_BROKERS_DOWN, TRANSPORT)  # codes that may mean anything: then the address itself is looked at

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
_FAILED_TO_RESOLVE = re.compile(r"Failed to resolve '([^']+)'")
_ADDRESS = re.compile(r"^(?:[a-z_]+://)?(\S+?)(?:/\w+)?: ")
_HAS_MECHANISMS = re.compile(r"supported mechanisms: ?([\w, -]*)")
_OF_TOPIC = re.compile(r"not available: (\S+): ")
_PROTOCOL = "TIDEGATE_KAFKA_SECURITY_PROTOCOL"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One case of `TROUBLES`. ``what`` says where as well; ``todo`` may have several lines, commands on their own."""

    code: str
    what: str
    todo: str


def explain(settings: Settings, code: int, words: str) -> Trouble | None:
    """What an error of librdkafka means; None: it says nothing that helps. Asks nobody."""
    match = _ADDRESS.match(words)
    where = match[1] if match is not None else settings.kafka_bootstrap_servers or ""
    if code in (SSL, TRANSPORT) and "certificate" in words:
        return _certificate(settings, where)
    match code:
        case -193:
            host = _FAILED_TO_RESOLVE.search(words)
            return _unresolved(host[1] if host is not None else where)
        case -195 if "Connect to" in words:
            return _unreachable(where, words.rpartition(" failed: ")[2].partition(" (after")[0])
        case -169:
            return _refused(settings, where, words)
        case 3:
            topic = _OF_TOPIC.search(words)
            return _trouble("kafka-topic-missing", f"topic {topic[1] if topic else '?'} is not there", "Create it.")
        case 29:
            return topic_denied(settings, _topic_of(settings, words))
        case 30:
            return group_denied(settings)
    return None


def diagnose(settings: Settings) -> Trouble | None:
    """Looks at each of the addresses and says what is wrong with the first that is not as configured; None: all are.

    Blocks: some seconds for each address. For cases of which librdkafka knows no more than that no broker is up.
    """
    for host, port in split_servers(settings.kafka_bootstrap_servers or ""):
        found = judge(settings, look(host, port))
        if found is not None:
            return found
    return None


def judge(settings: Settings, there: Listener) -> Trouble | None:
    """What is wrong with a listener, for a client of these settings."""
    match there.reached:
        case Reached.UNRESOLVED:
            return _unresolved(there.address, there.words)
        case Reached.REFUSED:
            return _unreachable(there.address, there.words)
        case Reached.SILENT if there.tls:
            return _trouble(
                "kafka-not-there",
                f"{there.address} speaks TLS and ends the connection: it may want a client certificate",
                "Set TIDEGATE_KAFKA_SSL_CERTIFICATE_LOCATION and TIDEGATE_KAFKA_SSL_KEY_LOCATION.",
            )
        case Reached.SILENT:
            todo = "Name a Kafka listener's host and port in TIDEGATE_KAFKA_BOOTSTRAP_SERVERS."
            return _trouble("kafka-not-there", f"{there.address} does not answer as Kafka does", todo)
    ours = protocol_of(settings)
    if ours != there.protocol:
        more = (
            ""
            if "sasl" in ours or not there.mechanisms
            else (
                f" With it: TIDEGATE_KAFKA_SASL_MECHANISM (one of {', '.join(there.mechanisms)}),"
                " TIDEGATE_KAFKA_SASL_USERNAME and TIDEGATE_KAFKA_SASL_PASSWORD."
            )
        )
        return _protocol(settings, there.address, there.protocol, f"Set {_PROTOCOL}={there.protocol}.{more}")
    mechanism = _given(settings, "sasl.mechanism", _given(settings, "sasl.mechanisms", "GSSAPI"))
    if there.mechanisms and mechanism not in there.mechanisms:
        return _mechanism(there.address, mechanism, ", ".join(there.mechanisms))
    return None


def protocol_of(settings: Settings) -> str:
    """The client's ``security.protocol``."""
    return _given(settings, "security.protocol", "plaintext").lower()


def topic_denied(settings: Settings, topic: str) -> Trouble:
    """A source may not be read."""
    todo = f"An administrator allows it with:\n{acls.command(settings, 'topic', topic, acls.SOURCE)}"
    return _trouble("kafka-topic-denied", f"{acls.principal(settings)} may not read topic {topic}", todo)


def group_denied(settings: Settings) -> Trouble:
    """The group may not be joined."""
    who, group = acls.principal(settings), settings.group_id
    todo = f"An administrator allows it with:\n{acls.command(settings, 'group', group, acls.GROUP)}"
    return _trouble("kafka-group-denied", f"{who} may not join group {group}", todo)


def _trouble(code: str, what: str, todo: str) -> Trouble:
    assert code in TROUBLES, code
    return Trouble(code, what, todo)


def _unresolved(address: str, words: str = "no such name") -> Trouble:
    todo = (
        "Correct TIDEGATE_KAFKA_BOOTSTRAP_SERVERS. A name that does not stand there comes from a broker: then correct"
        " its advertised.listeners."
    )
    return _trouble("kafka-unresolved", f"cannot resolve {address}: {words.lower()}", todo)


def _unreachable(address: str, words: str) -> Trouble:
    todo = (
        "See whether the broker is up, host and port are right (TIDEGATE_KAFKA_BOOTSTRAP_SERVERS), and no"
        " firewall or network policy is in between."
    )
    return _trouble("kafka-unreachable", f"cannot connect to {address}: {words.lower()}", todo)


def _protocol(settings: Settings, address: str, theirs: str, todo: str) -> Trouble:
    what = f"{address} speaks {theirs}, and this client {protocol_of(settings)}"
    return _trouble("kafka-protocol", what, todo)


def _mechanism(address: str, ours: str, theirs: str) -> Trouble:
    what = f"{address} does not take SASL mechanism {ours}; it has {theirs}"
    return _trouble("kafka-mechanism", what, "Set TIDEGATE_KAFKA_SASL_MECHANISM to one of these.")


def _certificate(settings: Settings, address: str) -> Trouble:
    used = _given(settings, "ssl.ca.location", "")
    by = f"by what {used} holds" if used else "by this machine's certificates"
    todo = (
        "Set TIDEGATE_KAFKA_SSL_CA_LOCATION to the certificate (PEM) of who signed the broker's. See it with:\n"
        f"openssl s_client -connect {address} -showcerts </dev/null"
    )
    return _trouble("kafka-certificate", f"the certificate of {address} is not trusted {by}", todo)


def _refused(settings: Settings, address: str, words: str) -> Trouble:
    mechanism = _given(settings, "sasl.mechanism", _given(settings, "sasl.mechanisms", "GSSAPI"))
    theirs = _HAS_MECHANISMS.search(words)
    if theirs is not None and "Unsupported" in words:
        return _mechanism(address, mechanism, theirs[1].strip())
    if "current SASL state" in words:
        protocol = "ssl" if protocol_of(settings).endswith("ssl") else "plaintext"
        return _protocol(settings, address, protocol, f"Set {_PROTOCOL}={protocol}, or name the port for SASL.")
    user = _given(settings, "sasl.username", "")
    todo = (
        "Correct TIDEGATE_KAFKA_SASL_USERNAME and TIDEGATE_KAFKA_SASL_PASSWORD, or the file that"
        " TIDEGATE_KAFKA_SASL_PASSWORD_FILE names."
    )
    return _trouble("kafka-credentials", f"{address} refuses user {user} ({mechanism})", todo)


def _topic_of(settings: Settings, words: str) -> str:
    named = _OF_TOPIC.search(words)
    if named is not None:
        return named[1]
    # "Fetch from broker 1 failed" names none: of one topic it is clear which.
    return settings.topics[0] if len(settings.topics) == 1 else "<each of TIDEGATE_TOPICS>"


def _given(settings: Settings, name: str, default: str) -> str:
    value = settings.kafka.get(name)
    return default if value is None else value.get_secret_value()
