"""Whether the target is there, asked without an event: `tidegate validate --connect`.

By OPTIONS, which changes nothing by HTTP's rules and which apps answer where they have the path: with 2xx, or with 405
and the methods that they take (RFC 9110, 9.3.7). Not every app has a route for it, so a 404 is a hint and no proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tidegate.sinks.advice import advice
from tidegate.sinks.answers import from_exception
from tidegate.sinks.base import SinkOptions, redacted

_DENIED = (401, 403, 407)


@dataclass(frozen=True, slots=True)
class Answer:
    """``well``: None is not certain."""

    well: bool | None
    text: str
    todo: str = ""


async def ask(url: str, options: SinkOptions) -> Answer:
    """Asks once. Raises nothing that the network or the app can cause."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return Answer(True, f"{url} needs nothing")
    import aiohttp

    where = redacted(parts)
    timeout = aiohttp.ClientTimeout(total=options.timeout_seconds, connect=options.connect_timeout_seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=options.headers, trust_env=False) as session,
            session.options(url, allow_redirects=False) as response,
        ):
            return judge(where, response.status, response.headers.get("Allow"))
    except Exception as error:
        outcome = from_exception(error)
        return Answer(False, f"{where} does not answer: {outcome.reason}", advice(outcome.reason) or "")


def judge(where: str, status: int, allow: str | None) -> Answer:
    """What an answer to OPTIONS says of POST there."""
    reason = f"http-{status}"
    if status in _DENIED:
        return Answer(False, f"{where} answers {status}", advice(reason) or "")
    if allow is not None and "POST" not in allow.upper() and (status == 405 or 200 <= status < 300):
        return Answer(False, f"{where} takes {allow}, and no POST", advice("http-405") or "")
    if 200 <= status < 300 or status == 405:
        return Answer(True, f"{where} answers")
    text = f"{where} answers {status} to OPTIONS"
    return Answer(None, text, f"If it does to a POST as well: {advice(reason)}")
