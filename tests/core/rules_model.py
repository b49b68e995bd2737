"""The rules in plain Python: slow, obvious, and sharing no code with the compiled table.

Rules are built from their parts, so the texts that they render to test the parser as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HIGH = 1
MAX_DEPTH = 64


class Any1:
    """``?``"""


class AnyRun:
    """``*``"""


Piece = str | type[Any1] | type[AnyRun]


@dataclass(frozen=True)
class ModelRule:
    """``pieces``: single characters and wildcards; empty for a header or json rule without a value."""

    klass: int
    kind: str
    field: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        value = "".join("?" if p is Any1 else "*" if p is AnyRun else _escape(str(p)) for p in self.pieces)
        if self.kind == "type":
            return value
        if self.kind in ("topic", "key"):
            return f"{self.kind}:{value}"
        return f"{self.kind}:{_escape(self.field)}" + (f"={value}" if self.pieces else "")

    @property
    def place(self) -> str:
        return f"{self.kind}:{self.field}" if self.kind in ("header", "json") else self.kind

    @property
    def exact(self) -> bool:
        return bool(self.pieces) and all(isinstance(p, str) for p in self.pieces)

    @property
    def literals(self) -> int:
        return sum(isinstance(p, str) for p in self.pieces)

    def matches(self, value: bytes) -> bool:
        # Every place where what was matched so far can end. A regex may backtrack for minutes.
        value, ends = fold(value), {0}
        for piece in self.pieces or (AnyRun,):
            if piece is AnyRun:
                ends = set(range(min(ends), len(value) + 1))
            elif piece is Any1:
                ends = {_character(value, at) for at in ends if at < len(value)}
            else:
                text = fold(str(piece).encode())
                ends = {at + len(text) for at in ends if value.startswith(text, at)}
            if not ends:
                return False
        return len(value) in ends


@dataclass(frozen=True)
class Answer:
    klass: int
    unclassified: bool
    type: str | None
    where: str | None
    rule: str | None
    valid: bool


class _Number(str):
    """A number's text."""


def _escape(text: str) -> str:
    return "".join("\\" + c if c in ",:=*?\\ " else c for c in text)


def _character(value: bytes, at: int) -> int:
    """Behind the character at `at`: one byte and those that continue it."""
    at += 1
    while at < len(value) and 0x80 <= value[at] <= 0xBF:
        at += 1
    return at


def fold(value: bytes) -> bytes:
    return value.lower().replace(b" ", b"_")


def best(rules: Sequence[tuple[int, ModelRule]], value: bytes) -> tuple[int, ModelRule] | None:
    return min(((i, r) for i, r in rules if r.matches(value)), key=_order, default=None)


def _order(found: tuple[int, ModelRule]) -> tuple[object, ...]:
    index, rule = found
    return (not rule.exact, 0 if rule.exact else -rule.literals, rule.klass, index)


def parse(value: bytes | None) -> tuple[bool, Any]:
    """(one valid JSON value, what it is); an empty value is valid and has nothing in it."""
    text = (value or b"").removeprefix(b"\xef\xbb\xbf")
    if not text.strip(b" \t\r\n"):
        return True, None

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        document = json.loads(text.decode(), parse_int=_Number, parse_float=_Number, parse_constant=refuse)
        return (True, document) if _depth(document) <= MAX_DEPTH else (False, None)
    except (ValueError, RecursionError):
        return False, None


def _depth(document: Any) -> int:
    if isinstance(document, dict):
        return 1 + max(map(_depth, document.values()), default=0)
    return 1 + max(map(_depth, document), default=0) if isinstance(document, list) else 0


def lookup(document: Any, pointer: str) -> str | None:
    """Text of the string, number or boolean at a pointer."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and re.fullmatch("0|[1-9][0-9]*", key) and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    if isinstance(document, bool):
        return "true" if document else "false"
    return str(document) if isinstance(document, str) else None


def classify(
    rules: Sequence[ModelRule],
    type_fields: Sequence[str],
    topic: str,
    key: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
    value: bytes | None,
) -> Answer:
    of: dict[str, list[tuple[int, ModelRule]]] = {k: [] for k in ("topic", "header", "json", "type", "key")}
    for index, rule in enumerate(rules):
        of[rule.kind].append((index, rule))
    valid, document = parse(value)
    header = {name.lower(): content for name, content in headers}

    def field(place: str) -> bytes | None:
        kind, _, name = place.partition(":")
        if kind == "header":
            return header.get(name.lower())
        text = lookup(document, name)
        return None if text is None else text.encode("utf-8", "surrogatepass")

    def shown(place: str, content: bytes) -> str:
        return content.decode("utf-8", "replace" if place.startswith("header") else "surrogatepass")

    type_: str | None = None
    where: str | None = None
    typed: tuple[int, ModelRule] | None = None
    for place in sorted(type_fields, key=lambda p: not p.startswith("header")):
        content = field(place)
        if content is None:
            continue
        typed = best(of["type"], content)
        if typed or where is None:
            type_, where = shown(place, content), place
        if typed:
            break

    def found(kind: str) -> list[tuple[int, ModelRule]]:
        return [(i, r) for i, r in of[kind] if (content := field(r.place)) is not None and r.matches(content)]

    decided = best(of["topic"], topic.encode()) or min(found("header"), key=_order, default=None)
    decided = decided or min([*found("json"), *([typed] if typed else [])], key=_order, default=None)
    decided = decided or (best(of["key"], key) if key is not None else None)
    if decided is None:
        return Answer(HIGH, True, type_, where, None, valid)
    rule = decided[1]
    return Answer(rule.klass, False, type_, where if rule.kind == "type" else rule.place, rule.text, valid)
