"""Notes of the reader as log lines: levels, and no storm while a broker is away."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.notes import QUIET_SECONDS, NoteLog


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.lines.append((level, event, fields))


@pytest.mark.parametrize(
    ("note", "level"),
    [
        (("error", -195, 0, "refused"), "warning"),
        (("fatal", -150, 0, "fenced"), "error"),
        (("assigned", 3, 0, "orders/0,1,2"), "info"),
        (("revoked", 3, 0, "orders/0,1,2"), "info"),
        (("lost", 3, 0, "orders/0,1,2"), "warning"),
        (("halted", 0, 17, "too large"), "error"),
        (("reset", 0, 12, "deleted"), "error"),
        (("start", 4, 0, "expired"), "warning"),
        (("start", 6, 0, "added"), "info"),
        (("log", 3, 0, "MAXPOLL: exceeded"), "error"),
        (("log", 7, 0, "x: y"), "debug"),
    ],
)
def test_each_kind_has_its_level(note: tuple[str, int, int, str], level: str) -> None:
    log = Log()
    NoteLog(log).write([note])
    assert [line[0] for line in log.lines] == [level]


def test_what_repeats_is_counted_instead() -> None:
    log, now = Log(), 100.0
    notes = NoteLog(log, lambda: now)
    notes.write([("error", -195, 0, "refused")] * 50 + [("error", -187, 0, "all down")])
    assert len(log.lines) == 2
    now += QUIET_SECONDS
    notes.write([("error", -195, 0, "refused")])
    assert log.lines[-1][2]["repeated"] == 49


def test_what_the_client_says_twice_is_logged_once() -> None:
    log = Log()
    NoteLog(log).write([("log", 3, 0, "FAIL: connection refused"), ("error", -195, 0, "connection refused")])
    assert len(log.lines) == 1
