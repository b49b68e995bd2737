"""What is shown while the demo runs: on a terminal, and without one."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tidegate.demo.gauge import Pulse
from tidegate.demo.history import History, Moment, Plain
from tidegate.demo.lines import Lines
from tidegate.demo.live import LINES, Live
from tidegate.demo.plan import Plan
from tidegate.ops.metrics import HOLDS
from tidegate.pressure.orders import Rung
from tidegate.types import CLASSES

PLAN = Plan(45, 300, 10)
LATE = 599_000.0
# No more than the embedded broker can hold.
BIG = Moment(
    at=12.0,
    offered=(1234.0, 2345.0, 19_999.0, 71_234.0),
    delivered=(1234.0, 2345.0, 19_999.0, 71_234.0),
    p50_ms=(LATE,) * 4,
    p99_ms=(LATE,) * 4,
    buffered=(123_456,) * 4,
    in_flight=(4000,) * 4,
    waiting=640_000,
    parked=587_654,
    rung=Rung.DEFER,
    plain=Plain(640_000, LATE, LATE),
)
CALM = replace(
    BIG,
    at=3.0,
    offered=(4.0, 11.0, 90.0, 195.0),
    delivered=(4.0, 11.0, 90.0, 195.0),
    p50_ms=(None,) * 4,
    p99_ms=(None,) * 4,
    buffered=(0,) * 4,
    in_flight=(0,) * 4,
    waiting=3,
    parked=0,
    rung=Rung.NORMAL,
    plain=Plain(0, 12.0, 14.0),
)


def pulse(rung: Rung, **more: Any) -> Pulse:
    return Pulse(
        **{"rung": rung, "parked": 9, "offered": (1.0,) * 4, "service": 9.0, "keep": (1, 0.9, 0.4, 0.0)} | more
    )


def screen(moments: list[Moment], seen: Pulse | None, *, encoding: str = "utf-8", beside: bool = True) -> list[str]:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding)
    console = Console(file=out, force_terminal=True, width=80, height=24, legacy_windows=False)
    live = Live(console, PLAN, beside=beside, capacity=1200)
    for moment in moments:
        picture = live.picture(moment, seen)
    plain = Console(file=out, width=80, height=24)
    plain.print(picture)
    out.flush()
    return raw.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("rung", Rung)
@pytest.mark.parametrize("reason", ["", *HOLDS])
@pytest.mark.parametrize("moment", [BIG, CALM], ids=["big", "calm"])
def test_the_picture_fits_a_terminal_of_80_by_24(rung: Rung, reason: str, moment: Moment) -> None:
    held = ((reason, "normal"),) if reason else ()
    lines = screen([CALM, moment], pulse(rung, held=held, busy=1.0, buffered=moment.buffered))
    assert len(lines) <= LINES < 24
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    for word in (
        "critical",
        "purchases",
        "bulk",
        "tidegate",
        "plain loop",
        rung.name,
        "held",
        "parked",
        "in the topic",
    ):
        assert word in text
    if reason:
        assert reason not in text or " " not in reason, "said in words, not by its name in the metrics"


def test_what_is_let_in_is_said_with_its_numbers() -> None:
    text = "\n".join(screen([BIG], pulse(Rung.DEFER)))
    assert "lets in 0% page views, 40% products, 90% checkouts; the rest is parked" in text
    assert "room for everything again" in "\n".join(screen([BIG], pulse(Rung.DEFER, keep=(1.0,) * 4)))
    assert "what was parked comes back" in "\n".join(screen([BIG], pulse(Rung.NORMAL)))
    assert "not said anything yet" in "\n".join(screen([CALM], None))


def test_a_terminal_without_unicode_gets_a_picture_all_the_same() -> None:
    lines = screen([CALM, BIG], pulse(Rung.DEFER), encoding="ascii")
    assert any("####" in line for line in lines)


def test_without_a_plain_loop_nothing_is_said_of_one() -> None:
    text = "\n".join(screen([replace(BIG, plain=None)], pulse(Rung.DEFER), beside=False))
    assert "plain" not in text


@pytest.mark.parametrize("beside", [True, False])
def test_lines_fit_eighty_columns(beside: bool) -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=80), PLAN, beside=beside)
    for at in range(40):
        moment = replace(BIG if at > 20 else CALM, at=at / 2, plain=BIG.plain if beside else None)
        lines.show(moment, pulse(Rung.DEFER) if at else None)
    lines.show(replace(BIG, at=20.1), None, last=True)
    shown = out.getvalue().splitlines()
    assert max(map(len, shown)) <= 80
    assert ("plain loop" in shown[0]) is beside
    assert 6 <= len(shown) <= 10
    assert "587,654" in shown[-2]
    assert shown[-1].split()[0] == "20"


def stats(*delivered: int) -> dict[str, Any]:
    ages = {"recent_ms": 5.0, "recent_p99_ms": 9.0}
    return {"classes": {k.label: {"delivered": n, **ages} for k, n in zip(CLASSES, delivered, strict=True)}}


def test_moments_are_half_a_second_apart_and_have_rates() -> None:
    history = History()
    assert history.add(0.4, (1, 0, 0, 0), stats(1, 0, 0, 0), None, None) is None
    first = history.add(0.5, (10, 0, 0, 20), stats(9, 0, 0, 5), None, stats(1, 0, 0, 1))
    assert first is not None
    assert first.offered == (20, 0, 0, 40)
    assert first.delivered == (18, 0, 0, 10)
    assert first.waiting == 16
    assert first.plain == Plain(28, 5.0, 9.0)
    second = history.add(1.5, (20, 0, 0, 20), stats(20, 0, 0, 18), pulse(Rung.HOLD, parked=500), None)
    assert second is not None
    assert second.offered == (10, 0, 0, 0)
    assert second.parked == 2, "no more than the shop has not seen"
    assert second.rung is Rung.HOLD
    assert history.moments == [first, second]
