"""The demo on a terminal: a picture that stands still, the story above it, and a terminal left as it was found."""

from __future__ import annotations

import time

import pytest

from .process import Demo, Terminal, needs_proc


@needs_proc
def test_on_a_terminal_it_is_one_still_picture_and_then_the_table(demos: list[Demo]) -> None:
    terminal = Terminal(demos, "--seconds", "10")
    try:
        text = terminal.read(lambda text: "sale x10" in text and "waits" in text)
        for word in ("purchases", "page views", "buffered", "tidegate", "plain loop", "How long the purchases"):
            assert word in text
        assert terminal.screen.cursor.hidden
        text = terminal.read(lambda text: "MiB." in text)
        assert "max age" in text
        assert "How long the purchases" not in text, "the picture is gone, the story stays"
        assert terminal.wait() == 0
        assert not terminal.screen.cursor.hidden
    finally:
        terminal.close()


@needs_proc
@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_on_a_terminal_leaves_it_as_it_was(demos: list[Demo], again: bool) -> None:
    terminal = Terminal(demos, "--seconds", "60")
    try:
        terminal.read(lambda text: "waits" in text)
        terminal.type(b"\x03")
        if again:
            time.sleep(0.05)
            terminal.type(b"\x03")
        terminal.wait()
        assert not terminal.screen.cursor.hidden
        assert "Traceback" not in terminal.text()
        assert ("max age" in terminal.text()) or again
    finally:
        terminal.close()
    assert terminal.demo.processes() == set()


@needs_proc
def test_a_narrow_terminal_gets_lines(demos: list[Demo]) -> None:
    terminal = Terminal(demos, "--seconds", "3", columns=60)
    try:
        assert terminal.wait() == 0
        text = terminal.text()
        assert "MiB." in text
        assert not terminal.screen.cursor.hidden
    finally:
        terminal.close()
