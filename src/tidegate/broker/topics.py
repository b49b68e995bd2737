"""Topics as the broker has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tidegate.budget import Budget

ASSUMED_MATCHES = 16  # of a regular expression, while the broker cannot be asked
LEAST_MATCHES = 8
ASK_SECONDS = 2.0
# What a consumer is told and an admin client does not know; it would warn of each.
_CONNECTION = ("bootstrap.servers", "client.id", "security.protocol", "broker.address", "socket.", "sasl.", "ssl.")


def count_lanes(topics: Sequence[str], properties: Mapping[str, str]) -> int:
    """How many topics a subscription will read, to divide the prefetch budget among them; at least 1.

    Names count one each; a regular expression (``^…``) counts twice the topics that it matches now, because more are
    to come: each gets a share of its own.

    Args:
        properties: of the consumer; those that concern the connection are used to ask.
    """
    patterns = [topic for topic in topics if topic.startswith("^")]
    names = len(topics) - len(patterns)
    if not patterns:
        return max(1, names)
    known = _known(properties)
    if known is None:
        return names + ASSUMED_MATCHES
    matched = {topic for topic in known for pattern in patterns if _matches(pattern, topic)}
    return names + max(LEAST_MATCHES, 2 * len(matched))


def crowded(lanes: int, planned: int, budget: Budget) -> dict[str, object] | None:
    """What to warn of, as a log line's fields, where ``lanes`` topics are too many for the memory.

    Args:
        planned: among how many the prefetch budget was divided.
    """
    if lanes <= planned and lanes <= budget.most_lanes:
        return None
    needed = max(Budget.total_for(lanes), budget.total)
    return {
        "topics": lanes,
        "hint": f"TIDEGATE_MEMORY_BYTES={needed >> 20}MiB, or more sidecars with fewer topics each."
        if lanes > budget.most_lanes
        else "It is divided anew when the sidecar is started again.",
    }


def nothing_there(topics: Sequence[str], properties: Mapping[str, str]) -> bool:
    """Whether the broker says that none of the topics exists, and that no expression matches one; False: it does not
    answer. Arguments as for `count_lanes`."""
    known = _known(properties)
    return known is not None and not any(
        _matches(topic, one) if topic.startswith("^") else topic == one for topic in topics for one in known
    )


def _known(properties: Mapping[str, str]) -> list[str] | None:
    """All topics that this client may see; None: no answer."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient  # costs 100 ms, so only for those who need it

    connection: dict[str, str | int | float | bool] = {
        name: value for name, value in properties.items() if name.startswith(_CONNECTION)
    }
    connection["log_level"] = 0  # it would write to stderr by itself; the consumer tells the same in the log
    try:
        return list(AdminClient(connection).list_topics(timeout=ASK_SECONDS).topics)
    except KafkaException:
        return None


def _matches(pattern: str, topic: str) -> bool:
    # librdkafka's expressions are POSIX extended ones; where the dialects differ the count is merely a little off.
    try:
        return re.search(pattern, topic) is not None
    except re.error:
        return True
