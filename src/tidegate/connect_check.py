"""`tidegate validate --connect`: everything outside that a run needs, a line each, before it is deployed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from tidegate.broker.outside import Finding, ask_kafka
from tidegate.ops.logs import folded
from tidegate.sinks.ask import ask
from tidegate.sinks.base import SinkOptions

if TYPE_CHECKING:
    from tidegate.config import Settings

MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
_STATES: dict[bool | None, Literal["ok", "warning", "failed"]] = {True: "ok", None: "warning", False: "failed"}
_WIDTH = max(map(len, ("broker", "kafka", "topic", "group", "parking", "app")))


def check(settings: Settings) -> int:
    """Prints a line for each thing as it is known, below it what to do. Returns the exit code: 0, or 1 where something
    failed; what is only a warning does not.

    Raises:
        KafkaClientError: librdkafka makes no client of the properties.
    """
    failed = False
    for one in _findings(settings):
        failed |= one.state == "failed"
        print(f"{MARKS[one.state]} {one.what:<{_WIDTH}}  {one.text}")
        for line in folded(one.todo):
            print(f"    {line}")
        sys.stdout.flush()
    return int(failed)


def _findings(settings: Settings) -> Iterator[Finding]:
    yield from ask_kafka(settings)
    authorization = settings.sink_authorization
    options = SinkOptions(
        connect_timeout_seconds=settings.sink_connect_timeout_ms / 1000,
        timeout_seconds=settings.sink_timeout_ms / 1000,
        headers={} if authorization is None else {"Authorization": authorization.get_secret_value()},
    )
    answer = asyncio.run(ask(settings.sink_url or "", options))
    yield Finding("app", _STATES[answer.well], answer.text, answer.todo)
