"""What is waited for when nothing is wrong: an event's way, a start, and the backlog after an outage."""

from __future__ import annotations

from benchmarks.page.results import Results
from benchmarks.page.words import Section, duration, measured, millions, paragraphs, picture, table, turns, upper
from tidegate.demo import chart


def latency(results: Results) -> Section:
    found = results.latency
    alone, beside = found.rows["alone"], found.rows["beside bulk"]
    drawn = chart.bars(
        "From Kafka's append to the app, critical events",
        {
            "alone": [alone.p50_ms, alone.p99_ms, alone.max_ms],
            f"beside {chart.number(beside.bulk_per_second)} bulk events/s": [
                beside.p50_ms,
                beside.p99_ms,
                beside.max_ms,
            ],
        },
        series=("p50", "p99", "max"),
        text=chart.milliseconds,
    )
    return Section(
        paragraphs(
            "## From append to app",
            f"A critical event on a topic of its own is at the app {duration(alone.p50_ms)} after Kafka has it, at the "
            f"median, and {duration(alone.p99_ms)} at p99; while {millions(beside.bulk_per_second)} bulk events a "
            f"second are read and pushed beside it, {duration(beside.p50_ms)} and {duration(beside.p99_ms)}.",
            picture("bench-latency.svg", "Latency of critical events, alone and beside bulk"),
            table(
                ("", "critical events", "bulk events/s", "p50", "p90", "p99", "max"),
                (
                    (
                        name,
                        f"{row.events:,}",
                        f"{row.bulk_per_second:,}",
                        *(duration(one) for one in (row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms)),
                    )
                    for name, row in found.rows.items()
                ),
            ),
            "Kafka's time is in whole milliseconds, so each figure may be up to 1 ms too high. No other program was "
            "measured here.",
            measured(results, found, "make bench-e2e"),
        ),
        {"bench-latency.svg": drawn},
    )


def start(results: Results) -> Section:
    found, hold = results.start, results.hold
    drawn = chart.bars(
        "Events per second of a backlog, after the app was there or away",
        {name: [row.records_per_second] for name, row in hold.medians.items()},
        highlight=[name for name in hold.medians if "away" in name],
        note=f"{upper(turns(hold.rows))}.",
    )
    ratios = ", ".join(f"{ratio:.2f} for a topic of {name} events" for name, ratio in hold.ratios.items())
    return Section(
        paragraphs(
            "## Start, idle, and after an outage",
            f"Start to the first event at the app: {found.first_event_seconds:.2f} s, the making of the parking topic "
            f"included; idle: {found.idle_cpu_share * 100:.1f} % of a core; `tidegate --version`: "
            f"{found.version_seconds * 1e3:.0f} ms.",
            measured(results, found, "make bench-e2e"),
            "After the app was away and its topic was held, the backlog drains about as fast as without: "
            f"{ratios}, of the rate with the app there all the time.",
            picture("bench-hold.svg", "Rate of a backlog after an outage of the app"),
            table(
                (hold.title, "events/s", "CPU µs per event", "peak RSS MiB"),
                (
                    (
                        name,
                        millions(row.records_per_second),
                        f"{row.cpu_us_per_record:.2f}",
                        f"{row.peak_rss_mib:.0f}",
                    )
                    for name, row in hold.medians.items()
                ),
            ),
            measured(results, hold, "make bench-e2e"),
        ),
        {"bench-hold.svg": drawn},
    )
