"""Payloads that a careless sidecar would choke on, or let spoil their neighbours."""

from __future__ import annotations

from typing import NamedTuple


class Hostile(NamedTuple):
    """``form``: "valid" JSON of an unusual kind; "grammar": structure right, a literal or number wrong; "broken"."""

    form: str
    value: bytes | None


PAYLOADS: dict[str, Hostile] = {
    # nothing, and JSON that is no object
    "empty": Hostile("valid", b""),
    "tombstone": Hostile("valid", None),
    "null": Hostile("valid", b"null"),
    "number": Hostile("valid", b"-12.5e-3"),
    "string": Hostile("valid", b'"purchase"'),
    "array": Hostile("valid", b'[{"event_type":"purchase"},[]]'),
    "no-members": Hostile("valid", b"{}"),
    # valid, but easily mistaken
    "pretty": Hostile("valid", b'{\n  "event_type": "cart",\r\n\t"n": [\n1,\n2]\n}\n'),
    "escaped": Hostile("valid", b'{"\\u0065vent_type":"p\\u0075rchase","s":"\\"\\\\\\n\\ud83d\\ude00"}'),
    "lone-surrogate": Hostile("valid", b'{"s":"\\ud800"}'),
    "nested-type": Hostile("valid", b'{"a":{"event_type":"purchase"},"s":"\\"event_type\\":\\"purchase\\""}'),
    "twice": Hostile("valid", b'{"event_type":"view","event_type":"purchase"}'),
    "separators": Hostile("valid", '{"s":"\u2028\u2029\u0085\u007f\ufeff"}'.encode()),
    "large-number": Hostile("valid", b'{"n":1e999,"i":' + b"9" * 5000 + b"}"),
    "long-string": Hostile("valid", b'{"s":"' + b"y" * 100_000 + b'"}'),
    "many-members": Hostile("valid", b"{" + b",".join(b'"k%d":%d' % (i, i) for i in range(3000)) + b"}"),
    "depth-60": Hostile("valid", b'{"a":' * 60 + b"1" + b"}" * 60),
    # the structure is right, so that a line of its own is harmed at most
    "bad-literal": Hostile("grammar", b'{"event_type":"view","a":tru}'),
    "nan": Hostile("grammar", b'{"event_type":"view","a":NaN}'),
    "leading-zero": Hostile("grammar", b'{"event_type":"view","a":01}'),
    # broken in itself
    "blank": Hostile("broken", b" \t\n "),
    "binary": Hostile("broken", bytes(range(256))),
    "zero-bytes": Hostile("broken", bytes(64)),
    "confluent-avro": Hostile("broken", b"\x00\x00\x00\x00\x07\x0cABC123\x02"),
    "bad-utf8": Hostile("broken", b'{"event_type":"view","s":"\xff\xfe\xc0\xaf"}'),
    "utf8-surrogate": Hostile("broken", b'{"s":"\xed\xa0\x80"}'),
    "utf8-cut": Hostile("broken", b'{"s":"\xf0\x9f\x98'),
    "utf-16": Hostile("broken", '{"event_type":"view"}'.encode("utf-16")),
    "bom": Hostile("valid", b'\xef\xbb\xbf{"event_type":"view"}'),
    "cut": Hostile("broken", b'{"event_type":"view","a":[1,2'),
    "open-string": Hostile("broken", b'{"event_type":"view","s":"'),
    "backslash-end": Hostile("broken", b'{"event_type":"view","s":"\\'),
    "trailing-comma": Hostile("broken", b'{"event_type":"view",}'),
    "no-colon": Hostile("broken", b'{"event_type" "view"}'),
    "closes-too-much": Hostile("broken", b'{"event_type":"view"}]}'),
    "two-documents": Hostile("broken", b'{"event_type":"view"}{"event_type":"purchase"}'),
    "two-lines": Hostile("broken", b'{"event_type":"view"}\n{"event_type":"purchase"}\n'),
    "two-in-array": Hostile("broken", b'{"event_type":"view"},{"event_type":"purchase"}'),
    "newline-in-string": Hostile("broken", b'{"s":"a\nb"}'),
    "control-in-string": Hostile("broken", b'{"s":"a\x01b"}'),
    "smuggled-request": Hostile("broken", b"0\r\n\r\nPOST /evil HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
    "deep-arrays": Hostile("broken", b"[" * 100_000),
    "deep-objects": Hostile("broken", b'{"a":' * 50_000),
}
