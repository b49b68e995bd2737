"""Topics that are read and are not there, and which may have been meant. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from tidegate import values
from tidegate.broker.trouble import Trouble

_NEAR = 3  # names that are proposed, at most
_LIKE = 0.6  # difflib's ratio, its own default


def absent(topics: Iterable[str], known: Collection[str]) -> set[str]:
    """Entries of a subscription that no topic answers to."""
    return {entry for entry in topics if not any(values.matches_topic(entry, topic) for topic in known)}


def missing_topic(topic: str, known: Collection[str]) -> Trouble:
    """A topic that is not there, and what may have been meant."""
    own = [name for name in known if not name.startswith("__")]
    if topic.startswith("^"):
        what = f"no topic matches {topic}"
        todo = f"There are {len(own)}, such as {', '.join(sorted(own)[:_NEAR])}." if own else "There is none at all."
        return Trouble("kafka-topic-missing", what, f"{todo} Those that match are read as soon as they are there.")
    near = get_close_matches(topic, own, n=_NEAR, cutoff=_LIKE)
    todo = f"Did you mean {' or '.join(near)}? " if near else ""
    todo += "It is read as soon as it is there, and this client may describe it."
    return Trouble("kafka-topic-missing", f"topic {topic} is not there", todo)
