"""The JSON scanner against Python's json, every implementation against the scalar one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidegate.core import scan

IMPLEMENTATIONS = scan.implementations()
POINTERS = ["/event_type", "/type", "/a", "/a/b", "/a/0", "/a/1/b", "/0", "/", "/a~1b", "/~0", "/é", "", "/a", "/a/b/a"]
SCANNER = scan.Scanner(POINTERS)
EVENT = {
    "event_time": "2019-10-01 00:00:00 UTC",
    "event_type": "view",
    "product_id": 44600062,
    "category_id": 2103807459595387724,
    "category_code": "electronics.smartphone",
    "brand": "shiseido",
    "price": 35.79,
    "user_id": 541312140,
    "user_session": "72d76fde-8bb3-4e00-8c23-a032dfed738c",
}
COMPACT = json.dumps(EVENT, separators=(",", ":")).encode()


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request):
    """For tests that look at results themselves; check() goes through all implementations anyway."""
    scan.use(request.param)
    yield request.param
    scan.use(None)


class Number(str):
    """A number as it stood."""


class RejectedError(Exception):
    pass


def reject_constant(name: str) -> Any:
    raise RejectedError(name)


def too_deep(text: str) -> bool:
    depth = deepest = 0
    for c in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        depth += (c in "[{") - (c in "]}")
        deepest = max(deepest, depth)
    return deepest > 64


def parse(doc: bytes) -> Any:
    """What Python's json makes of ``doc``, with our rules about constants and depth; raises RejectedError."""
    try:
        text = doc.decode("utf-8").removeprefix("\ufeff")
        value = json.loads(text, parse_constant=reject_constant, parse_int=Number, parse_float=Number)
    except (ValueError, RecursionError) as e:
        raise RejectedError from e
    if too_deep(text):
        raise RejectedError("depth")
    return value


def found(value: Any) -> tuple[str, str]:
    match value:
        case Number():
            return "number", str(value)
        case str():
            return "string", value
        case True | False | None:
            return json.dumps(value), ""
        case list():
            return "array", ""
        case _:
            return "object", ""


def resolve(value: Any, pointer: str) -> tuple[str, str] | None:
    for raw in pointer.split("/")[1:]:
        token = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]*", token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return found(value)


def check(doc: bytes, scanner: scan.Scanner = SCANNER, pointers: list[str] = POINTERS) -> bool:
    """Compares all implementations and levels with each other and with Python's json; True for a good document."""
    before = scan.using()
    results = []
    for name in IMPLEMENTATIONS:
        scan.use(name)
        results.append((scanner.scan(doc), scanner.scan(doc, grammar=True)))
    scan.use(before)
    assert all(r == results[0] for r in results), list(zip(IMPLEMENTATIONS, results, strict=True))
    structure, grammar = results[0]
    try:
        value = parse(doc)
    except RejectedError:
        assert grammar[0] != "ok", doc
        assert grammar[3] == [None] * len(pointers)
        return False
    assert grammar[0] == "ok", (doc, grammar)
    assert structure == grammar
    assert grammar[1] == 0
    assert bool(grammar[2] & scan.HAS_NEWLINE) == (b"\n" in doc or b"\r" in doc)
    assert bool(grammar[2] & scan.HAS_BOM) == doc.startswith(b"\xef\xbb\xbf")
    assert grammar[3] == [resolve(value, p) for p in pointers]
    return True


# --- units

