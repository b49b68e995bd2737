"""Each sentence of the rules' contract, one by one."""

from __future__ import annotations

import json
import random

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.rule_image import compile_matcher
from tidegate.core.rule_text import Kind, parse_rule, parse_type_field, split_rules
from tidegate.core.rules import RuleTable, Verdict, xxh64
from tidegate.errors import RuleError

CRITICAL, HIGH, NORMAL, BULK = range(4)
FIELDS = ["header:ce_type", "json:/event", "json:/type"]


def judge(
    rules: list[tuple[int, str]],
    value: object = None,
    *,
    fields: list[str] = FIELDS,
    topic: str = "t",
    key: bytes | None = None,
    headers: list[tuple[str, bytes | None]] | None = None,
) -> Verdict:
    payload = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return RuleTable(rules, fields).classify(topic, key, headers or [], payload)


# ---- texts ----


@pytest.mark.parametrize(
    ("text", "kind", "field", "literals"),
    [
        ("purchase", Kind.TYPE, None, 8),
        ("order.*", Kind.TYPE, None, 6),
        ("topic:orders", Kind.TOPIC, None, 6),
        ("TOPIC: orders ", Kind.TOPIC, None, 6),
        ("header:priority=high", Kind.HEADER, "priority", 4),
        ("header: x = y", Kind.HEADER, "x", 1),
        ("json:/user/tier=vip", Kind.JSON, "/user/tier", 3),
        ("json:/a=b=c", Kind.JSON, "/a", 3),
        (r"json:/a\=b=c", Kind.JSON, "/a=b", 1),
        ("json:/=x", Kind.JSON, "/", 1),
        ("key:vip-*", Kind.KEY, None, 4),
        ("key:a=b:c", Kind.KEY, None, 5),
        (r"com.example\:order", Kind.TYPE, None, 17),
        (r"a\,b\*\?\\\=", Kind.TYPE, None, 7),
        ("é*", Kind.TYPE, None, 1),
    ],
)
def test_text_parses(text: str, kind: Kind, field: str | None, literals: int) -> None:
    rule = parse_rule(text)
    assert (rule.kind, rule.field and rule.field.name, rule.literals) == (kind, field, literals)


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "empty"),
        ("  ", 0, "empty"),
        ("foo:bar", 0, "no kind of rule called 'foo'"),
        (":bar", 0, "no kind of rule called ''"),
        ("topic:", 6, "nothing to match"),
        ("key: ", 5, "nothing to match"),
        ("header:", 7, "no name"),
        ("header:=x", 7, "no name"),
        ("header:x=", 9, "nothing to match"),
        ("json:", 5, "starts with '/'"),
        ("json:a=b", 5, "starts with '/'"),
        ("json:/a~2=b", 7, "'~' without 0 or 1"),
        ("json:/a~", 7, "'~' without 0 or 1"),
        ("json:" + "/a" * 65, 0, "deeper than 64"),
        ("json:/a=", 8, "nothing to match"),
        ("priority=high", 8, "bare '='"),
        ("a\\n", 1, "escapes nothing"),
        ("a\\", 1, "escapes nothing"),
        ("a\ud800", 1, "not valid UTF-8"),
        ("x" * 256, 255, "longer than 255 bytes"),
        ("é" * 128, 128, "longer than 255 bytes"),
    ],
)
def test_text_is_refused(text: str, position: int, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        RuleTable([(HIGH, text)], FIELDS)
    assert (caught.value.rule, caught.value.position) == (text, position)
    assert says in str(caught.value)
    assert caught.value.hint


def test_unknown_kind_says_how_to_write_a_colon() -> None:
    with pytest.raises(RuleError, match=r"\\:"):
        parse_rule("com.example:order")


@pytest.mark.parametrize("text", ["", "event", "topic:x", "key:x", "header:", "header:a=b", "json:a", "foo:/a"])
def test_type_field_is_refused(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        RuleTable([], [text])
    assert caught.value.rule == text


def test_type_field_may_hold_an_equals_sign() -> None:
    assert parse_type_field(r"json:/a\=b").name == "/a=b"


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        (" , ,", []),
        ("purchase, Order Completed ,order.*", ["purchase", "Order Completed", "order.*"]),
        (r"a\,b,c", [r"a\,b", "c"]),
        (r"a\\,b", [r"a\\", "b"]),
        ("a\nb,\n", ["a", "b"]),
        ("a\\ , b", ["a\\ ", "b"]),
        ("a\\", ["a\\"]),
    ],
)
def test_lists_split(text: str, entries: list[str]) -> None:
    assert split_rules(text) == entries


