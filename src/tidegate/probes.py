"""Leaf: `tidegate health`, `tidegate drain` and `tidegate pressure`, which ask a sidecar that runs beside them.

Kubernetes starts `health` every few seconds in every pod, so it imports next to nothing: no settings model, no HTTP
library. It answers in one line on stdout and by its exit code.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

from tidegate import values
from tidegate.errors import ConfigError

CHECKS = {"live": "/livez", "ready": "/readyz", "drained": "/drained"}
ANSWER_SECONDS = 3.0
POLL_SECONDS = 0.1
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # listened on as a whole, asked at its own end
_ADMIN_HEADERS = "X-Tidegate-Admin: drain\r\nContent-Type: application/json\r\n"

Address = tuple[str, int]


def health(check: str) -> int:
    """Asks for one of `CHECKS`. Returns the exit code: 0 it is so, 1 it is not, or nobody answers.

    Raises:
        ConfigError: the address is wrong, or there is none.
    """
    address = _address("TIDEGATE_OPS_ADDRESS", values.OPS_ADDRESS)
    try:
        status, body = ask(address, "GET", CHECKS[check], ANSWER_SECONDS)
    except OSError as error:
        print(f"not {check}: {_silent(address, error)}")
        return 1
    words = body.strip()
    if check == "drained" and words.startswith("{"):
        words = describe(words)
    if status == 200:
        print(words)
        return 0
    print(f"not {check}: {words}")
    return 1


def drain(timeout_seconds: float) -> int:
    """Asks for a drain and waits for its end. Returns the exit code: 0 drained and all delivered, 1 otherwise.

    When the time is up the sidecar goes on with its drain, for as long as ``TIDEGATE_DRAIN_SECONDS`` lets it.

    Raises:
        ConfigError: the address is wrong, or there is none.
    """
    address = _address("TIDEGATE_ADMIN_ADDRESS", values.ADMIN_ADDRESS)
    headers = _ADMIN_HEADERS + "".join(f"{name}: {value}\r\n" for name, value in _meant().items())
    deadline = time.monotonic() + timeout_seconds
    report = ""
    while (left := deadline - time.monotonic()) > 0:
        try:
            status, body = ask(address, "POST", "/drain", min(left, ANSWER_SECONDS), headers)
        except TimeoutError:
            continue
        except OSError as error:
            ended = "the sidecar has ended; its log says how"
            print(f"not drained: {ended if report else _silent(address, error)}")
            return 1
        report = body.strip()
        if status == 409:
            print(f"not drained: {_written(address)}: {report}; give this one a TIDEGATE_ADMIN_ADDRESS of its own")
            return 1
        if status not in (200, 202):
            # Not a sidecar, or one of another version.
            print(f"not drained: {_written(address)} answers {status}: {report}")
            return 1
        if status == 200:
            print(describe(report))
            return 0 if _complete(report) else 1
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
    still = describe(report) if report else f"{_written(address)} does not answer"
    print(f"not drained within {timeout_seconds:g} s: {still}")
    return 1


def pressure(rung: str | None, replay: str | None = None) -> int:
    """Shows how the ladder stands, after setting this rung, or this rate at which parked records come back (``"auto"``:
    decided again), where one is given. Returns the exit code: 0, or 1 where it was not done, or nobody answers.

    Raises:
        ConfigError: the address is wrong, or there is none.
    """
    address = _address("TIDEGATE_ADMIN_ADDRESS", values.ADMIN_ADDRESS)
    wanted = [f"{name}={value}" for name, value in (("rung", rung), ("replay", replay)) if value is not None]
    path = "/pressure" + (f"?{'&'.join(wanted)}" if wanted else "")
    try:
        status, body = ask(address, "POST", path, ANSWER_SECONDS, _ADMIN_HEADERS)
    except OSError as error:
        print(_silent(address, error))
        return 1
    if status != 200:
        print(f"not set: {body.strip()}" if wanted else f"{_written(address)} answers {status}: {body.strip()}")
        return 1
    print(describe_pressure(body))
    return 0


def _describe_parked(parked: dict[str, Any]) -> str:
    words = f"parked: {parked['waiting']} records in {parked['topic']}"
    if parked["forced_replay"] is not None:
        words += f", coming back at {parked['forced_replay']:g}/s by the operator's word"
    elif parked["replay"]:
        words += f", coming back at {parked['replay']:g}/s"
    if parked["waiting"]:
        left = parked["emptying_seconds"]
        words += f", all of them in about {left:g} s" if left is not None else ", and the target has no room for them"
    return words if parked["available"] else words + "; nothing more can be parked now"


def describe_pressure(report: str) -> str:
    """The ladder's report in words."""
    import json

    one = json.loads(report)
    lines = [f"rung {one['rung']}" + (f", set to {one['forced']} by the operator" if one["forced"] else "")]
    if one["highest"] != "pause":
        lines[0] += f"; by itself up to {one['highest']}"
    if (parked := one.get("parked")) is not None:
        lines.append(_describe_parked(parked))
    if "classes" not in one:
        return "\n".join(lines)
    service = "not measured yet" if one["service"] is None else f"{one['service']:g}/s"
    lines += [
        f"target: could take {service}, takes {one['completed']:g}/s, {one['utilisation']:.0%} busy",
        f"behind: {one['lag']} records, {one['head_age_seconds']:.1f} s; memory {one['memory']:.0%}",
        f"{'class':<9}{'offered/s':>11}{'completed/s':>13}{'queued':>9}{'room for':>10}",
    ]
    for name, row in one["classes"].items():
        figures = f"{row['offered']:>11g}{row['completed']:>13g}{row['queued']:>9}{row['keep']:>10.0%}"
        lines.append(f"{name:<9}{figures}")
    return "\n".join(lines)


