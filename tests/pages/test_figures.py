"""Pages quote what the result files say, and say nothing about it that the files do not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from benchmarks.figure_tables import TABLES, Results, stage_c_turns
from benchmarks.figures import PAGES, RESULTS, ROOT, FiguresError, named, outdated, refreshed

results = Results(RESULTS)


def test_the_pages_are_as_the_results() -> None:
    old = [str(page) for page, _ in outdated([ROOT / page for page in PAGES], results)]
    assert old == [], "make figures"


def test_every_table_has_its_place() -> None:
    assert {name for page in PAGES for name in named((ROOT / page).read_text())} == set(TABLES)


def test_a_figure_that_is_no_longer_so_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(refreshed("<!-- figures: drain -->\n<!-- /figures -->\n", results))
    copied = tmp_path / "results"
    copied.mkdir()
    found = json.loads((RESULTS / "drain.json").read_text())
    (copied / "drain.json").write_text(json.dumps(found))
    assert outdated([tmp_path / "page.md"], Results(copied)) == []
    found["medians"]["tidegate"]["records_per_second"] *= 1.01
    (copied / "drain.json").write_text(json.dumps(found))
    ((page, text),) = outdated([tmp_path / "page.md"], Results(copied))
    assert page.name == "page.md"
    assert f"{found['medians']['tidegate']['records_per_second'] / 1e6:.2f} M" in text


def test_what_is_around_a_table_stays() -> None:
    page = "before\n<!-- figures: x -->\nold\n<!-- /figures -->\nafter <!-- a comment -->\n"
    fresh = refreshed(page, results, {"x": lambda _: "new"})
    assert fresh == page.replace("old", "new")
    assert refreshed(fresh, results, {"x": lambda _: "new"}) == fresh


@pytest.mark.parametrize(
    "page", ["<!-- figures: drain -->\n", "<!-- /figures -->\n", "<!-- figures: none -->\n<!-- /figures -->\n"]
)
def test_a_place_that_cannot_be_filled_is_an_error(page: str) -> None:
    with pytest.raises(FiguresError):
        refreshed(page, results)


def turns() -> dict[str, Any]:
    return {row["contender"]: row for row in results["surge"]["rows"]}


def spent(row: dict[str, Any]) -> float:
    """CPU for each event delivered."""
    return float(row["cpu_seconds"] / sum(row["delivered"].values()))


def test_what_the_comparison_says_in_words() -> None:
    """Each sentence of docs/comparison.md that says how much, where a table beside it has the figures."""
    page = re.sub(r"\s+", " ", (ROOT / "docs" / "comparison.md").read_text())

    def says(words: str, so: bool) -> None:
        assert words in page, "the page says it in other words: change the test with it"
        assert so, words

    surge, drain, push = turns(), results["drain"]["medians"], results["push"]["medians"]
    ours, pi, dagor = surge["tidegate"], surge["confluent-kafka PI"], surge["confluent-kafka DAGOR"]
    says(
        "two to four times that of a loop that only pauses",
        2 < spent(ours) / spent(surge["confluent-kafka pausing"]) < 4,
    )
    says("within about a second", max(pi["ages"][kind]["surge"]["p99_ms"] for kind in ("purchase", "cart")) < 1250)
    says("less than half of tidegate's memory", pi["peak_rss_mib"] < ours["peak_rss_mib"] / 2)
    says("four page views out of five", 0.75 < pi["dropped"]["view"] / pi["produced"]["view"] < 0.85)
    says("more than one purchase out of four", pi["dropped"]["purchase"] / pi["produced"]["purchase"] > 0.25)
    says("DAGOR drops no purchase", dagor["dropped"]["purchase"] == 0)
    says("ten seconds at the median", 9 < dagor["ages"]["purchase"]["surge"]["p50_ms"] / 1e3 < 11)
    sampling = surge["tidegate sampling"]
    says("drops page views and no purchase", sampling["dropped"]["purchase"] == 0 < sampling["dropped"]["view"])
    says("caught up in a twentieth of the time", 15 < ours["calm_seconds"] / sampling["calm_seconds"] < 25)

    mine, *others = stage_c_turns(results)
    assert mine["contender"] == "tidegate"

    def p50(row: dict[str, Any], kind: str) -> float:
        return float(row["ages"][kind]["burst"]["p50_ms"])

    says("Nothing was delivered twice", not any(row["twice"] for row in (mine, *others)))
    together = all(p50(row, "purchase") > 0.8 * p50(row, "view") for row in others)
    says("the only one whose purchases did not wait", together and p50(mine, "purchase") < 0.01 * p50(mine, "view"))
    whole = [row["delivered_after_seconds"] for row in others if not row["undelivered"]]
    says("half a minute after the others", all(20 < mine["delivered_after_seconds"] - end < 40 for end in whole))
    named = [row for row in others if row["contender"].startswith(("arroyo", "Redpanda", "confluent-kafka loop"))]
    dearer = [mine["cpu_us_per_record"] / row["cpu_us_per_record"] for row in named]
    says("two to four times the CPU that it costs", len(named) == 3 and all(1.7 < one < 4.2 for one in dearer))

    by_cpu = sorted((mine, *others), key=lambda row: float(row["cpu_us_per_record"]))
    says("It takes the least CPU of all in the surge above", by_cpu[0]["contender"].startswith("Redpanda Connect"))
    most = by_cpu[-1], max((mine, *others), key=lambda row: float(row["peak_rss_mib"]))
    says("the most CPU and memory in the surge", all(row["contender"] == "parallel-consumer" for row in most))

    def speed(medians: dict[str, Any], name: str) -> float:
        return float(medians[name]["records_per_second"])

    def cpu(medians: dict[str, Any], name: str) -> float:
        return float(medians[name]["cpu_us_per_record"])

    raw = speed(drain, "tidegate") / speed(drain, "raw C loop")
    says("about as fast as a bare loop in C", 0.85 < raw < 1.15)
    says(
        "at three quarters of franz-go's speed",
        0.7 < speed(drain, "tidegate") / speed(drain, "franz-go + gjson") < 0.85,
    )
    more = [cpu(drain, "tidegate") / cpu(drain, name) for name in ("raw C loop", "franz-go + gjson")]
    says("for a quarter to two fifths more CPU", all(1.2 < one < 1.45 for one in more))
    loops = [(drain, "tidegate", name) for name in ("confluent-kafka + orjson", "aiokafka + orjson")]
    loops += [(push, "tidegate ndjson", name) for name in ("confluent-kafka + aiohttp", "aiokafka + aiohttp")]
    says("more than twice as fast as the Python loops", all(speed(of, we) > 2 * speed(of, it) for of, we, it in loops))
    says("for less than half of their CPU", all(cpu(of, we) < cpu(of, it) / 2 for of, we, it in loops))

    read, sent = results["peers_drain"]["medians"], results["peers_push"]["medians"]
    says("franz-go is the fastest reader", max(read, key=lambda name: speed(read, name)).startswith("franz-go"))
    says("for the least CPU", min(read, key=lambda name: cpu(read, name)).startswith("franz-go"))
    python = [name for name in sent if name.startswith(("confluent-kafka", "aiokafka"))]
    says("takes longer than a Python loop", all(speed(sent, "tidegate") < speed(sent, name) for name in python))
    says("is the fastest there", max(sent, key=lambda name: speed(sent, name)) == "tidegate pause-only")
    least = sorted(sent, key=lambda name: cpu(sent, name))[:2]
    says("Per event it takes the least CPU either way", set(least) == {"tidegate", "tidegate pause-only"})
    dapr = next(row for row in others if row["contender"].startswith("Dapr"))
    says("it had not delivered all of them when its run was ended", dapr["undelivered"] > 0)
