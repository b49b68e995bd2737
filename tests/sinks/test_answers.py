"""Retry-After in its forms (RFC 9110, 10.2.3 and 5.6.7), and exceptions that are nobody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.sinks.answers import from_exception, from_status, parse_retry_after
from tidegate.sinks.base import Kind

NOW = datetime(1994, 11, 6, 8, 49, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["IMF-fixdate", "RFC 850", "asctime"],
)
def test_the_three_formats_of_a_date(text: str) -> None:
    assert parse_retry_after(text, NOW) == 7.0
    assert parse_retry_after(f"  {text} ", NOW) == 7.0
    assert parse_retry_after(text, NOW + 8) is None  # past
    assert parse_retry_after(text, NOW - 1000) == 60.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("1", 1.0), (" 30 ", 30.0), ("60", 60.0), ("61", 60.0), ("9" * 5000, 60.0), ("007", 7.0)],
)
def test_seconds(text: str, seconds: float) -> None:
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\x00", "-1", "+1", "1.5", "1e3", "0x10", "inf", "nan", "٣", "5 s", "5,6", "soon", "GMT"),
        *("Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT"),
        *("Sun, 06 Nov 1994 25:61:61 GMT", "Sun, 06 Nov 999999 08:49:37 GMT"),
    ],
)
def test_nonsense(text: str) -> None:
    assert parse_retry_after(text, NOW) is None


def test_no_header() -> None:
    assert parse_retry_after(None, NOW) is None


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= 60


@given(st.integers(1, 59), st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1)))
def test_any_date_ahead(seconds: int, moment: datetime) -> None:
    now = moment.replace(microsecond=0, tzinfo=UTC)
    text = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(text, now.timestamp()) == seconds


@given(st.integers(0, 999), st.none() | st.text())
def test_every_status_means_something(status: int, retry_after: str | None) -> None:
    outcome = from_status(status, retry_after, NOW)
    assert (outcome.kind is Kind.ACK) == (200 <= status < 300)
    assert (outcome.kind is Kind.SLOW) == (status in (429, 503))
    assert outcome.retry_after is None or outcome.kind is Kind.SLOW


def test_an_unforeseen_exception_is_an_outcome() -> None:
    outcome = from_exception(ZeroDivisionError("canary"))
    assert (outcome.kind, outcome.reason, outcome.detail) == (Kind.DOWN, "sink-fault", "ZeroDivisionError")
