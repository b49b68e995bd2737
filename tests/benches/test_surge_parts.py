"""The surge benchmark measures what it says: its clockwork against plain models."""

from __future__ import annotations

import json
import shlex
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from benchmarks.e2e.events import DISTINCT
from benchmarks.surge import figures, lineup, payloads, picture, stage_c, turn
from benchmarks.surge.__main__ import compact
from benchmarks.surge.app import Shop, Work
from benchmarks.surge.notes import Notes
from benchmarks.surge.schedule import PHASES, Schedule
from benchmarks.surge.told import deferred_of, dropped_of, series_of
from benchmarks.surge.workers import Workers
from hypothesis import given
from hypothesis import strategies as st

SMALL = Schedule(warm=1, base=2, surge=4, base_rate=100, surge_rate=1000)
BEGIN = 1_800_000_000.0


# ── the stream ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.floats(-1, 12))
def test_every_event_that_is_due_by_then_and_no_other(seconds: float) -> None:
    due = SMALL.due(seconds)
    assert due == 0 or SMALL.due_at(due - 1) <= seconds + 1e-6
    assert SMALL.due_at(due) > seconds - 1e-6


def test_a_surge_has_the_rate_and_the_length_that_were_asked_for() -> None:
    by_phase = dict.fromkeys(PHASES, 0)
    for number in range(SMALL.before_calm + 100):
        by_phase[SMALL.phase(number)] += 1
    assert by_phase == {"warm": 100, "base": 200, "surge": 4000, "after": 100}
    assert SMALL.halved == (5, 6)


def test_an_event_says_its_number_type_and_time_to_the_app() -> None:
    pieces, types = payloads.pool()
    for number in (0, 7, DISTINCT + 7, payloads.PROBE):
        _, middle = pieces[number % DISTINCT]
        body = payloads.value(payloads.stamp(BEGIN + 0.25), middle, number)
        assert json.loads(body)["event_time"] == "2027-01-15T08:00:00.250Z"
        for framed in (body, b"[" + body + b"]", json.dumps({"value": body.decode()}).encode()):
            assert Shop(Workers(1, 1.0)).parse(framed) == [
                (number, payloads.TYPES.index(types[number % DISTINCT]), BEGIN + 0.25)
            ]


def test_nine_in_ten_are_views_and_three_in_a_hundred_purchases() -> None:
    _, types = payloads.pool()
    assert types.count("view") / DISTINCT == pytest.approx(0.87, abs=0.01)
    assert types.count("purchase") / DISTINCT == pytest.approx(0.03, abs=0.005)


# ── the app ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def by_small_steps(
    arrivals: list[tuple[int, int]], workers: int, service: int, halved: tuple[int, int]
) -> list[tuple[int, list[int]]]:
    """The queue in whole microseconds, a step at a time: (start, ends of events) by request. Work counts in halves."""
    jobs = [(at, [2 * service] * events) for at, events in arrivals]
    told: list[tuple[int, list[int]]] = [(0, []) for _ in jobs]
    at_work: list[int | None] = [None] * workers
    now, following = 0, 0
    while following < len(jobs) or any(job is not None for job in at_work):
        for worker in range(workers):
            while at_work[worker] is None and following < len(jobs) and jobs[following][0] <= now:
                told[following] = (now, [])
                at_work[worker] = following if jobs[following][1] else None
                following += 1
        for worker, job in enumerate(at_work):
            if job is not None:
                left = jobs[job][1]
                left[0] -= 1 if halved[0] <= now < halved[1] else 2
                if left[0] <= 0:
                    left.pop(0)
                    told[job][1].append(now + 1)
                    if not left:
                        at_work[worker] = None
        now += 1
    return told


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=12),
    st.integers(1, 4),
    st.integers(1, 6),
    st.tuples(st.integers(0, 60), st.integers(0, 30)),
)
def test_workers_do_what_a_queue_does_step_by_step(
    gaps: list[tuple[int, int]], count: int, service: int, halved: tuple[int, int]
) -> None:
    now, arrivals = 0, []
    for gap, events in gaps:
        now += gap
        arrivals.append((now, events))
    begin, end = halved[0], halved[0] + halved[1]
    workers = Workers(count, service, (begin, end))
    for (at, events), (start, ends) in zip(
        arrivals, by_small_steps(arrivals, count, service, (begin, end)), strict=True
    ):
        mine = workers.take(at, events)
        # The model knows only whole steps, so it is late by less than one.
        assert mine[0] == pytest.approx(start, abs=1)
        assert mine[1] == pytest.approx(ends, abs=1)


def test_half_speed_takes_twice_as_long_only_while_it_lasts() -> None:
    workers = Workers(1, 1.0, (2.0, 6.0))
    assert workers.take(0.0, 5) == (0.0, [1.0, 2.0, 4.0, 6.0, 7.0])


