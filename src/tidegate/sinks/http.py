"""``http://`` and ``https://``: one POST per batch over kept-alive connections (aiohttp)."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from tidegate import __version__
from tidegate.errors import SinkError
from tidegate.sinks.answers import from_exception, from_status
from tidegate.sinks.base import Outcome, SinkBatch, SinkOptions, redacted

MAX_ANSWER_BYTES = 64 * 1024
# Shorter than the 5 s after which common app servers (uvicorn, Node) close an idle connection: a POST that meets the
# server's close has an unknown outcome and must be sent again.
KEEPALIVE_SECONDS = 4.0


class HttpSink:
    """Posts each batch's body to exactly the configured URL, with the batch's headers and the configured ones.

    Redirects are not followed, cookies not kept, answers not decompressed, proxies of the environment not used.
    An answer's body is read up to 64 KiB so that its connection can be used again; a longer one costs the connection.
    """

    def __init__(self, url: str, options: SinkOptions) -> None:
        self.name = f"http ({redacted(urlsplit(url))})"
        self._url = URL(url, encoded=True)
        self._options = options
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Makes the session; connects to nothing yet."""
        options = self._options
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=options.concurrency, keepalive_timeout=KEEPALIVE_SECONDS),
            # `connect`, not `sock_connect`: the name's resolution counts too. The pool never waits: sends <= limit.
            timeout=aiohttp.ClientTimeout(total=options.timeout_seconds, connect=options.connect_timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=MAX_ANSWER_BYTES,
            headers={**options.headers, "User-Agent": f"tidegate/{__version__}"},
            skip_auto_headers=("Accept", "Accept-Encoding"),
        )

    async def send(self, batch: SinkBatch, /) -> Outcome:
        """One POST. See `Sink.send`; the answers' meaning is in `tidegate.sinks.answers`."""
        if self._session is None:
            raise SinkError("the HTTP sink is not open", code="sink-closed")
        try:
            response = await self._session.post(
                self._url, data=_Body(batch.body), headers=batch.headers, allow_redirects=False
            )
            try:
                await _read_away(response)
            finally:
                # Before the body's end this closes the connection, after it there is nothing left to do.
                response.close()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            return from_exception(error)
        return from_status(response.status, response.headers.get("Retry-After"), time.time())

    async def close(self) -> None:
        """Closes the pool; requests under way fail."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _read_away(response: aiohttp.ClientResponse) -> None:
    """Reads the body so that the connection may be kept; stops at the cap. Raises on a body that breaks off."""
    content = response.content
    seen = 0
    while not content.at_eof() and seen <= MAX_ANSWER_BYTES:
        seen += len(await content.readany())


class _Body(aiohttp.Payload):
    """A batch's bytes as they are: aiohttp's own wrapper warns above 1 MiB, and looks its type up per request."""

    _value: bytes
    _autoclose = True

    def __init__(self, body: bytes) -> None:
        super().__init__(body, content_type="application/octet-stream")  # the batch's header wins
        self._size = len(body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self._value

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._value)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await writer.write(self._value if content_length is None else self._value[:content_length])