def test_comma_in_a_list_matches_a_comma() -> None:
    (rule,) = split_rules(r"a\,b")
    assert judge([(BULK, rule)], {"event": "A,B"}).klass == BULK


# ---- what matches ----


@pytest.mark.parametrize(
    ("rule", "value", "matches"),
    [
        ("order_completed", "Order Completed", True),
        ("Order Completed", "order_completed", True),
        ("order_completed", "ordercompleted", False),
        ("order_completed", "order-completed", False),
        ("purchase", "purchase ", False),
        ("é", "É", False),
        ("order.*", "order.", True),
        ("order.*", "ORDER.created.v2", True),
        ("order.*", "order", False),
        ("*.viewed", "page.viewed", True),
        ("*.viewed", ".viewed", True),
        ("*.viewed", "viewed", False),
        ("*.order.*", "com.shop.order.created", True),
        ("*.order.*", "com.shop.orders.created", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a_b_b_c", True),
        ("a*b*c", "a_c_b", False),
        ("?", "x", True),
        ("?", "", False),
        ("?", "€", True),
        ("??", "€", False),
        ("caf?", "café", True),
        ("?*", "", False),
        ("*?", "é", True),
        ("*", "", True),
        ("*a?c*", "xxabcxx", True),
        ("*a?c*", "xxacxx", False),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        (r"a\?", "a?", True),
        ("*abab*", "abaabab", True),
        ("*aab*", "aaab", True),
    ],
)
def test_pattern(rule: str, value: str, matches: bool) -> None:
    got = judge([(BULK, rule)], {"event": value})
    assert got.unclassified is not matches
    assert got.rule == (rule if matches else None)


def test_every_kind_ignores_case_and_blanks() -> None:
    assert judge([(BULK, "topic:My Orders")], topic="my_orders").where == "topic"
    assert judge([(BULK, "header:X-Kind=Very Low")], headers=[("x-kind", b"very_LOW")]).where == "header:X-Kind"
    assert judge([(BULK, "json:/Tier=gold member")], {"Tier": "GOLD_member"}).where == "json:/Tier"
    assert judge([(BULK, "json:/Tier=x")], {"tier": "x"}).unclassified, "pointers are exact"
    assert judge([(BULK, "key:vip *")], key=b"VIP_1").where == "key"


def test_header_names_keep_blanks_and_underscores_apart() -> None:
    assert judge([(BULK, "header:a_b")], headers=[("a b", b"x")]).unclassified


def test_field_alone_means_any_value() -> None:
    for text in ("header:x", "header:x=*"):
        assert judge([(BULK, text)], headers=[("X", b"")]).rule == text
        assert judge([(BULK, text)], headers=[("X", None)]).unclassified
    assert judge([(BULK, "json:/x")], {"x": ""}).klass == BULK
    assert judge([(BULK, "json:/x")], {"x": None}).unclassified


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"7", "7"),
        (b"1.50", "1.50"),
        (b"-2E3", "-2E3"),
        (b"true", "true"),
        (b"false", "false"),
        (b'"\\u0041\\n\\ud83d\\ude00z"', "A\n\U0001f600z"),
    ],
)
def test_value_is_its_text(value: bytes, text: str) -> None:
    got = judge([(BULK, "*")], b'{"event":' + value + b"}")
    assert (got.klass, got.type) == (BULK, text)
    assert judge([(BULK, "json:/x=" + text)], b'{"x":' + value + b"}").klass == BULK


