"""What the demo tells while it runs, and where it has that from."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tidegate.demo.children import Child
from tidegate.demo.gauge import Pulse, read
from tidegate.demo.story import Story, rung_line
from tidegate.pressure.orders import Rung

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
tidegate_records_total{class="bulk",disposition="delivered",topic="shop.events"} 10.0
tidegate_records_total{class="bulk",disposition="delivered",topic="tidegate.g.parked"} 2.0
tidegate_buffer_records{class="bulk"} 9.0
tidegate_buffer_records{class="high"} 7.0
tidegate_lanes_held{reason="ring",class="bulk"} 1.0
tidegate_delivery_seconds_bucket{class="bulk",le="0.1"} 2.0
tidegate_delivery_seconds_bucket{class="bulk",le="1.0"} 4.0
tidegate_delivery_seconds_bucket{class="bulk",le="+Inf"} 4.0
"""


def pulse(rung: Rung, parked: int = 0, **more: Any) -> Pulse:
    return Pulse(
        **{"rung": rung, "parked": parked, "offered": (96.4, 0, 900, 2000), "service": 912.2, "keep": (1, 1, 0.4, 0.0)}
        | more
    )


@pytest.mark.parametrize("rung", Rung)
@pytest.mark.parametrize("parked", [0, 4321, 987_654])
@pytest.mark.parametrize("offered", [3000.0, 123_456.0])
@pytest.mark.parametrize("keep", [(1.0,) * 4, (1.0, 1.0, 1.0, 0.2), (1.0, 0.0, 0.0, 0.0)])
def test_each_rung_is_one_line(rung: Rung, parked: int, offered: float, keep: tuple[float, ...]) -> None:
    line = rung_line(pulse(rung, parked, offered=(offered, 0, 0, 0), service=offered / 3, keep=keep))
    assert line.startswith(f"rung {rung.name}: ")
    assert len(line) <= 80


def test_a_rung_is_told_with_its_numbers() -> None:
    assert rung_line(pulse(Rung.DEFER)) == ("rung DEFER: 2,996/s come, the shop takes 912: page views, products parked")
    assert "takes" not in rung_line(pulse(Rung.DEFER, service=None))
    assert "4,321 parked events come back" in rung_line(pulse(Rung.NORMAL, 4321))
    assert "nothing is parked" in rung_line(pulse(Rung.NORMAL))


def test_a_line_for_each_change_and_one_when_all_came_back() -> None:
    story, told = Story(), []
    for rung, parked in [(0, 0), (1, 0), (1, 70), (1, 90), (0, 90), (0, 40), (0, 0), (0, 0), (1, 0), (1, 5)]:
        told += story.lines(pulse(Rung(rung), parked))
    told += story.lines(None)
    assert [line.split(":")[0] for line in told] == ["rung DEFER", "rung NORMAL", "replay", "rung DEFER"]
    assert "the last of 90 parked" in told[2]
    assert "the last of 5 parked" in story.emptied()[0]  # all is delivered, whatever the last look said
    assert story.emptied() == []


def test_a_pulse_is_read_from_the_metrics() -> None:
    seen = read(METRICS)
    assert (seen.rung, seen.parked, seen.service) == (Rung.DEFER, 4321, 912.25)
    assert seen.offered == (90.5, 0.0, 0.0, 1800.5)
    assert seen.keep == (1.0, 1.0, 0.4, 0.0)
    assert seen.buffered == (0, 7, 0, 9)
    assert seen.held == (("ring", "bulk"),)
    assert seen.delivered == (0, 0, 0, 12)
    assert seen.ages[3] == ((0.1, 2.0), (1.0, 4.0), (float("inf"), 4.0))
    assert seen.ages[0] == ()
    with pytest.raises(ValueError, match="no metrics of tidegate"):
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
