"""Purchases in a flood, and what shedding takes of the reader."""

from __future__ import annotations

from benchmarks.page.results import Results
from benchmarks.page.words import (
    AGES,
    OURS,
    Section,
    duration,
    measured,
    millions,
    paragraphs,
    picture,
    table,
    turns,
    upper,
)
from tidegate.demo import chart


def flood(results: Results) -> Section:
    found, shed = results.flood, results.shed
    first = found.rows[0]
    late = first.ages["flood"]
    drawn = chart.bars(
        f"Age of a purchase in a flood of {first.rate:,} events/s",
        {
            row.form: [row.ages["flood"].p50_ms, row.ages["flood"].p99_ms, row.ages["flood"].max_ms]
            for row in found.rows
        },
        series=AGES,
        text=chart.milliseconds,
        highlight=[OURS],
        note="Wide span: room for a million unsettled offsets in each partition.",
    )
    bars = chart.bars(
        "Events per second of a backlog of which 95 % is shed",
        {name: [row.records_per_second] for name, row in shed.medians.items()},
        highlight=[name for name in shed.medians if name.startswith(OURS)],
        note=f"{upper(turns(shed.rows))}.",
    )
    ratios = shed.ratios
    return Section(
        paragraphs(
            "## A flood, and what shedding takes",
            f"With {first.sent_per_second:,} events/s for {found.seconds:.0f} s into an app of 5,000/s a "
            f"purchase is at the app after {duration(late.p50_ms)} at the median and {duration(late.p99_ms)} at "
            "p99. The law parks what the app has no room for, and what waits in memory in front of a purchase as well.",
            picture("bench-flood.svg", "Age of a purchase in a flood"),
            table(
                ("", "sent/s", "p50 / p99 / max", "before the flood p99", "after it p99"),
                (
                    (
                        row.form,
                        f"{row.sent_per_second:,}",
                        " / ".join(
                            duration(one)
                            for one in (row.ages["flood"].p50_ms, row.ages["flood"].p99_ms, row.ages["flood"].max_ms)
                        ),
                        duration(row.ages["calm"].p99_ms),
                        duration(row.ages["after"].p99_ms),
                    )
                    for row in found.rows
                ),
            ),
            measured(results, found, "make bench-e2e ARGS='--rates 150000'"),
            "Of a backlog tidegate reads and drops 95 % at "
            f"{millions(shed.medians['tidegate drops'].records_per_second)} events/s, "
            f"{ratios['tidegate drops / raw C loop']['median']:.2f} of a raw C loop that only reads, and parks 95 % at "
            f"{millions(shed.medians['tidegate parks'].records_per_second)}, "
            f"{ratios['tidegate parks / raw consume + producev']['median']:.2f} of a C loop that reads and produces as "
            "many.",
            picture("bench-shed.svg", "Events per second while 95 % is dropped or parked, beside raw C loops"),
            table(
                (shed.title, "events/s", "CPU µs per event", "peak RSS MiB"),
                (
                    (
                        f"**{name}**" if name.startswith(OURS) else name,
                        millions(row.records_per_second),
                        f"{row.cpu_us_per_record:.2f}",
                        f"{row.peak_rss_mib:.0f}",
                    )
                    for name, row in shed.medians.items()
                ),
            ),
            "The raw loops are the better where nothing has to be known of an event: they look at none, wrap none in "
            "an envelope and settle none.",
            measured(results, shed, "make bench-e2e"),
        ),
        {"bench-flood.svg": drawn, "bench-shed.svg": bars},
    )