def test_the_app_counts_an_event_that_comes_twice_once() -> None:
    shop = Shop(Workers(1, 1.0))
    shop.limit = 1
    shop.counts["waiting"] = 2
    shop.done(Work([(0, 2, BEGIN), (1, 0, BEGIN)], BEGIN, [BEGIN + 1, BEGIN + 2], weight=4.0))
    shop.done(Work([(1, 0, BEGIN), (2, 2, BEGIN), (payloads.PROBE, 2, BEGIN)], BEGIN, [BEGIN + 3] * 3, replayed=True))
    assert shop.counts == {
        "requests": 0, "waiting": 0, "events": 4, "unique": 3,
        "duplicates": 1, "before": 1, "replayed": 1, "probes": 1, "unreadable": 0,
    }  # fmt: skip
    assert shop.weighted == [4.0, 0.0, 5.0]


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.floats(0, 100), min_size=1), st.sampled_from([0.01, 0.5, 0.99, 1.0]))
def test_a_quantile_has_its_share_at_or_below_it(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = figures.quantile(ordered, share)
    assert found in ordered
    assert sum(one <= found for one in ordered) >= share * len(ordered) - 1e-9
    assert sum(one < found for one in ordered) < share * len(ordered)


def played(without: set[int], ages: float = 0.1) -> tuple[Notes, dict[str, Any]]:
    """Notes of SMALL where everything came after `ages` seconds but some, and what the generator told."""
    _, types = payloads.pool()
    total, notes = SMALL.before_calm + 50, Notes()
    produced = {phase: dict.fromkeys(payloads.TYPES, 0) for phase in PHASES}
    for number in range(total):
        produced[SMALL.phase(number)][types[number % DISTINCT]] += 1
        if number not in without:
            at = BEGIN + SMALL.due_at(number)
            notes.event(number, payloads.TYPES.index(types[number % DISTINCT]), at, at, at + ages)
    return notes, {"total": total, "produced": produced}


def test_what_came_is_counted_by_type_and_phase() -> None:
    notes, made = played(set())
    notes.event(0, 2, BEGIN, BEGIN, BEGIN + 9)  # twice
    row = figures.of(notes, SMALL, BEGIN, made, dict.fromkeys(payloads.TYPES, 0), 4)
    assert row["delivered"] == row["produced"]
    assert sum(row["produced"].values()) == made["total"]
    assert sum(row["twice"].values()) == 1
    assert not any(row["missing"].values())
    for kind in payloads.TYPES:
        for phase in PHASES[1:]:
            if found := row["ages"][kind][phase]:
                assert found == {"n": made["produced"][phase][kind], "p50_ms": 100, "p99_ms": 100, "max_ms": 100}
    assert next(second for second, _ in row["purchases_p99_by_second"]) >= -3


def test_what_did_not_come_is_as_old_as_when_the_app_stopped() -> None:
    _, types = payloads.pool()
    absent = {number for number in range(300, 2300) if types[number % DISTINCT] == "purchase"}
    notes, made = played(absent)
    row = figures.of(notes, SMALL, BEGIN, made, dict.fromkeys(payloads.TYPES, 0), 4)
    assert row["missing"] == {"purchase": len(absent), "cart": 0, "view": 0}
    assert row["at_least"] == len(absent)
    stopped = SMALL.due_at(made["total"] - 1) + 0.1
    assert row["ages"]["purchase"]["surge"]["max_ms"] == pytest.approx(
        (stopped - SMALL.due_at(min(absent))) * 1e3, abs=1
    )
    assert row["ages"]["purchase"]["surge"]["n"] == made["produced"]["surge"]["purchase"]


def test_what_was_dropped_is_not_missing_and_has_no_age() -> None:
    _, types = payloads.pool()
    absent = {number for number in range(300, 2300) if types[number % DISTINCT] == "view"}
    notes, made = played(absent)
    row = figures.of(notes, SMALL, BEGIN, made, {"purchase": 0, "cart": 0, "view": len(absent)}, 4)
    assert not any(row["missing"].values())
    assert row["ages"]["view"]["surge"]["max_ms"] == 100


def test_utilisation_is_of_the_workers_time() -> None:
    notes = Notes()
    notes.request(0.0, 10.0, 1)
    notes.request(5.0, 30.0, 1)
    assert figures.busy_share(notes, 4, 0.0, 20.0) == pytest.approx(25 / 80)
    assert figures.busy_share(notes, 4, 5.0, 5.0) is None


def test_the_middle_turn_is_one_that_was() -> None:
    def turned(name: str, p99_ms: float | None) -> dict[str, Any]:
        return {"contender": name, "ages": {"purchase": {"surge": p99_ms and {"p99_ms": p99_ms}}}}

    failed = {"contender": "a", "error": "e"}
    rows = [turned("a", 3), turned("b", 1), failed, turned("a", None), turned("a", 2), {"contender": "c", "error": "e"}]
    assert figures.middle(rows) == [rows[0], rows[1], rows[5]]


def test_notes_come_back_as_they_were_written(tmp_path: Path) -> None:
    notes, _ = played({5})
    notes.request(1.0, 2.5, 3)
    notes.write(tmp_path / "notes")
    again = Notes.read(tmp_path / "notes")
    for name in ("number", "kind", "time", "arrival", "end", "start", "stop", "size"):
        assert getattr(again, name) == getattr(notes, name)


def test_a_picture_has_a_line_for_each_on_a_scale_of_powers_of_ten_and_the_surge_shaded() -> None:
    lines = {"a <b>": [(-2.0, 0.2), (3.0, 5e7)], "c": [(0.0, 10.0), (9.0, 100.0)]}
    root = ElementTree.fromstring(picture.svg("t & t", lines, 6.0, (3.0, 4.5)))
    drawn = [node.attrib["points"].split() for node in root.iter() if node.tag.endswith("polyline")]
    assert [len(points) for points in drawn] == [2, 2]
    (a, _), (c, later) = ([tuple(map(float, point.split(","))) for point in points] for points in drawn)
    assert a[0] < c[0] < later[0]
    assert later[1] < c[1] < a[1]
    surge, halved = (float(node.attrib["width"]) for node in root.iter() if node.get("fill-opacity"))
    assert halved == pytest.approx(surge / 4, rel=0.01)
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert {"t & t", "a <b>", "c", "surge", "10 ms", "1 s"} <= set(texts)


# ── contenders ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_settings_that_tidegate_does_not_know_are_left_out() -> None:
    left_out = lineup.unknown()
    for one in lineup.contenders():
        assert not set(left_out) & set(one.env)
    names = [one.name for one in lineup.contenders()]
    assert len(names) == len(set(names))
    assert not any("," in name for name in names)


def test_a_peer_competes_where_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEERS_HOME", str(tmp_path))
    assert lineup.peers() == ([], list(lineup.PEERS))
    (tmp_path / "venv/lib/python3/site-packages/arroyo").mkdir(parents=True)
    built, missing = lineup.peers()
    assert [one.name for one in built] == ["arroyo"]
    assert built[0].command[0].startswith(str(tmp_path))
    assert set(missing) == set(lineup.PEERS) - {"arroyo"}


def test_stage_c_is_run_where_its_tools_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEERS_HOME", str(tmp_path))
    for name in ("src/run_peers.py", "bin/load", "bin/sink"):
        assert stage_c.script() is None
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert stage_c.script() is not None


def test_stage_c_gets_tidegate_as_one_command() -> None:
    name, _, command = stage_c.added("tidegate sampling", {"TIDEGATE_BULK_ON_PRESSURE": "sample"}).partition("=")
    assert name == "tidegate-sampling"
    parts = shlex.split(command.replace("{topic}", "t"))
    assert {"env", "TIDEGATE_TOPICS=t", "TIDEGATE_BULK_ON_PRESSURE=sample", "run"} <= set(parts)


def test_the_file_is_the_same_when_it_is_compact() -> None:
    told = {"a": [[-1, 2.5], [2, 1e-07]], "b": [1, 2], "c": [1, 2, 3], "d": {"e": [0.5, 7]}, "f": [], "g": "[1, 2]"}
    text = compact(json.dumps(told, indent=1))
    assert json.loads(text) == told
    assert " [[-1, 2.5], [2, 1e-07]]" in text.replace("[\n  ", "[").replace("\n ]", "]")


def test_what_tidegate_drops_is_read_from_its_metrics() -> None:
    text = (
        "# TYPE tidegate_records_total counter\n"
        'tidegate_records_total{topic="t",class="normal",disposition="sampled"} 7.0\n'
        'tidegate_records_total{topic="t",class="bulk",disposition="expired"} 2.0\n'
        'tidegate_records_total{topic="t",class="high",disposition="deferred"} 5.0\n'
        "tidegate_ladder_rung 3.0\n"
    )
    assert dropped_of(series_of(text)) == {"purchase": 0, "cart": 0, "view": 9}
    assert deferred_of(series_of(text)) == 5


# ── when it is over ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("lefts", "alive", "limit", "told"),
    [
        ([3, 2, 1, 0], True, 1e9, "drained"),
        ([3, 3, 3], False, 1e9, "ended"),
        ([5, 5, 5], True, 1e9, "stalled"),
        ([9, 8, 7, 6], True, -1.0, "limit"),
    ],
)
def test_a_turn_ends_when_nothing_more_will_come(
    lefts: list[int], alive: bool, limit: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn.time, "sleep", lambda _: None)
    monkeypatch.setattr(turn, "STILL_SECONDS", 0.05)
    left = iter(lefts)
    last = lefts[-1]
    assert turn.wait(lambda: next(left, last), limit, lambda: alive) == told
