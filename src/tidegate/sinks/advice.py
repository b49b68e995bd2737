"""What an operator can do about what a target answers: by an outcome's reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HELD = "Events are held meanwhile, and none is lost."

# reason → (what it means, what to do); `http-` reasons that are not here go by their hundred. docs/errors.md has them.
REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "connect-refused": (
            "Nothing listens there.",
            "Start the app, or correct host and port in TIDEGATE_SINK_URL.",
        ),
        "connect-failed": (
            "There is no way to the host.",
            "Correct the host in TIDEGATE_SINK_URL, or see the routes and network policies to it.",
        ),
        "connect-timeout": (
            "The host does not take the connection in time.",
            "See whether the app is overloaded or a firewall drops what comes; TIDEGATE_SINK_CONNECT_TIMEOUT_MS"
            " is how long it may take.",
        ),
        "dns": (
            "The host name cannot be resolved.",
            "Correct the host in TIDEGATE_SINK_URL; the app beside this container is localhost.",
        ),
        "tls": (
            "No TLS connection comes about.",
            "See whether the app speaks https at that port, with a certificate that this machine trusts; else use"
            " http:// in TIDEGATE_SINK_URL.",
        ),
        "timeout": (
            "The app does not answer in time.",
            "Find what it waits for, raise TIDEGATE_SINK_TIMEOUT_MS, or send less at once: TIDEGATE_BATCH_MAX_RECORDS.",
        ),
        "disconnected": (
            "The app ends the connection without an answer.",
            "See its log: it may crash, restart, or limit the size of bodies (TIDEGATE_BATCH_MAX_BYTES).",
        ),
        "bad-answer": (
            "What answers is no HTTP server, or breaks off.",
            "Correct the port in TIDEGATE_SINK_URL, and http:// or https://.",
        ),
        "http-3xx": (
            "The app redirects, and tidegate does not follow.",
            "Set TIDEGATE_SINK_URL to where it points to; often a / at the end is missing, or https.",
        ),
        "http-400": (
            "The app does not take these batches.",
            "See its log, and docs/requests.md for what is in a batch; TIDEGATE_FORMAT sets its form.",
        ),
        "http-401": ("The app wants to know who asks.", "Set TIDEGATE_SINK_AUTHORIZATION, such as 'Bearer ...'."),
        "http-403": (
            "The app does not allow it.",
            "Set TIDEGATE_SINK_AUTHORIZATION to what may post there, or allow it in the app.",
        ),
        "http-404": (
            "The app has no such path.",
            "Correct the path in TIDEGATE_SINK_URL, or add the route to the app: a POST with events as its body.",
        ),
        "http-405": (
            "The path takes no POST.",
            "Correct the path in TIDEGATE_SINK_URL, or let the app take POST there.",
        ),
        "http-413": (
            "The batch is too large for the app.",
            "Lower TIDEGATE_BATCH_MAX_BYTES, or raise the limit of the app or of the proxy before it.",
        ),
        "http-415": (
            "The app does not take this content type.",
            "ndjson and envelope are sent as application/x-ndjson, json as application/json: set TIDEGATE_FORMAT, or"
            " let the app take it.",
        ),
        "http-429": ("The app asks for less.", "Nothing: it is given less. If it lasts, the app needs more replicas."),
        "http-503": ("The app asks for less.", "Nothing: it is given less. If it lasts, the app needs more replicas."),
        "http-4xx": ("The app refuses batches.", "See its log; docs/requests.md says what is in a batch."),
        "http-5xx": ("The app fails.", "See its log: it is asked again, every five seconds at least."),
    }
)


def advice(reason: str) -> str | None:
    """What it means, and what to do; None where there is nothing to say."""
    found = REASONS.get(reason)
    if found is None and reason.startswith("http-"):
        found = REASONS.get(f"{reason[:6]}xx")
    return None if found is None else f"{found[0]} {found[1]}"
