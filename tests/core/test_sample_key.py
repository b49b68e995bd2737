"""The sampling key: found in the rules' pass, as a plain reader of the same event finds it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_model import lookup, parse

from tidegate.core.rules import RuleTable
from tidegate.errors import RuleError
from tidegate.vocabulary import DEFAULT_SAMPLE_KEY, DEFAULT_TYPE_FIELDS, resolve_rules

RULES = [(3, "page"), (2, "json:/b=x"), (1, "header:h=1"), (0, "topic:orders"), (3, "topic:pages")]
FIELDS = ["header:t", "json:/a", "json:/c"]
PLACES = ["json:/a", "json:/b", "json:/s/id", "json:/l/1", "json:/", "json:/a~1b", "header:h", "header:K", "header:é"]

texts = st.one_of(st.sampled_from(["", "x", "page", "1", 'a"\\\n', "é", "\ud800"]), st.text(max_size=5))
values = st.one_of(
    st.sampled_from(["", "x"]),
    texts,
    st.integers(-5, 5),
    st.booleans(),
    st.none(),
    st.floats(0, 9),
    st.just([]),
    st.just({}),
)
documents = st.dictionaries(st.sampled_from(["a", "b", "c", "", "a/b", "z"]), values, max_size=5).flatmap(
    lambda d: st.builds(
        lambda s, items: {**d, "s": s, "l": items},
        st.one_of(values, st.dictionaries(st.just("id"), values)),
        st.lists(values, max_size=3),
    )
)
payloads = st.one_of(
    st.builds(
        lambda d, ascii_: json.dumps(d, ensure_ascii=ascii_).encode("utf-8", "replace"), documents, st.booleans()
    ),
    st.sampled_from([None, b"", b"[", b'{"a":"x"', b'{"a":"1","a":"2"}', b'"x"']),
)
headers = st.lists(
    st.tuples(
        st.sampled_from(["h", "H", "k", "t", "t", "é", "o"]), st.sampled_from([None, b"", b"1", b"page", b"\xff"])
    ),
    max_size=4,
)


def model(places: list[str], given_headers: list[tuple[str, bytes | None]], value: bytes | None) -> object:
    _, document = parse(value)
    found = {name.lower() if name.isascii() else name: content for name, content in given_headers}
    for place in places:
        kind, _, name = place.partition(":")
        if kind == "header":
            content = found.get(name.lower() if name.isascii() else name)
        else:
            text = lookup(document, name)
            content = None if text is None or _is_bool(document, name) else text.encode("utf-8", "surrogatepass")
        if content:
            return content, place
    return None, None


def _is_bool(document: object, pointer: str) -> bool:
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]  # type: ignore[index]
    return isinstance(document, bool)


@settings(max_examples=500)
@given(
    st.lists(st.sampled_from(PLACES), min_size=1, max_size=5, unique=True),
    st.sampled_from(["t", "orders", "pages"]),
    headers,
    payloads,
)
def test_table_and_model_agree(
    places: list[str], topic: str, given_headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    table, plain = RuleTable(RULES, FIELDS, places), RuleTable(RULES, FIELDS)
    for as_reader in (False, True):  # the reader asks for fewer fields where something decided
        verdict = table.classify(topic, b"k", given_headers, value, as_reader=as_reader)
        without = plain.classify(topic, b"k", given_headers, value, as_reader=as_reader)
        assert (verdict.sample_key, verdict.sample_place) == model(places, given_headers, value)
        assert verdict._replace(sample_key=None, sample_place=None) == without  # and nothing else changes


@pytest.mark.parametrize(
    ("topic", "given_headers"),
    [("t", []), ("t", [("t", b"page")]), ("t", [("h", b"1")]), ("orders", [])],
    ids=["all fields", "the type came by header", "a header decided", "the topic decided"],
)
@pytest.mark.parametrize("event", [b'{"a":"x","b":"y","k":"z"}', b'{"a":"page","b":"x","k":"z"}'])
def test_beside_whatever_fields_the_rules_still_need(
    topic: str, given_headers: list[tuple[str, bytes | None]], event: bytes
) -> None:
    plain = RuleTable(RULES, FIELDS).classify(topic, None, given_headers, event, as_reader=True)
    for name in "akb":
        verdict = RuleTable(RULES, FIELDS, [f"json:/{name}"]).classify(
            topic, None, given_headers, event, as_reader=True
        )
        assert verdict.sample_key == json.loads(event)[name].encode()
        assert verdict._replace(sample_key=None, sample_place=None) == plain


def test_first_place_that_has_a_value() -> None:
    table = RuleTable([], [], ["header:X-Session", "json:/s", "json:/s", "json:/u"])
    assert table.sample_key.places == ("header:X-Session", "json:/s", "json:/u")
    assert table.keyed
    assert (table.sample_key.needs_headers, table.sample_key.needs_payload) == (True, True)
    assert (table.needs_headers, table.needs_payload) == (False, False)  # of the rules
    event = b'{"s":"","u":12.50}'
    assert table.classify("t", None, [("x-session", b"v")], event).sample_key == b"v"
    assert table.classify("t", None, [], event).sample_key == b"12.50"
    assert table.classify("t", None, [], b'{"s":true,"u":null}').sample_key is None
    assert not RuleTable([], []).keyed


def test_of_equal_headers_the_last_counts_whatever_it_is() -> None:
    table = RuleTable([], [], ["header:s", "header:u"])
    assert table.classify("t", None, [("s", b"1"), ("S", b""), ("u", b"2")], None).sample_key == b"2"
    assert table.classify("t", None, [("s", b""), ("S", b"1"), ("u", b"2")], None).sample_key == b"1"


@pytest.mark.parametrize("text", ["", "session", "topic:x", "header:", "json:s", "json:/a=b"])
def test_place_is_refused(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        RuleTable([], [], [text])
    assert caught.value.rule == text


def test_too_many_pointers_are_refused_by_name() -> None:
    rules = [(3, f"json:/r{n}=x") for n in range(50)]
    fields = [f"json:/f{n}" for n in range(10)]
    assert RuleTable(rules, fields, [f"json:/s{n}" for n in range(4)]).keyed
    with pytest.raises(RuleError, match="sampling key") as caught:
        RuleTable(rules, fields, ["json:/f1", *(f"json:/s{n}" for n in range(5))])
    assert caught.value.rule == "json:/s4"


@pytest.mark.parametrize(
    ("event", "key", "place"),
    [
        # GA4's export; Segment before and after the log-in; Snowplow; REES46; Shopify's pixel; CloudEvents.
        ({"event_name": "page_view", "user_pseudo_id": "1.2", "user_id": "u"}, b"1.2", "json:/user_pseudo_id"),
        ({"type": "page", "anonymousId": "a", "userId": None, "messageId": "m"}, b"a", "json:/anonymousId"),
        ({"type": "page", "anonymousId": "a", "userId": "u", "messageId": "m"}, b"a", "json:/anonymousId"),
        ({"event_name": "page_view", "domain_sessionid": "s", "domain_userid": "d"}, b"s", "json:/domain_sessionid"),
        ({"event_type": "view", "user_id": 5, "user_session": "s"}, b"s", "json:/user_session"),
        ({"name": "page_viewed", "id": "e", "clientId": "c"}, b"c", "json:/clientId"),
        ({"type": "com.x.y", "id": "e", "source": "/s", "data": {}}, b"e", "json:/id"),
    ],
)
def test_built_in_places(event: dict[str, object], key: bytes, place: str) -> None:
    table = RuleTable(resolve_rules({}), DEFAULT_TYPE_FIELDS, DEFAULT_SAMPLE_KEY)
    verdict = table.classify("t", None, [], json.dumps(event).encode())
    assert (verdict.sample_key, verdict.sample_place) == (key, place)