def test_lone_surrogates_are_told_as_they_stand() -> None:
    assert judge([(BULK, "*")], b'{"event":"a\\ud83d"}').type == "a\ud83d"


@pytest.mark.parametrize("value", [b"null", b"{}", b"[]", b'{"a":"view"}', b'["view"]'])
def test_null_objects_and_arrays_are_absent(value: bytes) -> None:
    got = judge([(BULK, "view"), (CRITICAL, "json:/event")], b'{"event":' + value + b',"type":"view"}')
    assert (got.klass, got.where, got.type) == (BULK, "json:/type", "view")


def test_pointers() -> None:
    event: dict[str, object] = {"user": {"tier": "vip", "a/b": {"~": "x"}}, "items": [{"sku": 1}, {"sku": 2}], "": "e"}
    for rule in ("/user/tier=vip", "/user/a~1b/~0=x", "/items/1/sku=2", "/=e"):
        assert judge([(BULK, "json:" + rule)], event).where == "json:" + rule.split("=")[0]
    for rule in ("/user=*", "/items/2/sku=*", "/items/01/sku=*", "/items/-=*", "/user/tier/x=*"):
        assert judge([(BULK, "json:" + rule)], event).unclassified


@pytest.mark.parametrize("length", [255, 256, 257, 1023, 1024, 1025, 100_000])
def test_long_values_are_not_cut(length: int) -> None:
    text = "a" * (length - 1) + "z"
    rules = [(CRITICAL, "a" * 255), (BULK, "a*y"), (NORMAL, "*z")]
    for payload in ({"event": text}, b'{"event":"' + "".join(f"\\u{ord(c):04x}" for c in text).encode() + b'"}'):
        assert judge(rules, payload).rule == "*z"
        assert judge([(BULK, "a*a?")], payload).klass == BULK
        assert judge([(BULK, "*aaz")], payload).klass == BULK
        assert judge([(BULK, "aa*")], payload).klass == BULK
        assert judge([(BULK, "*aaz*")], payload).klass == BULK
        assert judge([(BULK, "*az?*")], payload).unclassified


def test_longest_exact_word() -> None:
    word = "x" * 255
    assert judge([(BULK, word)], {"event": word}).klass == BULK
    assert judge([(BULK, word)], {"event": word + "x"}).unclassified
    assert judge([(BULK, word)], {"event": word[:-1]}).unclassified


def test_values_that_are_not_utf8_match_by_bytes() -> None:
    got = judge([(BULK, "a*")], headers=[("ce_type", b"A\xff\xfe")])
    assert (got.klass, got.type) == (BULK, "A\ufffd\ufffd")
    assert judge([(BULK, "key:*é")], key=b"\xff\xc3\xa9").klass == BULK


def test_memo_tells_fields_and_spellings_apart() -> None:
    table = RuleTable([(BULK, "json:/a=x"), (NORMAL, "ab"), (CRITICAL, r"a\\u0062")], ["header:h", "json:/b"])
    for _ in range(2):
        assert table.classify("t", None, [], b'{"a":"x","b":"x"}').where == "json:/a"
        assert table.classify("t", None, [], b'{"b":"x"}').unclassified
        assert table.classify("t", None, [], b'{"b":"a\\u0062"}').klass == NORMAL
        assert table.classify("t", None, [("h", b"a\\u0062")], b"{}").klass == CRITICAL


def test_memo_compares_all_of_a_value() -> None:
    words = ["12345678" + middle * 9 + "87654321" for middle in "abcdefgh"]
    table = RuleTable([(i % 4, word) for i, word in enumerate(words)], ["header:h"])
    for word in words * 3:
        assert table.classify("t", None, [("h", word.encode())], None).rule == word


