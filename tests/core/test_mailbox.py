"""Mailbox: order, what waits for room, what is dropped and told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.mailbox import Mailbox

ROOM, WAITING = 512, 65536


@given(st.lists(st.one_of(st.integers(1, 1500), st.just("drain"), st.just("flush")), max_size=30))
def test_nothing_is_lost_and_the_order_stays(steps: list[int | str]) -> None:
    box, written, read = Mailbox(), 0, []
    for step in steps:
        if step == "drain":
            read += box.drain()
        elif step == "flush":
            box.test_flush()
        else:
            for number in range(written, written + int(step)):
                box.test_put("reset", number % 7, number, b"note %d" % number)
            written += int(step)
    while found := [*box.drain(), *(box.test_flush() or box.drain())]:
        read += found
    assert read == [("reset", number % 7, number, f"note {number}") for number in range(written)]
    assert box.dropped == 0


def test_what_does_not_fit_is_counted_and_told_once() -> None:
    box, surplus = Mailbox(), 3
    for number in range(ROOM + WAITING + surplus):
        box.test_put("start", 4, number, b"")
    read = box.drain()
    assert box.dropped == surplus
    assert read[-1] == ("log", 4, 0, "3 notes did not fit and are not told")
    assert [note[2] for note in read[:-1]] == list(range(ROOM))
    box.test_flush()
    assert [note[2] for note in box.drain()] == list(range(ROOM, 2 * ROOM))


def test_a_long_text_is_cut() -> None:
    box = Mailbox()
    box.test_put("log", 6, 0, b"x" * 500)
    assert box.drain() == [("log", 6, 0, "x" * 239)]
