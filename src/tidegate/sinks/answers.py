"""From what HTTP said, or how it failed, to an Outcome. Pure: no I/O, the time is passed in.

Which status means what is the table of the delivery contract: 2xx acknowledges, 429 and 503 slow down, what would
hit any batch (5xx, 408, 401, 403, 404, a redirect, no answer at all) is systemic, any other 4xx is about the batch.
"""

from __future__ import annotations

import errno
import ssl
from email.utils import parsedate_to_datetime

import aiohttp

from tidegate.sinks.base import ACKNOWLEDGED, MAX_RETRY_AFTER_SECONDS, Kind, Outcome

# Not only about this batch: credentials or the route are wrong, or the target had no time to read the request.
_SYSTEMIC_4XX = frozenset({401, 403, 404, 407, 408})
_SLOW = frozenset({429, 503})


def from_status(status: int, retry_after: str | None, now: float) -> Outcome:
    """The outcome of a complete answer. `retry_after` is the header's text, `now` Unix time in seconds."""
    if 200 <= status < 300:
        return ACKNOWLEDGED
    reason = f"http-{status}"
    if status in _SLOW:
        return Outcome(Kind.SLOW, reason, parse_retry_after(retry_after, now))
    if 400 <= status < 500 and status not in _SYSTEMIC_4XX:
        return Outcome(Kind.RETRY, reason)
    return Outcome(Kind.DOWN, reason, detail="redirects are not followed" if 300 <= status < 400 else "")


def parse_retry_after(text: str | None, now: float) -> float | None:
    """Seconds to wait, at most 60, from a Retry-After header (RFC 9110, 10.2.3); None where it says nothing usable.

    Takes delay-seconds and an HTTP-date in its three formats. A date in the past and nonsense are None.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        # Long digit strings are not worth an int(): beyond nine digits it is more than the cap anyhow.
        return MAX_RETRY_AFTER_SECONDS if len(text) > 9 else min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        # asctime's format has no zone and comes back naive: HTTP's dates are all UTC.
        seconds = parsedate_to_datetime(_with_zone(text)).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS) if seconds > 0 else None


def _with_zone(text: str) -> str:
    return text if text.upper().endswith("GMT") else f"{text} GMT"


def from_exception(error: BaseException) -> Outcome:
    """The outcome of a request without a complete answer. Always DOWN: whether the target has the batch is unknown.

    `unreachable` is set where no connection came about. The detail names the exception, never its text: that may
    carry bytes of the answer.
    """
    name = type(error).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return Outcome(Kind.DOWN, "connect-timeout", unreachable=True)
        case aiohttp.ClientConnectorDNSError():
            return Outcome(Kind.DOWN, "dns", detail=error.host, unreachable=True)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return Outcome(Kind.DOWN, "tls", detail=name, unreachable=True)
        case aiohttp.ClientConnectorError():
            # Several addresses failing alike may come as one OSError without errno; its text then has the numbers.
            refused = error.errno == errno.ECONNREFUSED or f"Errno {errno.ECONNREFUSED}" in str(error.os_error)
            where = f"{error.host}:{error.port}"
            return Outcome(Kind.DOWN, "connect-refused" if refused else "connect-failed", None, where, unreachable=True)
        case TimeoutError():
            return Outcome(Kind.DOWN, "timeout", detail=name)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientConnectionError() | OSError():
            return Outcome(Kind.DOWN, "disconnected", detail=name)
        case aiohttp.ClientError():  # a garbled head, or a body that ends before its end
            return Outcome(Kind.DOWN, "bad-answer", detail=name)
    return Outcome(Kind.DOWN, "sink-fault", detail=name)