# ---- which match wins ----


def test_kinds_decide_in_order() -> None:
    rules = [(BULK, "topic:t"), (NORMAL, "header:h=x"), (CRITICAL, "json:/a=x"), (HIGH, "view"), (CRITICAL, "key:k")]
    event = {"a": "x", "event": "view"}
    header: list[tuple[str, bytes | None]] = [("h", b"x")]
    assert judge(rules, event, headers=header, key=b"k").where == "topic"
    assert judge(rules[1:], event, headers=header, key=b"k").where == "header:h"
    assert judge(rules[2:], event, headers=header, key=b"k").where == "json:/a"
    assert judge(rules[3:], event, headers=header, key=b"k").where == "json:/event"
    assert judge(rules[4:], event, headers=header, key=b"k").where == "key"
    assert judge([], event, headers=header, key=b"k") == Verdict(HIGH, True, "view", "json:/event", None, True, "ok")


def test_within_a_kind() -> None:
    event = {"event": "order.created", "a": "order.created"}
    assert judge([(BULK, "order.created"), (CRITICAL, "order.*")], event).klass == BULK, "exact"
    assert judge([(BULK, "order.*"), (CRITICAL, "*d")], event).klass == BULK, "longer"
    assert judge([(BULK, "order.?*"), (CRITICAL, "order*")], event).klass == BULK, "longer by literals"
    assert judge([(BULK, "order.*"), (CRITICAL, "*reated")], event).klass == CRITICAL, "longer by one"
    assert judge([(BULK, "order*"), (CRITICAL, "*eated")], event).klass == CRITICAL, "higher class"
    assert judge([(BULK, "*er*"), (BULK, "*ed")], event).rule == "*er*", "earlier"
    assert judge([(NORMAL, "order.created"), (HIGH, "json:/a=order.created")], event).where == "json:/a"
    assert judge([(HIGH, "order.created"), (NORMAL, "json:/a=order.created")], event).where == "json:/event"
    assert judge([(NORMAL, "order.created"), (HIGH, "json:/a=order.*")], event).where == "json:/event"


def test_length_of_exact_words_does_not_count() -> None:
    rules = [(CRITICAL, "json:/t=x"), (BULK, "a_very_long_word")]
    assert judge(rules, {"event": "a very long word", "t": "x"}).klass == CRITICAL


def test_type_fields_fall_through_in_order() -> None:
    fields = ["json:/name", "json:/event", "json:/type"]
    got = judge([(BULK, "view"), (CRITICAL, "buy")], {"type": "buy", "event": "view", "name": "Jane"}, fields=fields)
    assert (got.klass, got.type, got.where) == (BULK, "view", "json:/event")
    got = judge([(BULK, "view")], {"type": "x", "event": "y"}, fields=fields)
    assert (got.klass, got.unclassified, got.type, got.where) == (HIGH, True, "y", "json:/event")
    assert judge([(BULK, "view")], {}, fields=fields)[:5] == (HIGH, True, None, None, None)


def test_headers_come_before_the_payload() -> None:
    rules = [(BULK, "view"), (CRITICAL, "buy")]
    got = judge(rules, {"event": "buy"}, headers=[("CE_TYPE", b"view")], fields=["json:/event", "header:ce_type"])
    assert (got.klass, got.where) == (BULK, "header:ce_type")
    got = judge(rules, {"event": "buy"}, headers=[("ce_type", b"other")])
    assert (got.klass, got.type, got.where) == (CRITICAL, "buy", "json:/event")
    got = judge(rules, {"event": "?"}, headers=[("ce_type", b"other")])
    assert (got.unclassified, got.type, got.where) == (True, "other", "header:ce_type")


