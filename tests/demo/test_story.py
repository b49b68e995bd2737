"""What the demo tells while it runs, and where it has that from."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
from rich.console import Console

from tidegate.demo.children import Child
from tidegate.demo.gauge import Pulse, read
from tidegate.demo.story import Progress, rung_line
from tidegate.pressure.orders import Rung
from tidegate.types import CLASSES

METRICS = """# HELP tidegate_ladder_rung What pressure makes of the stream
# TYPE tidegate_ladder_rung gauge
tidegate_ladder_rung 1.0
tidegate_parked_records 4321.0
tidegate_offered_records_per_second{class="critical"} 90.5
tidegate_offered_records_per_second{class="bulk"} 1800.5
tidegate_service_records_per_second 912.25
tidegate_keep_share{class="critical"} 1.0
tidegate_keep_share{class="high"} 1.0
tidegate_keep_share{class="normal"} 0.4
tidegate_keep_share{class="bulk"} 0.0
tidegate_records_total{class="bulk",disposition="deferred",topic="shop.events"} 5.0
"""


def pulse(rung: Rung, parked: int = 0, **more: Any) -> Pulse:
    return Pulse(
        **{"rung": rung, "parked": parked, "offered": 2996.4, "service": 912.2, "keep": (1, 1, 0.4, 0.0)} | more
    )


@pytest.fixture
def shown() -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress(Console(file=out, width=80)), out


def stats(milliseconds: float) -> dict[str, Any]:
    return {"classes": {klass.label: {"recent_ms": milliseconds} for klass in CLASSES}}


@pytest.mark.parametrize("parked", [None, 98_765])
def test_progress_fits_eighty_columns(shown: tuple[Progress, io.StringIO], parked: int | None) -> None:
    progress, out = shown
    progress.pulse(None if parked is None else pulse(Rung.NORMAL, parked))
    progress.line(30.0, "surge x10", (3000.4, 801.0), 123_456, stats(99_000.0))
    progress.line(300.0, "surge x100", (30_000.4, 801.0), 123_456, stats(599_000.0))
    text = out.getvalue()
    assert "3,000" in text
    assert "123,456" in text
    assert ("98,765" if parked else "-") in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_no_more_is_said_to_be_parked_than_the_shop_has_not_seen(shown: tuple[Progress, io.StringIO]) -> None:
    progress, out = shown
    progress.pulse(pulse(Rung.NORMAL, 500))
    progress.line(30.0, "calm", (300.0, 801.0), 123, stats(1.0))
    assert out.getvalue().splitlines()[-1].split()[5:7] == ["123", "123"]


@pytest.mark.parametrize("rung", Rung)
@pytest.mark.parametrize("parked", [0, 4321, 987_654])
@pytest.mark.parametrize("offered", [3000.0, 123_456.0])
@pytest.mark.parametrize("keep", [(1.0,) * 4, (1.0, 1.0, 1.0, 0.2), (1.0, 0.0, 0.0, 0.0)])
def test_each_rung_is_one_line(rung: Rung, parked: int, offered: float, keep: tuple[float, ...]) -> None:
    line = rung_line(pulse(rung, parked, offered=offered, service=offered / 3, keep=keep))
    assert line.startswith(f"rung {rung.name}: ")
    assert len(line) <= 80


def test_a_rung_is_told_with_its_numbers() -> None:
    assert rung_line(pulse(Rung.DEFER)) == ("rung DEFER: 2,996/s come, the shop takes 912: page views, products parked")
    assert "takes" not in rung_line(pulse(Rung.DEFER, service=None))
    assert "4,321 parked events come back" in rung_line(pulse(Rung.NORMAL, 4321))
    assert "nothing is parked" in rung_line(pulse(Rung.NORMAL))


def test_a_line_for_each_change_and_one_when_all_came_back(shown: tuple[Progress, io.StringIO]) -> None:
    progress, out = shown
    for rung, parked in [(0, 0), (1, 0), (1, 70), (1, 90), (0, 90), (0, 40), (0, 0), (0, 0), (1, 0), (1, 5)]:
        progress.pulse(pulse(Rung(rung), parked))
    progress.pulse(None)
    assert [line.split(":")[0] for line in out.getvalue().splitlines()] == [
        *("rung DEFER", "rung NORMAL", "replay", "rung DEFER")
    ]
    assert "the last of 90 parked" in out.getvalue()
    progress.emptied()  # all is delivered, whatever the last look said
    assert "the last of 5 parked" in out.getvalue()
    progress.emptied()
    assert out.getvalue().count("the last of 5") == 1


def test_a_pulse_is_read_from_the_metrics() -> None:
    assert read(METRICS) == Pulse(Rung.DEFER, 4321, 1891.0, 912.25, (1.0, 1.0, 0.4, 0.0))
    with pytest.raises(KeyError):
        read("up 1\n")


def test_the_log_is_looked_into_without_disturbing_it() -> None:
    child = Child("a test", ["tidegate", "demo", "--seconds", "nonsense"])
    try:
        deadline = time.monotonic() + 20
        while (found := child.logged(re.compile("Invalid value"))) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert found[0] == "Invalid value"
        assert child.logged(re.compile("never written")) is None
        with pytest.raises(Exception, match="Invalid value"):
            raise child.failure("it failed")
    finally:
        child.close()