GOOD = [
    COMPACT,
    json.dumps(EVENT).encode(),
    json.dumps(EVENT, indent=4).encode() + b"\r\n",
    b'{"event\\u005ftype":"view"}',
    b'{"\\u0061":{"\\u0062":1}}',
    b'{"x":"\\"event_type\\":\\"no\\",\\"a\\":1","event_type":"yes","y":"{\\"type\\":2}"}',
    b'{"type":{"type":{"event_type":1}},"b":{"a":{"b":2}},"a":{"a":{"b":3},"b":{"a":4}}}',
    b'{"a":{"b":1},"a":{"c":2}}',
    b'{"a":{"b":1},"a":{"b":2},"a":3}',
    b'{"a":[1,{"b":5}],"a":[[]]}',
    b'{"a":[0,{"b":"x"},{"b":"y"}],"0":"zero"}',
    b'[{"b":1},[0]]',
    b'{"":"empty","a/b":"slash","~":"tilde","\xc3\xa9":"e"}',
    b'{"type":true,"a":false,"event_type":null}',
    b'{"type":-0.5e+10,"a":0,"event_type":12E5}',
    b'\xef\xbb\xbf{"a":1}',
    b"\xef\xbb\xbf" + COMPACT,
    b' \t\r\n{ "a" \t:\n[ 1 , 2 ]\r}\n ' + b" " * 100,
    b" " * 5000 + COMPACT + b"\n" * 5000,
    b"1",
    b'"a"',
    b"null",
    b"[]",
    b"{}",
    b'"\\ud800"',
    b'{"type":"\\ud83d\\ude00 \\udc00\\ud800","a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000"}',
    b"[" * 64 + b"]" * 64,
    b'{"a":' * 64 + b"1" + b"}" * 64,
    b'["' + "é中😀".encode() * 500 + b'"]',
    b'["' + b"\\\\" * 3000 + b'"]',
    b"[" + b"{}," * 5000 + b"[]]",
]
BAD = [
    b"",
    b" ",
    b"\xef\xbb\xbf",
    b'\xef\xbb\xbf\xef\xbb\xbf{"a":1}',
    b"{",
    b'{"a"}',
    b'{"a":}',
    b'{"a":1,}',
    b"{,}",
    b"{1:2}",
    b'{"a":1 "b":2}',
    b'{"a" "b":1}',
    b'{"a":"b" "c"}',
    b'{"a":"b""c"}',
    b'{"a":"b"c}',
    b'{"a":b"c"}',
    b'{"a":1]',
    b"[1}",
    b"[1,,2]",
    b"[1 2]",
    b"[1:2]",
    b"[]]",
    b"[] []",
    b"{}x",
    b"[{}x]",
    b"[{}{}]",
    b'["a',
    b'["a\\"]',
    b'["\n"]',
    b'["\x00"]',
    b'["\\a"]',
    b'["\\u12g4"]',
    b'["\\u123"]',
    b"[\\n]",
    b"[\x0c]",
    b"[\xc2\xa0]",
    b"[NaN]",
    b"[-Infinity]",
    b"[01]",
    b"[1.]",
    b"[.5]",
    b"[+1]",
    b"[-]",
    b"[1e]",
    b"[1_0]",
    b"[TRUE]",
    b'["\xff"]',
    b'["\xc0\xaf"]',
    b'["\xed\xa0\x80"]',
    b'["\xf4\x90\x80\x80"]',
    b'["\xe2\x82"]',
    b"[" * 65 + b"]" * 65,
    b"[" * 100000,
]


@pytest.mark.parametrize("doc", GOOD, ids=lambda d: repr(d[:24]))
def test_good(doc):
    assert check(doc)
    doc = doc.removeprefix(b"\xef\xbb\xbf")
    deep = doc.startswith((b"[" * 64, b'{"a":' * 64))
    for pad in (1, 2, 31, 62, 63, 64):
        assert check(b" " * pad + doc)
        assert check(b'{"' + b"p" * pad + b'":1,"a":' + doc + b"}") is not deep


@pytest.mark.parametrize("doc", BAD, ids=lambda d: repr(d[:24]))
def test_bad(doc):
    assert not check(doc)
    for pad in (1, 31, 40, 62, 63, 64, 2040):
        assert not check(b'["' + b"p" * pad + b'",' + doc + b"]")