def test_json_rules_compete_with_a_type_from_a_header() -> None:
    rules = [(BULK, "view*"), (CRITICAL, "json:/tier=vip")]
    got = judge(rules, {"tier": "vip", "event": "buy"}, headers=[("ce_type", b"viewed")])
    assert (got.klass, got.where, got.type) == (CRITICAL, "json:/tier", "viewed")


def test_last_of_equal_headers_wins() -> None:
    rules = [(BULK, "header:p=low"), (CRITICAL, "header:p=top")]
    assert judge(rules, headers=[("p", b"low"), ("P", b"top")]).klass == CRITICAL
    assert judge(rules, headers=[("p", b"top"), ("P", b"low")]).klass == BULK
    assert judge(rules, headers=[("p", b"top"), ("p", None)]).unclassified


def test_last_of_equal_keys_wins() -> None:
    assert judge([(BULK, "x"), (CRITICAL, "y")], b'{"event":"x","event":"y"}').klass == CRITICAL


def test_type_is_told_whatever_decides() -> None:
    for rules in ([(BULK, "topic:t")], [(BULK, "header:h")], [(BULK, "json:/a=1")], [(BULK, "key:k")]):
        got = judge([*rules, (BULK, "view")], {"event": "Jane", "type": "View", "a": 1}, key=b"k", headers=[("h", b"")])
        assert got.type == "View"
        got = judge(rules, {"event": "Jane", "type": "View", "a": 1}, key=b"k", headers=[("h", b"")])
        assert (got.type, got.rule) == ("Jane", rules[0][1])


@pytest.mark.parametrize(
    ("payload", "valid", "status"),
    [
        (None, True, "empty"),
        (b"", True, "empty"),
        (b" \n", True, "empty"),
        (b"{}", True, "ok"),
        (b"7", True, "ok"),
        (b'{"event":"view"', False, "truncated"),
        (b'{"event":"view","x":01}', False, "literal"),
        (b'{"event":"view","x":"\xff"}', False, "utf8"),
        (b"\x00\x01", False, "syntax"),
    ],
)
@pytest.mark.parametrize("fields", [FIELDS, []])
def test_payload_that_is_no_json_contributes_nothing(
    payload: bytes | None, valid: bool, status: str, fields: list[str]
) -> None:
    got = judge([(BULK, "view")], payload, fields=fields)
    assert (got.klass, got.unclassified, got.type) == (HIGH, True, None)
    assert got.valid is valid
    assert got.status.startswith(status)
    assert judge([(BULK, "key:k")], payload, key=b"k").klass == BULK
    assert judge([(BULK, "view")], payload, headers=[("ce_type", b"view")]).klass == BULK
    got = judge([(BULK, "topic:t")], payload)
    assert (got.klass, got.valid) == (BULK, valid)


def test_reader_uses_the_looser_check() -> None:
    table = RuleTable([(BULK, "view")], FIELDS)
    payload = b'{"event":"view","x":01}'
    assert table.classify("t", None, [], payload).unclassified
    assert table.classify("t", None, [], payload, as_reader=True)[:2] == (BULK, False)


def test_reader_scans_whatever_decides() -> None:
    table = RuleTable([(BULK, "topic:t"), (BULK, "header:h")], FIELDS)
    for topic in ("t", "other"):
        assert table.classify(topic, None, [("h", b"")], b'{"a":', as_reader=True).valid is False


# ---- the table ----


@pytest.mark.parametrize(
    ("first", "second", "event"),
    [
        ("Order Completed", "order_completed", "order completed"),
        ("header:H=x", "header:h=X", ""),
        ("header:h", "header:h=*", ""),
        ("a**b", "a*b", "axb"),
        ("a*?b", "a?*b", "axb"),
    ],
)
def test_same_rule_in_two_classes_is_of_the_higher(first: str, second: str, event: str) -> None:
    for rules in ([(CRITICAL, first), (BULK, second)], [(BULK, second), (CRITICAL, first)]):
        verdict = judge(rules, {"event": event}, headers=[("h", b"x")])
        assert (verdict.klass, verdict.rule) == (CRITICAL, first)


