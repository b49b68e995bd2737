"""How many requests at once after refusals, step by step."""

from __future__ import annotations

import pytest

from tidegate.pressure.refusals import CALM_SECONDS, FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, UNLIMITED, Refusals


def test_the_first_refusal_sets_a_limit_and_each_lowers_it_by_a_tenth() -> None:
    refusals = Refusals(0.0)
    assert refusals.most == UNLIMITED
    assert refusals.refused(10, 1.0)
    assert refusals.most == 9
    assert not refusals.refused(10, 1.0 + CALM_SECONDS / 2)
    assert refusals.most == 9
    assert refusals.refused(20, 1.0 + CALM_SECONDS)  # twenty were there before the limit was
    assert refusals.most == 8
    assert refusals.refused(2, 2.0)
    assert refusals.most == 1


def test_a_target_that_refuses_a_single_request_says_nothing_about_how_many() -> None:
    refusals = Refusals(0.0)
    refusals.refused(3, 1.0)
    assert refusals.refused(1, 2.0)
    assert refusals.most == UNLIMITED


def test_it_rises_by_one_per_pause_and_is_lifted_where_nobody_reaches_it() -> None:
    refusals, now = Refusals(0.0), 0.0
    refusals.refused(6, now)
    for expected in (6, 7, 8, UNLIMITED, UNLIMITED):
        refusals.window(7.0, now + FIRST_PAUSE_SECONDS / 2)
        now += FIRST_PAUSE_SECONDS
        refusals.window(7.0, now)
        assert refusals.most == expected


def test_where_one_more_is_refused_again_the_next_try_waits_twice_as_long() -> None:
    refusals, now = Refusals(0.0), 0.0
    refusals.refused(6, now)
    for pause in (FIRST_PAUSE_SECONDS, 2.0, 4.0, LAST_PAUSE_SECONDS, LAST_PAUSE_SECONDS):
        before = refusals.most
        refusals.window(99.0, now + pause - 0.01)
        assert refusals.most == before
        now += pause
        refusals.window(99.0, now)
        assert refusals.most == before + 1
        refusals.refused(6, now)


def test_what_is_refused_without_a_try_leaves_the_pause() -> None:
    refusals = Refusals(0.0)
    for now in (1.0, 2.0, 3.0):
        refusals.refused(50, now)
    refusals.window(99.0, 3.0 + FIRST_PAUSE_SECONDS)
    assert refusals.most == pytest.approx(37)


def test_clear() -> None:
    refusals = Refusals(0.0)
    refusals.refused(6, 0.0)
    refusals.clear()
    assert refusals.most == UNLIMITED