@pytest.mark.usefixtures("implementation")
def test_empty_is_its_own_status():
    assert [SCANNER.scan(d)[0] for d in (b"", b" \r\n\t", b"\xef\xbb\xbf \n")] == ["empty"] * 3


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize(
    ("doc", "status", "pos"),
    [
        (b'{"a":1,}', "syntax", 7),
        (b'{"a"', "truncated", 4),
        (b'["a\tb"]', "string", 3),
        (b'["a\xffb"]', "utf8", 3),
        (b"[" * 65, "depth", 64),
        (b"[0,01]", "literal", 3),
    ],
)
def test_status_and_position(doc, status, pos):
    assert SCANNER.scan(doc, grammar=True)[:2] == (status, pos)
    padded = b"[" + json.dumps("x" * 100).encode() + b","
    if status != "depth":
        assert SCANNER.scan(padded + doc, grammar=True)[:2] == (status, pos + len(padded))


@pytest.mark.usefixtures("implementation")
def test_structure_lets_words_pass_that_grammar_does_not():
    doc = b'{"type":NaN,"a":[01,tru,-,1.e],"filler":"................................................"}'
    assert SCANNER.scan(doc)[0] == "ok"
    assert SCANNER.scan(doc)[3][1] == ("number", "NaN")
    assert SCANNER.scan(doc, grammar=True)[:2] == ("literal", 8)


@pytest.mark.usefixtures("implementation")
def test_truncation_at_every_position():
    doc = b' {"event_type":"v\\u00e9\xc3\xa9","a":[1,{"b":-1.5e3}, true], "n":{"x":null}}'
    for n in range(len(doc)):
        assert not check(doc[:n])
        assert SCANNER.scan(doc[:n])[0] in ("truncated", "empty")
    assert check(doc)


def test_values_over_every_border_of_a_block():
    for n in range(200):
        assert check(b'{"x":"' + b"x" * n + b'","event_type":"\\"","a":{"b":[{}], "c":"\xc3\xa9"},"type":12.5}')


def test_many_wanted_fields():
    pointers = [f"/field_{i}/x" if i % 3 == 0 else f"/field_{i}" for i in range(64)]
    doc = {f"field_{i}": {"x": i, "y": 0} if i % 2 else str(i) for i in range(-5, 70)}
    assert check(json.dumps(doc).encode(), scan.Scanner(pointers), pointers)


def test_array_indexes():
    pointers = ["/0", "/2", "/10", "/01", "/-", "/2/1", "/11"]
    doc = [[i, [i]] for i in range(11)]
    assert check(json.dumps(doc).encode(), scan.Scanner(pointers), pointers)
    assert check(
        json.dumps({"0": 1, "01": 2, "-": 3, "2": {"1": 4}, "filler": "x" * 80}).encode(),
        scan.Scanner(pointers),
        pointers,
    )


@pytest.mark.usefixtures("implementation")
def test_no_wanted_fields():
    assert scan.Scanner([]).scan(COMPACT) == ("ok", 0, 0, [])
    assert scan.Scanner([]).scan(COMPACT[:-1])[0] == "truncated"


@pytest.mark.parametrize("pointers", [["a"], ["/a~"], ["/a~2"], ["/" + "x" * 256], ["/a"] * 65, ["/x" * 65]])
def test_bad_pointers(pointers):
    with pytest.raises(ValueError, match="JSON pointers"):
        scan.Scanner(pointers)


@pytest.mark.usefixtures("implementation")
def test_longest_token_also_when_escaped():
    name = "é" * 127
    scanner = scan.Scanner(["/" + name])
    for doc in (json.dumps({name: 1}), json.dumps({name: 1}, ensure_ascii=False)):
        assert scanner.scan(doc.encode())[3] == [("number", "1")]
    assert scanner.scan(b'{"' + b"\\u0061" * 2000 + b'":1}')[3] == [None]


# --- implementations


def test_use():
    assert IMPLEMENTATIONS[-1] == "scalar"
    scan.use(None)
    assert scan.using() == IMPLEMENTATIONS[0]
    with pytest.raises(ValueError, match=r"'mmx' here; there are: .*scalar"):
        scan.use("mmx")


