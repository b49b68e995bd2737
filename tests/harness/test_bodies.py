"""The app's own reading of bodies: what is wrong is found, and put where it belongs."""

from __future__ import annotations

import pytest

from harness import hostile, identity
from harness.bodies import parse

NDJSON = "application/x-ndjson"


@pytest.mark.parametrize("name", hostile.PAYLOADS)
def test_the_payloads_are_of_the_form_that_they_are_said_to_be(name: str) -> None:
    """By the strictest reading: in an array, where nothing may be wrong."""
    form, value = hostile.PAYLOADS[name]
    value = (value or b"").removeprefix(b"\xef\xbb\xbf")  # a mark at the start is left out of a body
    parsed = parse({"Content-Type": "application/json", "X-Tidegate-Records": "1"}, b"[%b]" % (value or b"null"))
    assert (not parsed.errors) == (form == "valid")
    if form == "valid":
        assert parsed.ids == [identity.line(value)]


@pytest.mark.parametrize(
    ("kind", "body", "records", "complaint"),
    [
        (NDJSON, b'{"a":1}\n', 2, "X-Tidegate-Records"),
        ("application/json", b'[{"a":1},]', 1, "not JSON"),
        ("application/json", b'[{"a":1}]]', 1, "not JSON"),
        ("application/json", b'[{"a":1} {"b":1}]', 2, "not JSON"),
        ("application/json", b'[{"a":NaN}]', 1, "not JSON"),
        ("application/json", b'[{"a":"\xff"}]', 1, "not JSON"),
        ("application/json", b"[]", 0, "not JSON"),
        ("application/json", b"[" * 100_000, 1, "not JSON"),
        ("text/plain", b"x", 1, "content type"),
    ],
)
def test_a_body_that_breaks_the_contract_is_reported(kind: str, body: bytes, records: int, complaint: str) -> None:
    parsed = parse({"Content-Type": kind, "X-Tidegate-Records": str(records)}, body)
    assert complaint in "; ".join(parsed.errors)


@pytest.mark.parametrize(
    "line", [b"{", b'{"a":1}{"b":2}', b'{"a":tru}', b"NaN", b'"\xff"', b'{"a":01}', b"\xef\xbb\xbf{}", b"", b" "]
)
def test_a_line_that_is_not_json_is_named_and_its_neighbours_are_not(line: bytes) -> None:
    parsed = parse({"Content-Type": NDJSON, "X-Tidegate-Records": "3"}, b'{"a":1}\n' + line + b'\n{"b":1}\n')
    assert (parsed.invalid, parsed.errors) == ([1], [])
    assert parsed.ids[::2] == [identity.line(b'{"a":1}'), identity.line(b'{"b":1}')]