def ask(address: Address, method: str, path: str, seconds: float, headers: str = "") -> tuple[int, str]:
    """One request with an empty body, its answer within `seconds` in all. Raises OSError (TimeoutError among them)."""
    deadline = time.monotonic() + seconds
    with socket.create_connection(address, timeout=seconds) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
        connection.sendall(head.encode())
        answer = b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            connection.settimeout(left)
            if not (part := connection.recv(65536)):
                break
            answer += part
    start, _, body = answer.partition(b"\r\n\r\n")
    words = start.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ConnectionError("what answers there is not tidegate")
    return int(words[1]), body.decode(errors="replace")


def describe(report: str) -> str:
    """A drain's report in words."""
    import json

    one = json.loads(report)
    counts = f"{one['buffered_records']} records buffered, {one['in_flight_records']} in flight"
    match one["state"]:
        case "reading":
            return f"still reading; {counts}"
        case "draining":
            return f"draining for {one['seconds']:.1f} s; {counts}"
    left = one["given_up_records"]
    rest = f"; {left} records were not delivered in time, and Kafka keeps them" if left else ""
    if one["state"] == "uncommitted":
        rest += "; Kafka did not take the last offsets: what was delivered since the commit before comes again"
    return f"drained in {one['seconds']:.1f} s{rest}"


def _written(address: Address) -> str:
    """An address as it is written."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def _complete(report: str) -> bool:
    import json

    one = json.loads(report)
    return one["state"] == "drained" and not one["given_up_records"]


def _silent(address: Address, error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer from {_written(address)} within {ANSWER_SECONDS:g} s"
    return f"no answer from {_written(address)}: {error.strerror or error}"


def who(*, group: str | None, ops_port: int | None) -> dict[str, str]:
    """Headers that tell the sidecars of one host apart; what is None is left out."""
    from urllib.parse import quote

    known = {
        "X-Tidegate-Group": None if group is None else quote(group),
        "X-Tidegate-Ops-Port": None if ops_port is None else str(ops_port),
    }
    return {name: value for name, value in known.items() if value is not None}


def _meant() -> dict[str, str]:
    """The sidecar beside us, by as much of its environment as is said here."""
    ops = _listener("TIDEGATE_OPS_ADDRESS", "none")
    return who(group=_variable("TIDEGATE_GROUP_ID", "") or None, ops_port=ops[1] if ops else None)


def _variable(variable: str, default: str) -> str:
    """A setting of the sidecar beside us: its environment is ours."""
    text = os.environ.get(variable, "")
    if not text and (path := os.environ.get(f"{variable}_FILE")):
        try:
            text = Path(path).read_text().rstrip("\r\n")
        except (OSError, ValueError):
            raise ConfigError(f"{variable}_FILE cannot be read.") from None
    return text or default


def _listener(variable: str, default: str) -> Address | None:
    try:
        return values.parse_listener(_variable(variable, default))
    except ValueError as error:
        raise ConfigError(f"{variable} {error}.") from None


def _address(variable: str, default: str) -> Address:
    """Where the sidecar beside us can be asked."""
    address = _listener(variable, default)
    if address is None:
        raise ConfigError(f"{variable} is none: there is nobody to ask.")
    if address[1] == 0:
        raise ConfigError(f"{variable} has port 0: the sidecar's log says which port it took; name that one.")
    return _ANY.get(address[0], address[0]), address[1]
