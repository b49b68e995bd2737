"""Logs: one line each, masked, never blocking. Real pipes and a real terminal throughout."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from tidegate.ops.logs import LineWriter, configure

SECRET = 'ge"heim\\ä-1618'


class Pipe:
    """A pipe that is read only when asked."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def text(self) -> str:
        """All that was written; closes the writing end."""
        os.close(self.writer)
        self.writer = -1
        parts = []
        while part := os.read(self.reader, 1 << 20):
            parts.append(part)
        return b"".join(parts).decode()

    def close(self) -> None:
        for fd in (self.reader, self.writer):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    made = Pipe()
    yield made
    made.close()
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def logged(pipe: Pipe, act: Callable[[], None], **options: Any) -> list[dict[str, Any]]:
    writer = configure(fd=pipe.writer, **options)
    act()
    writer.close()
    return [json.loads(line) for line in pipe.text().splitlines()]


def test_json_lines_where_there_is_no_terminal(pipe: Pipe) -> None:
    (line,) = logged(pipe, lambda: structlog.get_logger("tidegate.sidecar").info("started", lanes=3, topic="a\nb"))
    assert line.pop("time").endswith("Z")
    assert line == {"event": "started", "level": "info", "logger": "tidegate.sidecar", "lanes": 3, "topic": "a\nb"}


@pytest.mark.parametrize("no_color", ["", "1"])
def test_console_on_a_terminal(monkeypatch: pytest.MonkeyPatch, no_color: str) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    ours, theirs = pty.openpty()
    writer = configure(fd=theirs)
    structlog.get_logger("tidegate").warning("target is down", reason="connect-refused")
    writer.close()
    text = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    structlog.reset_defaults()
    assert "target is down" in text
    assert ("\x1b" in text) == (not no_color)
    assert re.match(r"(\x1b\[\w+)?\d\d:\d\d:\d\d", text), "the time comes first"


def test_help_stands_below_its_event_on_a_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    ours, theirs = pty.openpty()
    writer = configure(fd=theirs, secrets=["geheim"])
    command = "kafka-acls.sh --add " + "--operation Read " * 10
    hint = f"{'Words for people. ' * 9}geheim\n{command.strip()}"
    structlog.get_logger("tidegate").warning("no right", code="denied", detail="as Kafka says it", hint=hint)
    writer.close()
    head, *below = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    os.close(theirs)
    structlog.reset_defaults()
    assert head.endswith("no right [tidegate] code=denied")
    assert below[-2:] == [f"    {command.strip()}", "    (as Kafka says it)"], "a command is pasted, so it stays whole"
    assert all(line.startswith("    Words") or "people" in line for line in below[:-2])
    assert max(map(len, below[:-2])) <= 80
    assert "geheim" not in "".join(below)


def test_the_level_counts_for_ours_and_for_libraries(pipe: Pipe) -> None:
    def act() -> None:
        log = structlog.get_logger("tidegate")
        log.info("no")
        log.error("yes")
        logging.getLogger("aiohttp.client").info("no")
        logging.getLogger("aiohttp.client").warning("yes, %s", "too")

    lines = logged(pipe, act, level="warning")
    assert [(line["logger"], line["event"]) for line in lines] == [("tidegate", "yes"), ("aiohttp.client", "yes, too")]


def test_loggers_made_before_configuring_obey_it(pipe: Pipe) -> None:
    early = structlog.get_logger("early")
    (line,) = logged(pipe, lambda: early.info("hello"))
    assert (line["logger"], line["event"]) == ("early", "hello")


def test_exceptions_are_one_line_without_local_variables(pipe: Pipe) -> None:
    def fail() -> None:
        local_secret = "local" + "-value"
        raise ValueError(f"no {len(local_secret)}")

    def act() -> None:
        for log in (structlog.get_logger("a"), logging.getLogger("b")):
            try:
                fail()
            except ValueError:
                log.exception("it broke")

    first, second = logged(pipe, act)
    for line in (first, second):
        assert line["event"] == "it broke"
        assert line["level"] == "error"
        assert "ValueError: no 11" in line["exception"]
        assert "local-value" not in line["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_masked_wherever_they_stand(pipe: Pipe, form: str) -> None:
    writer = configure(form=form, secrets=[SECRET, ""], fd=pipe.writer)  # type: ignore[arg-type]
    log = structlog.get_logger("tidegate")
    log.info(f"sasl.password={SECRET}", detail=SECRET, listed=[{"x": SECRET}])
    try:
        raise RuntimeError(SECRET)
    except RuntimeError:
        log.exception("failed")
    logging.getLogger("library").warning("with %s", SECRET)
    writer.close()
    text = pipe.text()
    for shape in (SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1], "heim", "1618"):
        assert shape not in text
    assert text.count("***") >= 5


def test_a_reader_that_stands_still_blocks_nobody_and_loses_counted_lines(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer, max_lines=100)
    begun = time.monotonic()
    for i in range(3000):
        writer.put(f"{i} " + "x" * 1000)  # 3 MB into a pipe of 64 KiB that nobody reads
    assert time.monotonic() - begun < 2, "put waited for the reader"
    assert writer.dropped > 2000
    assert not writer.flush(0.01)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(_drain(pipe.reader)))
    reader.start()
    assert writer.flush(5), "it goes on once the reader does"
    writer.put("last")
    writer.close()
    os.close(pipe.writer)
    pipe.writer = -1
    reader.join(5)
    lines = received[0].splitlines()
    told = [json.loads(line)["lines"] for line in lines if line.startswith("{")]
    assert sum(told) == writer.dropped
    assert len(lines) - len(told) == 3001 - writer.dropped
    assert lines[0].startswith("0 ")


def test_the_bound_is_in_bytes_as_well(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer, max_bytes=10_000)
    writer.put("x" * 20_000)
    assert writer.dropped == 1
    writer.put("fits")
    writer.close()
    assert "fits\n" in pipe.text()


def test_closing_ends_though_nobody_reads(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)
    writer.put("x" * 200_000)
    begun = time.monotonic()
    writer.close(seconds=0.05)
    assert time.monotonic() - begun < 2
    writer.put("late")
    assert writer.dropped == 1


def test_a_reader_that_is_gone_is_survived(pipe: Pipe) -> None:
    os.close(pipe.reader)
    pipe.reader = -1
    writer = LineWriter(pipe.writer)
    writer.put("nobody hears it")
    assert writer.flush(2)
    writer.put("nor this")
    assert writer.flush(2)


def test_a_descriptor_that_was_made_nonblocking_still_gets_everything(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    writer = LineWriter(pipe.writer)
    writer.put("x" * 300_000)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(_drain(pipe.reader)))
    reader.start()
    assert writer.flush(5)
    os.close(pipe.writer)
    pipe.writer = -1
    reader.join(5)
    assert len(received[0]) == 300_001


def _drain(fd: int) -> str:
    parts = []
    while part := os.read(fd, 1 << 16):
        parts.append(part)
    return b"".join(parts).decode()
