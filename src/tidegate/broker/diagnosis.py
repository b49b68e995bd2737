"""Which trouble it is: by an error of librdkafka, and where that says nothing, by a look at the addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tidegate.broker import trouble
from tidegate.broker.listener import Listener, Reached, look, split_servers
from tidegate.broker.trouble import Trouble

if TYPE_CHECKING:
    from tidegate.config import Settings

# librdkafka's and Kafka's error codes (rdkafka.h)
RESOLVE, TRANSPORT, ALL_BROKERS_DOWN, SSL, AUTHENTICATION = -193, -195, -187, -181, -169
UNKNOWN_TOPIC, TOPIC_DENIED, GROUP_DENIED = 3, 29, 30
AWAY = (ALL_BROKERS_DOWN, TRANSPORT)  # may mean anything: then the addresses are looked at

_FAILED_TO_RESOLVE = re.compile(r"Failed to resolve '([^']+)'")
_ADDRESS = re.compile(r"^(?:GroupCoordinator: )?(?:[a-z_]+://)?(\S+?)(?:/\w+)?: ")
_CONNECT_FAILED = re.compile(r"Connect to \S+ failed: (.*?)(?: \(after|$)")
_HAS_MECHANISMS = re.compile(r"supported mechanisms: ?([\w, -]*)")
_OF_TOPIC = re.compile(r"not available: (\S+): ")


def explain(settings: Settings, code: int, words: str) -> Trouble | None:
    """What an error of librdkafka means; None: it says nothing that helps. Asks nobody."""
    match = _ADDRESS.match(words)
    where = match[1] if match is not None else settings.kafka_bootstrap_servers or ""
    if code in (SSL, TRANSPORT) and "certificate" in words:
        return trouble.untrusted(settings, where)
    if code == RESOLVE:
        host = _FAILED_TO_RESOLVE.search(words)
        return trouble.unresolved(host[1] if host is not None else where)
    if code == TRANSPORT and (failed := _CONNECT_FAILED.search(words)) is not None:
        return trouble.unreachable(where, failed[1])
    if code == AUTHENTICATION:
        return _refused(settings, where, words)
    if code == TOPIC_DENIED:
        named = _OF_TOPIC.search(words)
        # "Fetch from broker 1 failed" names none: any of them may be meant.
        return trouble.topic_denied(settings, *((named[1],) if named is not None else settings.topics))
    return trouble.group_denied(settings) if code == GROUP_DENIED else None


def diagnose(settings: Settings) -> Trouble | None:
    """Looks at each of the addresses and says what is wrong with the first that is not as configured; None: all are.

    Blocks: some seconds for each address. For cases of which librdkafka knows no more than that no broker is up.
    """
    looked = (judge(settings, look(*server)) for server in split_servers(settings.kafka_bootstrap_servers or ""))
    return next((found for found in looked if found is not None), None)


def judge(settings: Settings, there: Listener) -> Trouble | None:
    """What is wrong with a listener, for a client of these settings."""
    match there.reached:
        case Reached.UNRESOLVED:
            return trouble.unresolved(there.address, there.words)
        case Reached.REFUSED:
            return trouble.unreachable(there.address, there.words)
        case Reached.SILENT if there.tls:
            return trouble.without_certificate(settings, there.address)
        case Reached.SILENT:
            return trouble.not_there(there.address, there.words)
    if trouble.protocol_of(settings) != there.protocol:
        return trouble.other_protocol(settings, there.address, there.protocol, there.mechanisms)
    if there.mechanisms and trouble.mechanism_of(settings) not in there.mechanisms:
        return trouble.other_mechanism(settings, there.address, ", ".join(there.mechanisms))
    return None


def _refused(settings: Settings, address: str, words: str) -> Trouble:
    theirs = _HAS_MECHANISMS.search(words)
    if theirs is not None and "Unsupported" in words:
        return trouble.other_mechanism(settings, address, theirs[1].strip())
    if "current SASL state" in words:
        plain = "ssl" if trouble.protocol_of(settings).endswith("ssl") else "plaintext"
        return trouble.other_protocol(settings, address, plain)
    return trouble.bad_credentials(settings, address)
