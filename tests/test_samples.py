"""``tidegate validate --samples``: sample lines in, one answer each."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.rules import RuleTable
from tidegate.samples import Sample, SampleError, read_sample, validate_samples, write_sample

TABLE = RuleTable([(0, "purchase"), (3, "page*"), (2, "topic:logs"), (1, "header:p=1"), (3, "key:k")], ["json:/event"])


def answers(*lines: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in validate_samples(lines, TABLE)]


def sample(**fields: object) -> bytes:
    return json.dumps({"topic": "t", **fields}).encode()


def test_one_line_each_in_order_with_these_names() -> None:
    (line,) = validate_samples([sample(value='{"event":"Purchase"}') + b"\r\n"], TABLE)
    assert line == b'{"class":"critical","type":"Purchase","where":"json:/event","rule":"purchase","valid":true}'
    got = answers(
        b"\xef\xbb\xbf" + sample(key=None, headers={}, value='{"event":"pages"}'),
        b"\n",
        sample(value="{", key="k"),
        b"  ",
        sample(headers={"P": "1"}, value_base64=base64.b64encode(b"\xff\x00").decode()),
        json.dumps({"topic": "logs", "value": "7", "partition": 3}).encode(),
        sample(value='{"event":"other"}'),
    )
    assert [tuple(a.values()) for a in got] == [
        ("bulk", "pages", "json:/event", "page*", True),
        ("bulk", None, "key", "key:k", False),
        ("high", None, "header:p", "header:p=1", False),
        ("normal", None, "topic", "topic:logs", True),
        ("high", "other", "json:/event", None, True),
    ]


def test_empty_and_absent_values_are_valid() -> None:
    for line in (sample(), sample(value=None), sample(value=""), sample(value_base64=""), sample(value_base64=None)):
        assert answers(line) == [{"class": "high", "type": None, "where": None, "rule": None, "valid": True}]


def test_null_headers_are_absent() -> None:
    assert answers(sample(headers={"p": None}))[0]["rule"] is None
    assert answers(sample(headers=None))[0]["rule"] is None


def test_valid_is_the_whole_grammar() -> None:
    assert [answers(sample(value=v))[0]["valid"] for v in ("01", "1", "1 2", "[1,]", "tru")] == [
        False,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("price", ["NaN", "-Infinity", "01", "1."])
def test_class_is_the_one_that_the_format_gives(price: str) -> None:
    line = sample(value=f'{{"event":"purchase","price":{price}}}')
    assert [answers(line)[0][k] for k in ("class", "type", "valid")] == ["critical", "purchase", False]
    (told,) = validate_samples([line], TABLE, as_lines=False)
    assert told == b'{"class":"high","type":null,"where":null,"rule":null,"valid":false}'


@pytest.mark.parametrize("value", ['{"event":"purchase"', '{"event":"purchase",}', '{"event":"purchase"}}'])
def test_a_broken_structure_says_nothing_in_any_format(value: str) -> None:
    told = b'{"class":"high","type":null,"where":null,"rule":null,"valid":false}'
    assert [*validate_samples([sample(value=value)], TABLE)] == [told]
    assert [*validate_samples([sample(value=value)], TABLE, as_lines=False)] == [told]


def test_lone_surrogates_come_out_as_they_went_in() -> None:
    (line,) = validate_samples([sample(value='{"event":"\\ud800é"}')], TABLE)
    assert json.loads(line)["type"] == "\ud800é"
    assert b"\\ud800" in line
    line.decode()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not an object"),
        (b'{"value":"x"}', '"topic" is missing'),
        (b'{"topic":7}', '"topic" is not a string'),
        (sample(key=1), '"key" is not a string'),
        (sample(value={"event": "x"}), '"value" is not a string'),
        (sample(value_base64="???"), "not base64"),
        (sample(value_base64="YQ"), "not base64"),
        (sample(value_base64="é"), "not base64"),
        (sample(value="", value_base64=""), "both given"),
        (sample(key_base64="?"), '"key_base64" is not base64'),
        (sample(key="", key_base64=""), '"key" and "key_base64" are both given'),
        (sample(key_base64=7), '"key_base64" is not a string'),
        (sample(headers="p"), '"headers" is not an object, nor a list'),
        (sample(headers=["ab"]), "not a pair"),
        (sample(headers=[["p"]]), "not a pair"),
        (sample(headers=[[None, "1"]]), "a header has no name"),
        (sample(headers=[[1, "1"]]), "a header's name is not a string"),
        (sample(headers={"h": {"base64": "?"}}), "header 'h' is not base64"),
        (sample(headers={"h": {"base64": "", "b": ""}}), "header 'h' is not a string"),
        (sample(headers={"h": 1}), "header 'h' is not a string"),
    ],
)
def test_what_is_no_sample_names_its_line(line: bytes, says: str) -> None:
    results = validate_samples([sample(), b"", line], TABLE)
    next(results)
    with pytest.raises(SampleError, match=f"Line 3 .*{says}") as caught:
        next(results)
    assert caught.value.line == 3
    assert caught.value.exit_code == 2


def test_headers_may_be_a_list_with_names_twice_and_bytes() -> None:
    for headers in ([["p", "2"], ["p", "1"]], [["p", {"base64": "MQ=="}]], [[{"base64": "cA=="}, "1"]]):
        assert answers(sample(headers=headers))[0]["rule"] == "header:p=1", headers
    assert answers(sample(headers=[["p", "1"], ["p", "2"]]))[0]["rule"] is None, "the last one counts"
    assert answers(sample(headers=[]))[0]["rule"] is None


def test_a_key_may_be_bytes() -> None:
    assert answers(sample(key_base64="aw=="))[0]["rule"] == "key:k"


def test_what_is_text_is_written_as_text() -> None:
    line = write_sample(Sample("t", b"k", [("a", b"1"), ("b", None)], b'{"event":"p"}'), partition=3, offset=41)
    assert line == (
        b'{"topic":"t","partition":3,"offset":41,"key":"k","headers":{"a":"1","b":null},"value":"{\\"event\\":\\"p\\"}"}'
    )
    line = write_sample(Sample("t", b"\xff", [("a", b"\xff"), ("a", b"1"), ("\udcff", b"2")], b"\xfe"))
    assert json.loads(line) == {
        "topic": "t",
        "key_base64": "/w==",
        "headers": [["a", {"base64": "/w=="}], ["a", "1"], [{"base64": "/w=="}, "2"]],
        "value_base64": "/g==",
    }


BYTES = st.none() | st.binary(max_size=20) | st.text(max_size=20).map(str.encode)
NAMES = (st.binary(max_size=6) | st.sampled_from([b"p", b"", "é".encode()])).map(
    lambda name: name.decode("utf-8", "surrogateescape")
)


@given(st.builds(Sample, st.text(max_size=9), BYTES, st.lists(st.tuples(NAMES, BYTES), max_size=4), BYTES))
def test_what_was_written_is_read_as_it_was(event: Sample) -> None:
    line = write_sample(event, partition=0, offset=7, ts=None)
    assert read_sample(1, line) == event
    assert b"\n" not in line
