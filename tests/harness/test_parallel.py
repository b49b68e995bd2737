"""Jobs side by side: what fails is named, and what stands still is shown where it stands."""

from __future__ import annotations

import threading

import pytest

from harness.parallel import side_by_side


def test_all_of_them_run_at_once() -> None:
    meeting = threading.Barrier(3, timeout=10)
    side_by_side([(str(n), meeting.wait) for n in range(3)])


def test_each_that_fails_is_named() -> None:
    def fail() -> None:
        raise ValueError("no good")

    with pytest.raises(AssertionError, match=r"2 of 3 failed\n== a: ValueError: no good\n== c: ValueError: no good"):
        side_by_side([("a", fail), ("b", lambda: None), ("c", fail)])


def test_one_that_stands_still_is_shown_and_left_behind() -> None:
    never = threading.Event()
    try:
        with pytest.raises(AssertionError, match=r"== stuck: still runs after 0.2 s(?s:.*)never\.wait\(\)"):
            side_by_side([("well", lambda: None), ("stuck", lambda: never.wait())], timeout=0.2)
    finally:
        never.set()
