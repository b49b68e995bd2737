"""How late events are when more comes than the app can take, and what shedding takes of the reader."""

from __future__ import annotations

import math

from benchmarks.page.results import Results, Spread, StageRow, SurgeRow
from benchmarks.page.words import (
    AGES,
    OURS,
    Section,
    duration,
    listed,
    measured,
    paragraphs,
    picture,
    table,
    times,
)
from benchmarks.surge import picture as surge_picture
from tidegate.demo import chart

SHOWN_SECONDS = 180.0


def three(row: StageRow, kind: str) -> str:
    """p50 / p99 / max of what was sent in the burst; of one that did not deliver all they are at least these."""
    found = row.ages[kind].get("burst")
    if found is None:
        return "–"
    ages = (found.p50_ms, found.p99_ms, found.max_ms)
    return ("≥ " if row.undelivered else "") + " / ".join(duration(age) for age in ages)


def of_burst(row: StageRow, kind: str, figure: str) -> str:
    found = row.ages[kind].get("burst")
    return duration(getattr(found, figure) if found else None, row.undelivered > 0)


def fate(rows: list[StageRow]) -> str:
    """What was not delivered, or twice, and who came to nothing."""
    left = [f"{row.contender} ({row.undelivered:,} of {row.sent:,})" for row in rows if row.undelivered]
    twice = [f"{row.contender} ({row.twice:,})" for row in rows if row.twice]
    failed = [row.contender for row in rows if row.error]
    parts = (
        ("Not delivered when the run was cut off", left),
        ("Delivered twice", twice),
        ("Without a result", failed),
    )
    told = " ".join(f"{what}: {listed(names)}." for what, names in parts if names)
    return told or "Nothing was lost, or delivered twice, by anyone."


def stage_c(results: Results) -> Section:
    found = results.stage_c
    whole = [row for row in found.rows if not row.error]
    burst = {row.contender: row.ages["purchase"]["burst"] for row in whole if "burst" in row.ages["purchase"]}
    mine = burst[OURS]
    best = min(age.p99_ms for name, age in burst.items() if name != OURS)
    order = sorted(whole, key=lambda row: burst[row.contender].p99_ms if row.contender in burst else 1e12)
    cut = [row.contender for row in whole if row.undelivered]
    drawn = chart.bars(
        "Age of a purchase at the app in a surge of 20 s",
        {
            row.contender: [burst[row.contender].p50_ms, burst[row.contender].p99_ms, burst[row.contender].max_ms]
            for row in order
            if row.contender in burst
        },
        series=AGES,
        text=chart.milliseconds,
        log=True,
        highlight=[OURS],
        note="20,000 events/s for 20 s into an app of 5,000/s. A logarithmic scale."
        + (f" {listed(cut)}: of what had come when the run was cut off." if cut else ""),
    )
    others = {row.contender: row for row in whole if row.contender != OURS}
    cheaper = [name for name, row in others.items() if row.cpu_us_per_record < ours(whole).cpu_us_per_record]
    sooner = [
        name
        for name, row in others.items()
        if not row.undelivered and row.delivered_after_seconds < ours(whole).delivered_after_seconds
    ]
    return Section(
        paragraphs(
            "## In a surge, beside other programs",
            "While four times as much comes as the app can take, a purchase is at the app after "
            f"{duration(mine.p50_ms)} at the median and {duration(mine.p99_ms)} at p99; with the best of the others it "
            f"takes {duration(best)} at p99, {times(best, mine.p99_ms)} times as long.",
            picture("bench-stage-c.svg", "Age of a purchase in a surge, tidegate beside other programs"),
            "10 s at 2,000 events/s, 20 s at 20,000, 30 s at 2,000, into an app of 5,000/s; one turn each, one after "
            "the other. Ages of what was sent in the burst:",
            table(
                (
                    "",
                    "purchases p50 / p99 / max",
                    "carts p99",
                    "page views p50",
                    "CPU µs per event",
                    "peak RSS MiB",
                    "last delivered after",
                ),
                (
                    (
                        f"**{row.contender}**" if row.contender == OURS else row.contender,
                        three(row, "purchase"),
                        of_burst(row, "cart", "p99_ms"),
                        of_burst(row, "view", "p50_ms"),
                        f"{row.cpu_us_per_record:.1f}",
                        f"{row.peak_rss_mib:.0f}",
                        f"{row.delivered_after_seconds:.0f} s",
                    )
                    for row in order
                ),
            ),
            fate(found.rows),
            "tidegate parked the page views and delivered them last: they are older than the others', a fifth of the "
            "app is left free while they come back, and it pays with CPU for small batches, which is what keeps a "
            f"purchase's way short. Less CPU: {listed(cheaper)}. All delivered sooner: {listed(sooner)}.",
            "Versions: "
            + ", ".join(dict.fromkeys(one for each in found.peers.values() for one in each.split(", ")))
            + ".",
            measured(results, found, "make bench-peers ARGS='--stages C --reps 1'"),
        ),
        {"bench-stage-c.svg": drawn},
    )


def ours(rows: list[StageRow]) -> StageRow:
    return next(row for row in rows if row.contender == OURS)


