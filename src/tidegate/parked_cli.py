"""`tidegate parked`: what waits in the parking topic, for people and programs, and an end to it.

Results go to stdout; questions and what does not fit into JSON to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from tidegate.errors import ConfigError
from tidegate.types import CLASSES

if TYPE_CHECKING:
    from rich.console import Console

    from tidegate.broker.parked_records import Listing, Tally
    from tidegate.config import Settings

_WIDE = 10_000  # columns, where no terminal folds
_FOREIGN = {
    "magic": "are no envelopes: somebody else writes to this topic",
    "version": "are of a newer tidegate",
}
_DAMAGED = "are envelopes that are damaged"


def show(settings: Settings, limit: int, *, as_json: bool) -> None:
    """Prints what waits, of which at most `limit` records are read.

    Raises:
        ConfigError: there is nothing to ask, by the settings.
        BrokerError: as `broker.parked_records.listing` does.
    """
    found = _listing(settings, limit)
    if as_json:
        sys.stdout.write(as_one_line(found) + "\n")
        return
    from rich.console import Console

    console = Console()
    _print(found, console if console.is_terminal else Console(width=_WIDE))


def drop(settings: Settings, limit: int, *, yes: bool) -> int:
    """Shows what waits, asks unless it is `yes` already, and deletes it; of what comes meanwhile nothing. Returns the
    exit code.

    Args:
        limit: as for `show`.

    Raises:
        ConfigError, BrokerError: as for `show`, and where not all was dropped.
    """
    from rich.console import Console

    from tidegate.broker.parked_records import drop as delete

    found = _listing(settings, limit)
    stderr = Console(file=sys.stderr)
    _print(found, stderr if stderr.is_terminal else Console(file=sys.stderr, width=_WIDE))
    if not found.waiting:
        print("nothing to drop")
        return 0
    if not yes and not _sure(f"Drop {found.waiting} records for good?"):
        print("nothing was dropped")
        return 1
    gone = delete(settings, found.ranges)
    print(f"dropped {gone} records from {found.topic}{_by_class(found)}")
    return 0


def _sure(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def as_one_line(found: Listing) -> str:
    """One JSON object: the exact number that wait, and what was read of them by class and by topic."""
    return orjson.dumps(
        {
            "topic": found.topic,
            "group": found.group,
            "partitions": len(found.ranges),
            "waiting": found.waiting,
            "read": found.read,
            "complete": found.complete,
            "classes": {name: asdict(tally) for name, tally in found.classes.items()},
            "topics": {name: asdict(tally) for name, tally in found.topics.items()},
            "no_envelopes": found.foreign,
        }
    ).decode()


def _listing(settings: Settings, limit: int) -> Listing:
    if settings.kafka_bootstrap_servers is None:
        todo = "Name the brokers to ask first, such as kafka-0:9092,kafka-1:9092."
        raise ConfigError("TIDEGATE_KAFKA_BOOTSTRAP_SERVERS is not set.", hint=todo)
    if settings.parking_topic_name is None:
        raise ConfigError("TIDEGATE_PARKING_TOPIC is none: nothing is parked.", hint="Name the topic to look into.")
    from tidegate.broker.parked_records import listing

    return listing(settings, limit)


def _print(found: Listing, console: Console) -> None:
    from rich.text import Text

    waiting = "1 record waits" if found.waiting == 1 else f"{found.waiting:,} records wait"
    console.print(Text(f"{found.topic}: {waiting} in {len(found.ranges)} partitions"))
    if found.read:
        ordered = {klass.label: found.classes[klass.label] for klass in CLASSES if klass.label in found.classes}
        _table(console, "class", ordered)
        _table(console, "from topic", dict(sorted(found.topics.items())))
    for reason, count in sorted(found.foreign.items()):
        console.print(Text(f"{count:,} {_FOREIGN.get(reason, f'{_DAMAGED} ({reason})')}"))
    if not found.complete:
        console.print(Text(f"looked into {found.read:,} of them; --limit {found.waiting} looks into all"))


def _table(console: Console, head: str, rows: Mapping[str, Tally]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(head, overflow="fold")
    for name in ("records", "bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("oldest (UTC)", "newest (UTC)"):
        table.add_column(name, no_wrap=True)
    for label, one in rows.items():
        cells = (label, f"{one.records:,}", f"{one.bytes:,}", _when(one.oldest_ms), _when(one.newest_ms))
        table.add_row(*map(Text, cells))
    console.print(table)


def _by_class(found: Listing) -> str:
    counts = ", ".join(f"{name} {tally.records}" for name, tally in sorted(found.classes.items()))
    return f" (of those looked into: {counts})" if counts and not found.complete else f" ({counts})" if counts else ""


def _when(timestamp_ms: int | None) -> str:
    if timestamp_ms is None:
        return "–"
    try:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # producers write what they like
        return f"{timestamp_ms} ms"
