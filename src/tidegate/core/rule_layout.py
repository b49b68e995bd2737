"""Lays a rule table out: which matcher serves which field, and what each number in the native tables stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tidegate.core.rule_image import Matcher, compile_matcher, ranks
from tidegate.core.rule_text import Field, Kind, Pattern, Rule, parse_rule, parse_type_field
from tidegate.errors import RuleError
from tidegate.types import EventClass

TOPIC, KEY, TYPE = 0, 1, 2  # the first matchers; then one for each header and pointer that rules name
MAX_POINTERS = 64  # TG_SCAN_MAX_FIELDS


@dataclass(slots=True)
class Layout:
    """Everything a `RuleTable` copies into native memory. Lists named ``a_b`` give a ``b`` for each ``a``; -1: none."""

    rank_rule: list[int] = field(default_factory=list)
    rank_class: list[int] = field(default_factory=list)
    rank_place: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    topic_place: int = -1
    matchers: list[Matcher] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)  # names in lower case
    header_matcher: list[int] = field(default_factory=list)
    type_header: list[int] = field(default_factory=list)
    type_place: list[int] = field(default_factory=list)  # headers first, then the payload's
    pointers: list[bytes] = field(default_factory=list)  # of type fields, then those that only rules name
    pointer_matcher: list[int] = field(default_factory=list)
    type_pointers: int = 0
    rule_pointers: list[bytes] = field(default_factory=list)
    rule_pointer_matcher: list[int] = field(default_factory=list)
    needs_headers: bool = False
    needs_key: bool = False
    needs_payload: bool = False


def lay_out(rules: Sequence[tuple[int, str]], type_fields: Sequence[str]) -> Layout:
    """Parses and orders everything.

    Args:
        rules: (class, rule text) pairs; of equal ones the higher class counts, then the first.
        type_fields: such as ``"header:ce_type"`` and ``"json:/event_name"``; a repeated one counts once.

    Raises:
        RuleError: a text is wrong, or more than 64 pointers are wanted.
        ValueError: a class is not one of 0 to 3.
    """
    parsed = [(int(EventClass(klass)), parse_rule(text)) for klass, text in rules]
    out = Layout()
    fields: dict[tuple[Kind, bytes], Field] = {}
    for type_field in map(parse_type_field, type_fields):
        fields.setdefault((type_field.kind, type_field.identity), type_field)
    ordered = sorted(fields.values(), key=lambda f: f.kind)  # headers first, else as given
    type_headers = [f for f in ordered if f.kind is Kind.HEADER]
    type_pointers = [f for f in ordered if f.kind is Kind.JSON]
    places: dict[str, int] = {}

    patterns: dict[tuple[Kind, bytes], list[tuple[int, Pattern]]] = {}
    for rank, index in enumerate(ranks(parsed)):
        klass, rule = parsed[index]
        key = (rule.kind, rule.field.identity if rule.field else b"")
        patterns.setdefault(key, []).append((rank, rule.pattern))
        out.rank_rule.append(index)
        out.rank_class.append(klass)
        place = rule.field.place if rule.field else rule.kind.name.lower()
        # A type word is found wherever a type field holds it.
        out.rank_place.append(-1 if rule.kind is Kind.TYPE else places.setdefault(place, len(places)))
    for kind in (Kind.TOPIC, Kind.KEY, Kind.TYPE):
        out.matchers.append(compile_matcher(patterns.pop((kind, b""), [])))
    numbers: dict[tuple[Kind, bytes], int] = {}
    for key, group in patterns.items():
        numbers[key] = len(out.matchers)
        out.matchers.append(compile_matcher(group))

    out.headers = _names(type_headers, [identity for kind, identity in numbers if kind is Kind.HEADER])
    out.header_matcher = [numbers.get((Kind.HEADER, name), -1) for name in out.headers]
    out.type_header = [out.headers.index(f.identity) for f in type_headers]
    out.type_place = [places.setdefault(f.place, len(places)) for f in ordered]
    out.type_pointers = len(type_pointers)
    out.rule_pointers = [identity for kind, identity in numbers if kind is Kind.JSON]
    out.pointers = _names(type_pointers, out.rule_pointers)
    _refuse_too_many(out, parsed, type_pointers)
    out.rule_pointer_matcher = [numbers[Kind.JSON, pointer] for pointer in out.rule_pointers]
    out.pointer_matcher = [numbers.get((Kind.JSON, pointer), -1) for pointer in out.pointers]
    out.places = list(places)
    out.topic_place = places.get("topic", -1)

    kinds = {rule.kind for _, rule in parsed}
    out.needs_headers = Kind.HEADER in kinds or (Kind.TYPE in kinds and bool(type_headers))
    out.needs_key = Kind.KEY in kinds
    out.needs_payload = Kind.JSON in kinds or (Kind.TYPE in kinds and bool(type_pointers))
    return out


def refuse_too_many_places(pointers: Sequence[bytes], places: Sequence[Field]) -> None:
    """Raises RuleError where the sampling key's pointers do not fit beside those of rules and type fields."""
    if len(pointers) <= MAX_POINTERS:
        return
    extra = pointers[MAX_POINTERS]
    text = next((f.place for f in places if f.identity == extra), "")
    hint = "Name fewer places: a session's, a user's and an event's are enough."
    message = f"Rules, type fields and the sampling key name more than {MAX_POINTERS} JSON pointers"
    raise RuleError(message, rule=text, hint=hint)


def _names(type_fields: list[Field], further: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys([f.identity for f in type_fields] + further))


def _refuse_too_many(out: Layout, rules: list[tuple[int, Rule]], type_pointers: list[Field]) -> None:
    if len(out.pointers) <= MAX_POINTERS:
        return
    extra = out.pointers[MAX_POINTERS]
    named = (rule.text for _, rule in rules if rule.kind is Kind.JSON and rule.field and rule.field.identity == extra)
    text = next(named, "") or next(f.place for f in type_pointers if f.identity == extra)
    hint = "Use fewer places: one pointer may have any number of values."
    raise RuleError(f"Rules and type fields name more than {MAX_POINTERS} JSON pointers", rule=text, hint=hint)
