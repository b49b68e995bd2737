"""The engine of ``tidegate validate --samples``: sample events in, what the rules say of each out."""

from __future__ import annotations

import base64
import binascii
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
            hint='Write one object a line: {"topic":"t","key":null,"headers":{},"value":"…"} or "value_base64".',
        )
        self.line = line


class _Sample(NamedTuple):
    topic: str
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    value: bytes | None


def validate_samples(lines: Iterable[bytes], table: RuleTable, *, as_lines: bool = True) -> Iterator[bytes]:
    r"""Judges sample events.

    Args:
        lines: JSON objects, one a line, with or without line ends; blank lines are skipped. ``topic`` is needed.
            ``key`` and ``value`` are strings or null, null and absent being alike; ``value_base64`` stands in for
            a value that is not text. ``headers`` is an object of strings (or null). Other names are ignored.
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
            yield _answer(table.classify(*_sample(number, text), as_line=as_lines))


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


def _sample(line: int, text: bytes) -> _Sample:
    try:
        sample = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SampleError(line, f"not JSON: {error}") from None
    if not isinstance(sample, dict):
        raise SampleError(line, "not an object")
    topic = sample.get("topic")
    if not isinstance(topic, str):
        raise SampleError(line, '"topic" is not a string' if "topic" in sample else '"topic" is missing')
    return _Sample(topic, _bytes(line, sample, "key"), _headers(line, sample.get("headers")), _value(line, sample))


def _bytes(line: int, sample: dict[str, Any], name: str) -> bytes | None:
    content = sample.get(name)
    if content is None:
        return None
    if not isinstance(content, str):
        raise SampleError(line, f'"{name}" is not a string')
    return content.encode()


def _headers(line: int, headers: object) -> list[tuple[str, bytes | None]]:
    if headers is None:
        return []
    if not isinstance(headers, dict):
        raise SampleError(line, '"headers" is not an object')
    for name, value in headers.items():
        if not isinstance(value, str | None):
            raise SampleError(line, f"header {name!r} is not a string")
    return [(name, None if value is None else value.encode()) for name, value in headers.items()]


def _value(line: int, sample: dict[str, Any]) -> bytes | None:
    encoded = _bytes(line, sample, "value_base64")
    if encoded is None:
        return _bytes(line, sample, "value")
    if sample.get("value") is not None:
        raise SampleError(line, '"value" and "value_base64" are both given')
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise SampleError(line, f'"value_base64" is not base64: {error}') from None
