"""RuleTable against the plain model, on rules and events made to nearly meet."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.rules import RuleTable

sys.path.insert(0, str(Path(__file__).parent))
from rules_model import Answer, Any1, AnyRun, ModelRule, classify

LETTERS = "aAb _.é€"  # few, so that rules and values meet; two of several bytes
POINTERS = ["/a", "/b", "/a/b", "/c/0", "/c/1/a", "/a~1b", "/~0", "/"]
HEADERS = ["h", "H", "x y", "é", "h2"]
KEYS = ["a", "b", "c", "a/b", "~", "", "h"]

words = st.one_of(
    st.text(LETTERS, min_size=1, max_size=4),
    st.sampled_from(["1", "1.5", "true", "-2e3", "a=b", "a,b", "a:b", "*", "\\"]),
)
pieces = st.one_of(
    words.map(tuple),
    st.lists(st.one_of(st.sampled_from(LETTERS), st.just(Any1), st.just(AnyRun)), min_size=1, max_size=6).map(tuple),
    st.builds(lambda w: (*w, AnyRun), words),
    st.builds(lambda w: (AnyRun, *w), words),
    st.builds(lambda w: (AnyRun, *w, AnyRun), words),
)
classes = st.integers(0, 3)
any_rule = st.one_of(
    st.builds(ModelRule, classes, st.sampled_from(["type", "type", "topic", "key"]), st.just(""), pieces),
    st.builds(ModelRule, classes, st.just("header"), st.sampled_from(HEADERS), st.one_of(pieces, st.just(()))),
    st.builds(ModelRule, classes, st.just("json"), st.sampled_from(POINTERS), st.one_of(pieces, st.just(()))),
)
type_fields = st.lists(
    st.one_of(st.sampled_from(HEADERS).map("header:{}".format), st.sampled_from(POINTERS).map("json:{}".format)),
    max_size=6,
    unique_by=str.lower,
)
values = st.one_of(
    words,
    st.text(LETTERS, max_size=8),
    st.builds(lambda w, n, e: w * n + e, words, st.integers(60, 800), words),
    st.sampled_from(["\ud800", "a\udc00b", "\U0001f600"]),
)


def _quoted(text: str, style: int) -> str:
    """The same string in one of several spellings."""
    if style == 0:
        return json.dumps(text)
    if style == 1 and text.isprintable():
        return json.dumps(text, ensure_ascii=False)
    units = text.encode("utf-16-be", "surrogatepass")
    return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2)) + '"'


strings = st.builds(_quoted, values, st.integers(0, 2))
scalars = st.one_of(strings, st.sampled_from(["1", "1.5", "-2e3", "true", "false", "null", "[]", "{}"]))


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name} : {value}" for name, value in members) + "}"


def _containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.builds(_quoted, st.sampled_from(KEYS), st.integers(0, 2))
    # Lists of pairs, so that keys come twice.
    return st.one_of(
        st.lists(st.tuples(names, inner), max_size=5).map(_object),
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
    )


payloads = st.one_of(
    _containers(st.recursive(scalars, _containers, max_leaves=6)).map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=6),
    st.sampled_from([b"", b" \n", b"\xef\xbb\xbf", b'\xef\xbb\xbf{"a":"a"}', b'{"a":"a"', b'{"a":"\xff"}', b"[" * 65]),
)
raw = st.one_of(values.map(lambda v: v.encode("utf-8", "replace")), st.binary(max_size=5))
events = st.tuples(
    st.one_of(st.just("a"), st.text("aAb_.", min_size=1, max_size=4)),
    st.one_of(st.none(), raw),
    st.lists(st.tuples(st.sampled_from([*HEADERS, "other", ""]), st.one_of(st.none(), raw)), max_size=5),
    st.one_of(st.none(), payloads),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(any_rule, max_size=14), type_fields, st.lists(events, min_size=1, max_size=6))
def test_table_and_model_agree(rules: list[ModelRule], fields: list[str], samples: list[tuple]) -> None:
    table = RuleTable([(r.klass, r.text) for r in rules], [_field_text(f) for f in fields])
    for event in [*samples, *samples]:  # the second time, from the memo
        verdict = table.classify(*event)
        got = Answer(verdict.klass, verdict.unclassified, verdict.type, verdict.where, verdict.rule, verdict.valid)
        assert got == classify(rules, fields, *event)
        brief = table.classify(*event, as_reader=True)
        if brief.status == verdict.status:  # else valid by the looser check only
            assert (brief.klass, brief.rule, brief.unclassified) == (verdict.klass, verdict.rule, verdict.unclassified)
            assert brief.where == verdict.where


def _field_text(place: str) -> str:
    kind, _, name = place.partition(":")
    return f"{kind}:" + name.replace(" ", "\\ ")


narrow = st.lists(st.one_of(st.sampled_from("ab"), st.just(Any1), st.just(AnyRun)), min_size=1, max_size=5).map(tuple)
crowded_rule = st.one_of(
    st.builds(ModelRule, classes, st.sampled_from(["topic", "type", "key"]), st.just(""), narrow),
    st.builds(ModelRule, classes, st.just("header"), st.sampled_from("hi"), narrow),
    st.builds(ModelRule, classes, st.just("json"), st.sampled_from(["/a", "/b"]), narrow),
)
kinds = st.sets(st.sampled_from(["topic", "header", "json", "type", "key"]), min_size=1)
narrow_value = st.text("ab", min_size=1, max_size=6)


@settings(max_examples=400, deadline=None)
@given(st.lists(crowded_rule, min_size=10, max_size=60), kinds, st.lists(narrow_value, min_size=5, max_size=5))
def test_of_many_matches_the_same_one_wins(rules: list[ModelRule], wanted: set[str], texts: list[str]) -> None:
    rules = [rule for rule in rules if rule.kind in wanted]
    fields = ["json:/type", "json:/b"]
    table = RuleTable([(r.klass, r.text) for r in rules], fields)
    payload = json.dumps({"a": texts[0], "b": texts[1], "type": texts[2]}).encode()
    event = (texts[3], texts[4].encode(), [("h", texts[0].encode()), ("i", texts[1].encode())], payload)
    verdict = table.classify(*event)
    got = Answer(verdict.klass, verdict.unclassified, verdict.type, verdict.where, verdict.rule, verdict.valid)
    assert got == classify(rules, fields, *event)
