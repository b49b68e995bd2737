"""How an app that trusts nobody reads a request: bytes in, identities and complaints out.

By its own means (a split by line feeds, the standard library's JSON), and by the contract only: content type,
``X-Tidegate-Records``, ``X-Tidegate-Class``, ``X-Tidegate-Format``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness import identity

ENVELOPE_MEMBERS = {"id", "class", "weight", "ts", "key", "headers", "value"}
ENVELOPE_MAY_HAVE = {"ot"}  # of what was sampled


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


# Numbers stay text: Python limits the digits of an int, JSON does not.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=str, parse_float=str)


@dataclass(slots=True)
class Parsed:
    """``ids``: one per event, in order; ``invalid``: indices of events whose own line is not JSON; ``errors``: what
    breaks the contract for the whole body; ``alone``: one event as its exact bytes; ``envelopes``: their ``id``s;
    ``metadata``: what envelopes have beside the value, as it stands there."""

    ids: list[str] = field(default_factory=list)
    invalid: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    alone: bool = False
    envelopes: list[str] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """Reads a body by its ``Content-Type``. ``headers`` must look up case-insensitively. Raises nothing."""
    parsed = Parsed()
    kind = headers.get("Content-Type", "")
    if kind == "application/octet-stream":
        parsed.alone = True
        parsed.ids.append(identity.exact(body))
    elif kind == "application/x-ndjson":
        _lines(body, headers.get("X-Tidegate-Format", ""), headers.get("X-Tidegate-Class", ""), parsed)
    elif kind == "application/json":
        try:
            parsed.ids = [identity.line(value.encode()) for value in _elements(_text(body))]
        except (ValueError, RecursionError) as e:
            parsed.errors.append(f"the array is not JSON: {e}")
    else:
        parsed.errors.append(f"content type {kind!r}")
    if headers.get("X-Tidegate-Records") != str(len(parsed.ids)):
        parsed.errors.append(f"X-Tidegate-Records {headers.get('X-Tidegate-Records')!r}, body has {len(parsed.ids)}")
    return parsed


def _lines(body: bytes, form: str, klass: str, parsed: Parsed) -> None:
    for index, line in enumerate(body.removesuffix(b"\n").split(b"\n")):
        value = line
        try:
            text = _text(line)
            if form == "envelope":
                value = _envelope(text, klass, parsed).encode()
            else:
                _value(text)
        except (ValueError, RecursionError):
            parsed.invalid.append(index)
        parsed.ids.append(identity.line(value))


def _envelope(text: str, klass: str, parsed: Parsed) -> str:
    """The text of the envelope's ``value``, exactly as it stands there."""
    members = dict(_members(text))
    if set(members) - ENVELOPE_MAY_HAVE != ENVELOPE_MEMBERS:
        parsed.errors.append(f"envelope members {sorted(members)}")
    if "class" in members and json.loads(members["class"]) != klass:
        parsed.errors.append(f"envelope of class {members['class']} in a batch of {klass}")
    if "id" in members:
        parsed.envelopes.append(str(json.loads(members["id"])))
    value = members.get("value", "null")
    beside = (f"{json.dumps(name)}:{text}" for name, text in members.items() if name != "value")
    parsed.metadata.append("{" + ",".join(beside) + "}")
    try:
        _value(value)
    except ValueError:
        parsed.errors.append("envelope value is not JSON")
    return value


def _text(body: bytes) -> str:
    return body.decode("utf-8")  # strict: a surrogate or an overlong form is an error


def _value(text: str) -> None:
    _, end = _DECODER.raw_decode(text, _blanks(text, 0))
    if _blanks(text, end) != len(text):
        raise ValueError(f"more than one value, at {end}")


def _elements(text: str) -> Iterator[str]:
    """The elements of an array, each as the text that stands there."""
    at = _token(text, _blanks(text, 0), "[")
    if text[_blanks(text, at) : _blanks(text, at) + 1] == "]":
        raise ValueError("an empty batch")
    while True:
        start = _blanks(text, at)
        _, at = _DECODER.raw_decode(text, start)
        yield text[start:at]
        at = _blanks(text, at)
        if text[at : at + 1] == "]":
            break
        at = _token(text, at, ",")
    if _blanks(text, at + 1) != len(text):
        raise ValueError("more behind the array")


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The members of an object: names and the text of their values."""
    at = _token(text, _blanks(text, 0), "{")
    while True:
        name, at = _DECODER.raw_decode(text, _blanks(text, at))
        start = _blanks(text, _token(text, _blanks(text, at), ":"))
        _, at = _value_at(text, start)
        yield name, text[start:at]
        at = _blanks(text, at)
        if text[at : at + 1] == "}":
            break
        at = _token(text, at, ",")
    if _blanks(text, at + 1) != len(text):
        raise ValueError("more behind the object")


def _value_at(text: str, start: int) -> tuple[object, int]:
    return _DECODER.raw_decode(text, start)


def _token(text: str, at: int, expected: str) -> int:
    if text[at : at + 1] != expected:
        raise ValueError(f"{expected!r} expected at {at}")
    return at + 1


def _blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