@pytest.mark.parametrize(("name", "works"), [("scalar", True), ("mmx", False), ("", True)])
def test_environment(name, works):
    code = "from tidegate.core import scan; print(scan.using())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TIDEGATE_SIMD": name, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == works
    assert (done.stdout.strip() == (name or IMPLEMENTATIONS[0])) if works else "there are: " in done.stderr


# --- Hypothesis: documents from pairs (so that keys repeat), written in many ways

KEYS = st.sampled_from(["a", "b", "0", "1", "type", "event_type", "", "a/b", "~", "é", "x"]) | st.text(max_size=6)
NUMBERS = st.integers().map(lambda i: Number(i)) | st.floats(allow_nan=False, allow_infinity=False).map(
    lambda f: Number(json.dumps(f))
)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=40)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(st.tuples(KEYS, inner), max_size=6).map(lambda p: ("object", p))
    ),
    max_leaves=24,
)


def write_string(text: str, rng: Random) -> str:
    whole = json.dumps(text, ensure_ascii=rng.random() < 0.4)
    if rng.random() < 0.3:
        whole = (
            '"'
            + "".join(
                f"\\u{ord(c):04x}"
                if ord(c) < 0x10000 and rng.random() < 0.3
                else json.dumps(c, ensure_ascii=False)[1:-1]
                for c in text
            )
            + '"'
        )
    return whole


def write(value: Any, rng: Random, blanks: list[str]) -> str:
    def blank() -> str:
        return rng.choice(blanks)

    match value:
        case Number():
            text = str(value)
        case str():
            text = write_string(value, rng)
        case ("object", pairs):
            items = [f"{blank()}{write_string(k, rng)}{blank()}:{write(v, rng, blanks)}" for k, v in pairs]
            text = "{" + ",".join(items) + blank() + "}"
        case list():
            text = "[" + ",".join(write(v, rng, blanks) for v in value) + blank() + "]"
        case _:
            text = json.dumps(value)
    return blank() + text + blank()


@st.composite
def documents(draw) -> bytes:
    rng = draw(st.randoms(use_true_random=False))
    blanks = draw(st.sampled_from([[""], ["", "", "", " "], ["", " ", "\n", "\r\n", "\t", "        "]]))
    value = draw(VALUES)
    if draw(st.booleans()):
        value = ("object", [("filler", "x" * draw(st.integers(0, 80))), ("a", value), ("type", draw(VALUES))])
    text = write(value, rng, blanks)
    return draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf"])) + text.encode("utf-8", "replace")


SETTINGS = settings(max_examples=200, deadline=None)


@SETTINGS
@given(documents())
def test_any_document(doc):
    assert check(doc)


BYTES = st.sampled_from(list(b'"\\{}[]::,, \n\t01-.eEtfnu\x80\xbf\xc3\xe2\xed\xf0\xf4\xff\x01\x7f/_')) | st.integers(
    0, 255
)
CHANGES = st.lists(st.tuples(st.sampled_from("fidt"), st.integers(0, 10**6), BYTES), min_size=1, max_size=3)


@SETTINGS
@given(documents() | st.just(COMPACT) | st.just(json.dumps(EVENT).encode()), CHANGES)
@example(COMPACT, [("d", 0, 0)])
def test_mutated_document(doc, changes):
    data = bytearray(doc)
    for how, at, byte in changes:
        at %= len(data) or 1
        if how == "f" and data:
            data[at] = byte
        elif how == "i":
            data.insert(at, byte)
        elif how == "d":
            del data[at : at + 1]
        elif byte % 4 == 0:
            del data[at:]
    doc = bytes(data)
    check(doc)
    if SCANNER.scan(doc, grammar=True)[0] == "ok":
        assert SCANNER.scan(doc)[0] == "ok"


@SETTINGS
@given(st.binary(max_size=200))
def test_any_bytes(doc):
    check(doc)


@SETTINGS
@given(st.text(max_size=120))
def test_any_text_in_a_string(text):
    raw = json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")
    check(b'{"filler":"0123456789012345678901234567890123456789012345678901234567","type":' + raw + b"}")
