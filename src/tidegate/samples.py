"""Sample events as lines of JSON: ``tidegate sample`` writes them, and ``tidegate validate --samples`` judges them.

What is UTF-8 stands there as text. What is not is base64: in ``key_base64`` and ``value_base64``, and among headers as
``{"base64":"…"}``. Headers are an object where each has a name of its own, else a list of pairs: Kafka lets a name
stand twice, and keeps the order.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from tidegate.core.rules import RuleTable, Verdict
from tidegate.errors import TidegateError
from tidegate.types import CLASS_LABELS

_BOM = b"\xef\xbb\xbf"


class SampleError(TidegateError):
    """A line of a sample file is not a sample event.

    Attributes:
        line: its number, from 1.
    """

    default_code = "sample"
    exit_code = 2  # as for samples that cannot be read: the input is wrong, not the run

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(
            f"Line {line} of the samples: {problem}",
            hint='Write one object a line, as `tidegate sample` does: {"topic":"t","key":"k","headers":{},"value":"…"}',
        )
        self.line = line


class Sample(NamedTuple):
    """An event as the rules see it. Of header names, bytes that are not UTF-8 stand as ``surrogateescape`` has them."""

    topic: str
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    value: bytes | None


def validate_samples(lines: Iterable[bytes], table: RuleTable, *, as_lines: bool = True) -> Iterator[bytes]:
    r"""Judges sample events.

    Args:
        lines: JSON objects, one a line, with or without line ends; blank lines are skipped. ``topic`` is needed.
            ``key`` and ``value`` are strings or null, null and absent being alike; ``key_base64`` and
            ``value_base64`` stand in for what is not text. ``headers`` is an object, or a list of pairs, of names
            and strings, null or ``{"base64":"…"}``. Other names are ignored.
        table: the rules.
        as_lines: the class as events get it that travel as lines (``TIDEGATE_FORMAT=ndjson``): there a payload with
            a NaN is still looked into, where in an array it is not. ``valid`` is the whole grammar either way.

    Yields:
        for each line, in order, ``{"class":…,"type":…,"where":…,"rule":…,"valid":…}`` without a line end. An
        absent or empty value is valid: it is delivered as ``null``.

    Raises:
        SampleError: a line is something else, when its turn comes.
    """
    for number, line in enumerate(lines, start=1):
        text = (line.removeprefix(_BOM) if number == 1 else line).strip()
        if text:
            yield _answer(table.classify(*read_sample(number, text), as_line=as_lines))


def write_sample(sample: Sample, **more: object) -> bytes:
    """The line of an event, without a line end; `read_sample` makes the same event of it.

    Args:
        more: what else shall stand in it, and is not read: where the event comes from.
    """
    content: dict[str, object] = {"topic": sample.topic, **more}
    for name, data in (("key", sample.key), ("value", sample.value)):
        text = _text(data)
        # A key stands before the headers and the value behind them, as people look at events.
        if name == "value":
            content["headers"] = _written_headers(sample.headers)
        if isinstance(text, dict):
            content[f"{name}_base64"] = text["base64"]
        else:
            content[name] = text
    return orjson.dumps(content)


def _written_headers(headers: list[tuple[str, bytes | None]]) -> object:
    pairs = [(_text(name.encode("utf-8", "surrogateescape")), _text(data)) for name, data in headers]
    names = [name for name, _ in pairs if isinstance(name, str)]
    if len(set(names)) == len(pairs):
        return dict(pairs)
    return pairs


def _text(data: bytes | None) -> str | dict[str, str] | None:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _answer(verdict: Verdict) -> bytes:
    answer = {
        "class": CLASS_LABELS[verdict.klass],
        "type": verdict.type,
        "where": verdict.where,
        "rule": verdict.rule,
        "valid": verdict.valid,
    }
    try:
        return orjson.dumps(answer)
    except orjson.JSONEncodeError:
        # A lone surrogate cannot be UTF-8, but as an escape it is JSON, and is what the event has.
        return json.dumps(answer, separators=(",", ":")).encode()


def read_sample(line: int, text: bytes) -> Sample:
    """The event of a line, whose number from 1 an error names.

    Raises:
        SampleError: it is none.
    """
    try:
        sample = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SampleError(line, f"not JSON: {error}") from None
    if not isinstance(sample, dict):
        raise SampleError(line, "not an object")
    topic = sample.get("topic")
    if not isinstance(topic, str):
        raise SampleError(line, '"topic" is not a string' if "topic" in sample else '"topic" is missing')
    headers = _headers(line, sample.get("headers"))
    return Sample(topic, _either(line, sample, "key"), headers, _either(line, sample, "value"))


def _either(line: int, sample: dict[str, Any], name: str) -> bytes | None:
    """What stands there as text or as base64."""
    coded = f"{name}_base64"
    for one in (name, coded):
        if not isinstance(sample.get(one), str | None):
            raise SampleError(line, f'"{one}" is not a string')
    if sample.get(coded) is None:
        text = sample.get(name)
        return None if text is None else text.encode()
    if sample.get(name) is not None:
        raise SampleError(line, f'"{name}" and "{coded}" are both given')
    return _decoded(line, f'"{coded}"', sample[coded])


def _headers(line: int, headers: object) -> list[tuple[str, bytes | None]]:
    if headers is None:
        return []
    if isinstance(headers, dict):
        headers = [*headers.items()]
    elif not isinstance(headers, list):
        raise SampleError(line, '"headers" is not an object, nor a list')
    for entry in headers:
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise SampleError(line, '"headers" holds what is not a pair of a name and a value')
    return [(_name(line, name), _header(line, f"header {name!r}", value)) for name, value in headers]


def _name(line: int, name: object) -> str:
    data = _header(line, "a header's name", name)
    if data is None:
        raise SampleError(line, "a header has no name")
    return data.decode("utf-8", "surrogateescape")


def _header(line: int, what: str, value: object) -> bytes | None:
    if isinstance(value, dict) and list(value) == ["base64"] and isinstance(value["base64"], str):
        return _decoded(line, what, value["base64"])
    if not isinstance(value, str | None):
        raise SampleError(line, f"{what} is not a string")
    return None if value is None else value.encode()


def _decoded(line: int, what: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error, or a character beyond ASCII
        raise SampleError(line, f"{what} is not base64: {error}") from None
