r"""Rule texts: what an operator writes, taken apart and checked.

===========================  ==================================================================
``purchase``                 a word of the type fields
``topic:orders``             the topic's name
``header:priority=high``     a record header; ``header:priority`` alone means any value
``json:/user/tier=vip``      a JSON pointer into the payload; alone it means any value
``key:vip-*``                the record's key
===========================  ==================================================================

``*`` is any run of characters, ``?`` is one. A backslash takes the next character literally:
``\, \: \= \* \? \\`` and ``\`` before a blank. The first bare ``=`` ends a header's name or a pointer (so
``\=`` puts one into it); in what follows, ``=`` is a character like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from tidegate.errors import RuleError

ANY_ONE = 256
ANY_RUN = 257
MAX_RULE_BYTES = 255
MAX_POINTER_TOKENS = 64  # TG_SCAN_MAX_DEPTH

_ESCAPABLE = frozenset(",:=*?\\ ")
_FOLD = bytes(0x5F if c == 0x20 else c + 32 if 0x41 <= c <= 0x5A else c for c in range(256))

Pattern = tuple[int, ...]
"""Folded bytes, ``ANY_ONE`` and ``ANY_RUN``; of neighbouring wildcards the ``ANY_ONE`` come first, ``ANY_RUN`` once."""


class Kind(IntEnum):
    """Where a rule looks, in the order in which kinds decide; ``JSON`` and ``TYPE`` decide together."""

    TOPIC = 0
    HEADER = 1
    JSON = 2
    TYPE = 3
    KEY = 4


_KINDS = {"topic": Kind.TOPIC, "header": Kind.HEADER, "json": Kind.JSON, "key": Kind.KEY}


@dataclass(frozen=True, slots=True)
class Field:
    """A header or a place in the payload. ``name`` is the header's name or the pointer, as written."""

    kind: Kind
    name: str

    @property
    def place(self) -> str:
        """As a verdict names it: ``"header:ce_type"``, ``"json:/event"``."""
        return f"{self.kind.name.lower()}:{self.name}"

    @property
    def identity(self) -> bytes:
        """Equal for two spellings of one field: header names are compared ignoring ASCII case."""
        raw = self.name.encode()
        return raw.lower() if self.kind is Kind.HEADER else raw


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``literals`` is the number of characters that are not wildcards."""

    text: str
    kind: Kind
    field: Field | None
    pattern: Pattern
    literals: int

    @property
    def exact(self) -> bool:
        return all(token < ANY_ONE for token in self.pattern)

    @property
    def identity(self) -> tuple[Kind, bytes, Pattern]:
        """Equal for two rules that match the same events."""
        return (self.kind, self.field.identity if self.field else b"", self.pattern)


class _Char(NamedTuple):
    char: str
    bare: bool  # not behind a backslash
    position: int


def fold(value: bytes) -> bytes:
    """Normal form in which values are compared: ASCII letters in lower case, blanks as underscores."""
    return value.translate(_FOLD)


def split_rules(text: str) -> list[str]:
    r"""Splits a list at its commas and line ends, but not at ``\,``; blanks around entries and empty entries vanish.

    Escapes stay as they are: the entries are rule texts for `parse_rule`.
    """
    entries: list[str] = []
    start = position = 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] in ",\n":
            entries.append(_stripped(text[start:position]))
            start = position + 1
        position += 1
    entries.append(_stripped(text[start:]))
    return [entry for entry in entries if entry]


def parse_rule(text: str) -> Rule:
    """Parses one rule.

    Raises:
        RuleError: with the position of the offence.
    """
    chars = _trimmed(_characters(text))
    if not chars:
        raise RuleError("A rule is empty", rule=text, hint="Write a type word such as purchase, or remove the entry.")
    colon = next((i for i, c in enumerate(chars) if c.bare and c.char == ":"), None)
    if colon is None:
        stray = next((c for c in chars if c.bare and c.char == "="), None)
        if stray:
            raise RuleError(
                "A type word cannot hold a bare '='",
                rule=text,
                position=stray.position,
                hint=r"Name the field as in header:priority=high or json:/tier=vip, or write \= for the character.",
            )
        return _rule(text, Kind.TYPE, None, chars)
    kind, rest = _kind(text, chars, colon)
    if kind in (Kind.HEADER, Kind.JSON):
        equals = next((i for i, c in enumerate(rest) if c.bare and c.char == "="), len(rest))
        field = _field(text, kind, _trimmed(rest[:equals]))
        if equals == len(rest):
            return Rule(text, kind, field, (ANY_RUN,), 0)
        return _rule(text, kind, field, _trimmed(rest[equals + 1 :]))
    return _rule(text, kind, None, rest)


def parse_type_field(text: str) -> Field:
    """Parses one entry of the type fields: ``header:ce_type`` or ``json:/event_name``.

    Raises:
        RuleError: with the position of the offence.
    """
    return _parse_place(text, "A type field", "header:ce_type or json:/event_name")


def parse_sample_field(text: str) -> Field:
    """The same for one place of the sampling key: ``header:ce_partitionkey`` or ``json:/session_id``."""
    return _parse_place(text, "A place of the sampling key", "header:ce_partitionkey or json:/session_id")


def _parse_place(text: str, what: str, such_as: str) -> Field:
    chars = _trimmed(_characters(text))
    hint = f"Write header:NAME or json:/POINTER, such as {such_as}."
    colon = next((i for i, c in enumerate(chars) if c.bare and c.char == ":"), None)
    if colon is None:
        raise RuleError(f"{what} needs to say where it is", rule=text, hint=hint)
    kind, rest = _kind(text, chars, colon)
    if kind not in (Kind.HEADER, Kind.JSON):
        raise RuleError(f"{what} is a header or a place in the payload", rule=text, hint=hint)
    stray = next((c for c in rest if c.bare and c.char == "="), None)
    if stray:
        hint = r"Write \= where the name itself has one."
        raise RuleError(f"{what} has no value", rule=text, position=stray.position, hint=hint)
    return _field(text, kind, rest)


def _stripped(entry: str) -> str:
    kept = entry.strip()
    dangling = len(kept) - len(kept.rstrip("\\"))
    after = entry.find(kept) + len(kept)
    # A blank behind a backslash belongs to the entry.
    return kept + entry[after] if dangling % 2 and after < len(entry) else kept


def _characters(text: str) -> list[_Char]:
    if len(text.encode("utf-8", "replace")) > MAX_RULE_BYTES:
        message = f"A rule is longer than {MAX_RULE_BYTES} bytes"
        raise RuleError(message, rule=text, position=MAX_RULE_BYTES, hint="Use a pattern such as order.* instead.")
    chars: list[_Char] = []
    position = 0
    while position < len(text):
        start, bare = position, True
        if text[position] == "\\":
            position, bare = position + 1, False
            if position == len(text) or text[position] not in _ESCAPABLE:
                hint = r"The escapes are \, \: \= \* \? \\ and a backslash before a blank."
                raise RuleError("A backslash escapes nothing here", rule=text, position=start, hint=hint)
        if 0xD800 <= ord(text[position]) <= 0xDFFF:
            raise RuleError("A rule is not valid UTF-8", rule=text, position=position, hint="Write it in UTF-8.")
        chars.append(_Char(text[position], bare, start))
        position += 1
    return chars


def _trimmed(chars: list[_Char]) -> list[_Char]:
    start, end = 0, len(chars)
    while start < end and chars[start].bare and chars[start].char.isspace():
        start += 1
    while end > start and chars[end - 1].bare and chars[end - 1].char.isspace():
        end -= 1
    return chars[start:end]


def _kind(text: str, chars: list[_Char], colon: int) -> tuple[Kind, list[_Char]]:
    word = "".join(c.char for c in _trimmed(chars[:colon]))
    kind = _KINDS.get(word.lower())
    if kind is None:
        raise RuleError(
            f"There is no kind of rule called {word!r}",
            rule=text,
            position=chars[0].position,
            hint=r"The kinds are topic: header: json: key:. For a type word that holds a colon write \: instead.",
        )
    return kind, _trimmed(chars[colon + 1 :])


def _field(text: str, kind: Kind, chars: list[_Char]) -> Field:
    name = "".join(c.char for c in chars)
    if kind is Kind.HEADER:
        if not name:
            hint = "Write header:NAME=VALUE, or header:NAME for any value."
            raise RuleError("A header rule has no name", rule=text, position=_after_colon(text), hint=hint)
        return Field(kind, name)
    hint = "Write a JSON pointer such as /event_type or /user/tier; ~0 stands for ~ and ~1 for / in a key."
    if not name.startswith("/"):
        at = chars[0].position if chars else _after_colon(text)
        raise RuleError("A JSON pointer starts with '/'", rule=text, position=at, hint=hint)
    for i, c in enumerate(chars):
        if c.char == "~" and (i + 1 == len(chars) or chars[i + 1].char not in "01"):
            raise RuleError("A JSON pointer has a '~' without 0 or 1", rule=text, position=c.position, hint=hint)
    if name.count("/") > MAX_POINTER_TOKENS:
        raise RuleError(f"A JSON pointer is deeper than {MAX_POINTER_TOKENS}", rule=text, position=0, hint=hint)
    return Field(kind, name)


def _after_colon(text: str) -> int:
    return text.find(":") + 1


def _rule(text: str, kind: Kind, field: Field | None, chars: list[_Char]) -> Rule:
    if not chars:
        hint = "Write what to match; a field alone, as in header:priority, means any value."
        raise RuleError("A rule has nothing to match", rule=text, position=len(text), hint=hint)
    pattern: list[int] = []
    literals = wanted = 0
    run = False

    def wildcards() -> None:
        nonlocal wanted, run
        pattern.extend([ANY_ONE] * wanted + [ANY_RUN] * run)
        wanted, run = 0, False

    for c in chars:
        if c.bare and c.char in "*?":
            run, wanted = run or c.char == "*", wanted + (c.char == "?")
            continue
        wildcards()
        pattern.extend(fold(c.char.encode()))
        literals += 1
    wildcards()
    return Rule(text, kind, field, tuple(pattern), literals)