def minute(results: Results) -> Section:
    found = results.surge
    rows = [SurgeRow.model_validate(row) for row in found.rows if row["rep"] == 0 and "error" not in row]
    rows.sort(key=lambda row: (row.contender != OURS, not row.contender.startswith(OURS), age(row, "purchase").p99_ms))
    schedule = found.plan["schedule"]
    begin = schedule["surge"] / 2
    halved = (begin, begin + schedule["surge"] / 4)
    lines = {
        row.contender: [
            (second, ms) for second, ms in row.purchases_p99_by_second if -schedule["base"] <= second < SHOWN_SECONDS
        ]
        for row in rows
    }
    by_class = chart.bars(
        "p99 of age of what was due in the surge, by class",
        {row.contender: [age(row, kind).p99_ms for kind in ("purchase", "cart", "view")] for row in rows},
        series=("purchases", "carts", "views"),
        text=chart.milliseconds,
        log=True,
        highlight=[row.contender for row in rows if row.contender.startswith(OURS)],
        note="Of those that drop, the ages of what came: "
        + ", ".join(row.contender for row in rows if sum(row.dropped.values()))
        + ".",
    )
    mine = next(row for row in rows if row.contender == OURS)
    late = age(mine, "purchase")
    parked = f"{mine.deferred:,} events were parked and came back within {mine.calm_seconds:.0f} s of calm"
    lossless = sum(mine.produced.values()) == sum(mine.delivered.values()) and not sum(mine.twice.values())
    cut = [row.contender for row in rows if row.ended == "limit"]
    lost = [f"{row.contender} ({row.dropped['purchase']:,})" for row in rows if row.dropped["purchase"]]
    views = min((row for row in rows if row.ages["view"]["surge"]), key=lambda row: age(row, "view").p50_ms)
    cheapest = min(rows, key=lambda row: row.cpu_seconds)
    return Section(
        paragraphs(
            "## A surge of a minute, and other ways to shed",
            f"tidegate keeps purchases at {duration(late.p50_ms)} at the median and {duration(late.p99_ms)} at p99 for "
            "the whole minute, also while the app is at half speed, and drops nothing; a loop that pauses makes them "
            "wait with everything else" + (f"; purchases were dropped by {listed(lost)}." if lost else "."),
            picture("bench-surge.svg", "p99 of the age of purchases by second, all contenders"),
            picture("bench-surge-classes.svg", "p99 of age by class, all contenders"),
            f"{schedule['base_rate']:,}/s, then {schedule['surge_rate']:,}/s for {schedule['surge']:.0f} s, into an "
            f"app of {found.plan['workers'] / found.plan['service_us'] * 1e6:,.0f}/s (half of that for "
            f"{schedule['surge'] / 4:.0f} s), until all is delivered"
            + (f"; {listed(cut)} were cut off before, and their ages are at least these. " if cut else ". ")
            + "One turn each.",
            table(
                (
                    "",
                    "purchases p50 / p99",
                    "carts p50 / p99",
                    "page views p50 / p99",
                    "dropped, of these purchases",
                    "app busy",
                    "peak RSS MiB",
                    "CPU s",
                ),
                (
                    (
                        f"**{row.contender}**" if row.contender.startswith(OURS) else row.contender,
                        *(two(row, kind) for kind in ("purchase", "cart", "view")),
                        f"{sum(row.dropped.values()):,}, {row.dropped['purchase']:,}"
                        if any(row.dropped.values())
                        else "0",
                        f"{row.utilisation_in_surge * 100:.1f} %" if row.utilisation_in_surge is not None else "–",
                        f"{row.peak_rss_mib:.0f}",
                        f"{row.cpu_seconds:.1f}",
                    )
                    for row in rows
                ),
            ),
            f"{parked}" + (f", none lost or delivered twice of {sum(mine.produced.values()):,}." if lossless else "."),
            "Where it loses: CPU, and the time until the last page view is delivered. Sampling keeps at least one page "
            "view in eight, which is more than the halved app has room for beside orders, so some carts are parked for "
            "a while. "
            f"Least CPU: {cheapest.contender} ({cheapest.cpu_seconds:.1f} s). Page views at the app soonest: "
            f"{views.contender} ({duration(age(views, 'view').p50_ms)} at the median, of those that it kept). What is "
            "dropped is never worked on again. What each contender is stands in `benchmarks/README.md`.",
            measured(results, found, "make bench-surge"),
        ),
        {
            "bench-surge.svg": surge_picture.svg(
                "Purchases: p99 of age at the app, by second",
                lines,
                schedule["surge"],
                halved,
                note="A logarithmic scale; an event's age stands at the second in which it was due.",
            ),
            "bench-surge-classes.svg": by_class,
        },
    )


def age(row: SurgeRow, kind: str) -> Spread:
    """Of what was due in the surge; of none that came, one without end."""
    return row.ages[kind]["surge"] or Spread(n=0, p50_ms=math.inf, p99_ms=math.inf, max_ms=math.inf)


def two(row: SurgeRow, kind: str) -> str:
    found = row.ages[kind]["surge"]
    if found is None:
        return "–"
    return ("≥ " if row.at_least else "") + f"{duration(found.p50_ms)} / {duration(found.p99_ms)}"
