"""The contract of every sink: what it is given, what it answers, what it may never do.

A sink carries one batch to the target and says how that went. It knows nothing of retries, order or limits:
those are `tidegate.delivery`'s, and how the target is doing over time is `tidegate.sinks.pacing`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable
from urllib.parse import SplitResult, urlsplit

from tidegate.errors import ConfigError

MAX_RETRY_AFTER_SECONDS = 60.0


class Kind(Enum):
    """What an answer means for the batch and for the target. Only ACK settles; nothing drops."""

    ACK = "ack"  # the target has it
    RETRY = "retry"  # this batch only: the target is well, others may go on
    SLOW = "slow"  # the target asks for fewer requests (429, 503)
    DOWN = "down"  # systemic: the next batch would most likely end the same way


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one send went.

    Attributes:
        reason: short, stable and free of payload, fit for a metric's label: ``http-503``, ``connect-refused``.
        retry_after: seconds that the target asked for, 0 to 60; None when it named none.
        detail: for the log, without payload and secrets: an exception's name, an address.
        unreachable: no connection came about, so the batch was not seen and cannot be what is wrong.
    """

    kind: Kind
    reason: str
    retry_after: float | None = None
    detail: str = ""
    unreachable: bool = False


ACKNOWLEDGED = Outcome(Kind.ACK, "ok")


class SinkBatch(Protocol):
    """The part of `tidegate.core.Batch` that sinks and delivery use. Immutable but for `attempts`."""

    @property
    def klass(self) -> int: ...  # EventClass value
    @property
    def records(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...  # complete: Content-Type, Idempotency-Key, X-Tidegate-*

    attempts: int  # sends begun so far


class Sink(Protocol):
    """Where batches go. Lives on one event loop; `start` before the first `send`, `close` after the last."""

    name: str

    async def start(self) -> None:
        """Prepares for sending. Does not need the target to be there. Raises SinkError if the sink can never work."""

    async def send(self, batch: SinkBatch, /) -> Outcome:
        """Carries one batch; at most `concurrency` calls at once, never two for one batch.

        Never blocks the loop. Raises CancelledError (the outcome is then unknown) and, when this sink can never
        deliver again however long one waits, SinkError, which ends the process. Everything else is an Outcome.
        """
        ...

    async def close(self) -> None:
        """Frees connections and threads; may be called twice, and without `start`."""


@runtime_checkable
class InstantSink(Protocol):
    """A sink that can answer without waiting; Delivery then needs no task per batch."""

    def send_nowait(self, batch: SinkBatch, /) -> Outcome | None:
        """As `Sink.send`, at once. None: it would have to wait, use `send`."""
        ...


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """What sinks may be told beside their URL.

    Attributes:
        concurrency: ceiling of sends at once, for pools.
        connect_timeout_seconds: name resolution, TCP and TLS together.
        timeout_seconds: one whole request, from the first byte out to the answer's last byte in.
        headers: added to each request (Authorization and the like). Secrets: never logged.
    """

    concurrency: int = 8
    connect_timeout_seconds: float = 1.0
    timeout_seconds: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def open_sink(url: str, options: SinkOptions | None = None) -> Sink:
    """Makes the sink that a URL names: ``http://``, ``https://``, ``stdout:``, ``blackhole:``. Does no I/O.

    Raises ConfigError for anything else. Sinks are imported only when chosen: aiohttp alone costs 100 ms.
    """
    options = options or SinkOptions()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad_url(f"the sink's URL cannot be read: {error}") from None
    match parts.scheme:
        case "http" | "https":
            if not parts.hostname or port == 0 or any(c.isspace() or not c.isprintable() for c in url):
                raise _bad_url(f"the sink's URL has no usable host, or blanks in it: {redacted(parts)!r}")
            if parts.username is not None and any(name.lower() == "authorization" for name in options.headers):
                raise _bad_url("the sink's URL carries a user, and an Authorization header is set: only one may be")
            from tidegate.sinks.http import HttpSink

            return HttpSink(url, options)
        case "stdout" | "blackhole" if url != f"{parts.scheme}:":
            raise _bad_url(f"{parts.scheme}: takes nothing after the colon")
        case "stdout":
            from tidegate.sinks.stdout import StdoutSink

            return StdoutSink()
        case "blackhole":
            from tidegate.sinks.blackhole import BlackholeSink

            return BlackholeSink()
    raise _bad_url(f"no sink for the URL {redacted(parts)!r}")


def redacted(parts: SplitResult) -> str:
    """The URL for logs and messages: without user, password and query, which may be secrets."""
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query="", fragment="").geturl()


def _bad_url(message: str) -> ConfigError:
    return ConfigError(
        message, code="sink-url", hint="Set TIDEGATE_SINK_URL to http://…, https://…, stdout: or blackhole:"
    )
