"""``tidegate validate --samples``: sample lines in, one answer each."""

from __future__ import annotations

import base64
import json

import pytest

from tidegate.core.rules import RuleTable
from tidegate.samples import SampleError, validate_samples

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
        (sample(headers=[]), '"headers" is not an object'),
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