def test_same_rule_twice_in_a_class_is_fine() -> None:
    assert judge([(BULK, "a b"), (BULK, "a_b")], {"event": "a b"}).rule == "a b"


def test_alike_rules_of_different_fields_are_fine() -> None:
    RuleTable([(CRITICAL, "x"), (BULK, "key:x"), (HIGH, "json:/a=x"), (NORMAL, "json:/b=x")], FIELDS)


def test_topic() -> None:
    table = RuleTable([(BULK, "x"), (CRITICAL, "topic:orders*"), (NORMAL, "topic:orders.eu")], FIELDS)
    assert table.topic("orders.eu") == (NORMAL, 2)
    assert table.topic("orders.us") == (CRITICAL, 1)
    assert table.topic("clicks") is None
    assert table.rule_text(1) == "topic:orders*"
    with pytest.raises(IndexError):
        table.rule_text(3)


def test_needs() -> None:
    def needs(rules: list[str], fields: list[str]) -> tuple[bool, bool, bool]:
        table = RuleTable([(BULK, rule) for rule in rules], fields)
        return table.needs_headers, table.needs_key, table.needs_payload

    assert needs([], FIELDS) == (False, False, False)
    assert needs(["topic:x"], FIELDS) == (False, False, False)
    assert needs(["x"], FIELDS) == (True, False, True)
    assert needs(["x"], ["json:/a"]) == (False, False, True)
    assert needs(["header:x", "key:x"], []) == (True, True, False)
    assert needs(["json:/x"], []) == (False, False, True)


def test_class_is_checked() -> None:
    with pytest.raises(ValueError, match="4"):
        RuleTable([(4, "x")], FIELDS)


def test_at_most_64_pointers() -> None:
    rules = [(BULK, f"json:/f{i}=x{j}") for i in range(61) for j in range(3)]
    fields = ["json:/event", "json:/type", "json:/f0", "json:/name"]
    table = RuleTable(rules, fields)
    assert table.classify("t", None, [], b'{"f60":"x2"}').rule == "json:/f60=x2"
    with pytest.raises(RuleError, match="64") as caught:
        RuleTable([*rules, (BULK, "json:/one/more=x")], fields)
    assert caught.value.rule == "json:/one/more=x"


def test_many_headers() -> None:
    rules = [(i % 4, f"header:h{i}=x{i}") for i in range(500)]
    table = RuleTable(rules, [f"header:h{i}" for i in range(100)])
    headers = [(f"H{i}", b"x%d" % (i if i == 321 else 0)) for i in range(499, 0, -1)]
    assert table.classify("t", None, headers, None)[:5] == (1, False, "x0", "header:h321", "header:h321=x321")


def test_there_is_no_unfilled_table() -> None:
    with pytest.raises(TypeError):
        RuleTable.__new__(RuleTable)


@given(st.binary(max_size=300), st.integers(0, 2**64 - 1))
def test_xxh64(data: bytes, seed: int) -> None:
    assert xxh64(data, seed) == xxhash.xxh64_intdigest(data, seed=seed)


@pytest.mark.parametrize(
    "rule", ["com.*.e{}", "e{}.*.done", "com.*.e{}.*.done", "com.*.e{}.v?", "a*.e{}", "?e{}*x*", "com.*{0}?.*done"]
)
def test_a_thousand_patterns_alike_but_for_a_part_are_not_compared_one_by_one(rule: str) -> None:
    rng = random.Random(3)
    rules = dict.fromkeys(rule.format(f"{rng.randrange(16**6):06x}") for _ in range(1000))
    matcher = compile_matcher((rank, parse_rule(text).pattern) for rank, text in enumerate(rules))
    nexts = memoryview(matcher.globs).cast("I")[1::4].tolist()
    assert len(nexts) > 900
    assert sum(map(bool, nexts)) < 10, "globs that hang behind another one"
