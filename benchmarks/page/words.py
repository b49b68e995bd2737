"""Figures as words: units, tables, who is ahead, and under what a figure was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.page.results import Machine, Medians, Report, Results
from tidegate.demo.chart import milliseconds

OURS = "tidegate"
AGES = ("p50", "p99", "max")


@dataclass
class Section:
    """Its text, and its pictures by file name."""

    text: str
    pictures: dict[str, str] = field(default_factory=dict)


def turns(rows: Sequence[Mapping[str, object]]) -> str:
    """Of how many turns a figure is."""
    count = len({row["rep"] for row in rows})
    return f"medians of {count} turns" if count > 1 else "one turn"


def upper(text: str) -> str:
    return text[0].upper() + text[1:]


def millions(rate: float) -> str:
    """3.56 M; what is far below as 39 k."""
    return f"{rate / 1e6:.2f} M" if rate >= 95_000 else f"{rate / 1e3:.0f} k"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def rates_table(what: str, medians: Mapping[str, Medians]) -> str:
    """Rate, CPU and memory by contender, the fastest first."""
    return table(
        (what, "events/s", "at best", "CPU µs per event", "peak RSS MiB"),
        (
            (
                f"**{name}**" if name.startswith(OURS) else name,
                millions(row.records_per_second),
                millions(row.best_records_per_second),
                f"{row.cpu_us_per_record:.2f}",
                f"{row.peak_rss_mib:.0f}",
            )
            for name, row in ranked(medians)
        ),
    )


def ranked(medians: Mapping[str, Medians]) -> list[tuple[str, Medians]]:
    return sorted(medians.items(), key=lambda item: -item[1].records_per_second)


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    if not names:
        return "nobody here"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def better(medians: Mapping[str, Medians], ours: str = OURS) -> str:
    """Who is ahead of tidegate in rate, CPU or memory; said of each, also where nobody is."""
    mine = medians[ours]
    faster = [
        f"{name} ({millions(row.records_per_second)}/s)"
        for name, row in ranked(medians)
        if row.records_per_second > mine.records_per_second and not name.startswith(OURS)
    ]
    cheaper = [
        f"{name} ({row.cpu_us_per_record:.2f} µs)"
        for name, row in sorted(medians.items(), key=lambda item: item[1].cpu_us_per_record)
        if row.cpu_us_per_record < mine.cpu_us_per_record and not name.startswith(OURS)
    ]
    smaller = [
        f"{name} ({row.peak_rss_mib:.0f} MiB)"
        for name, row in sorted(medians.items(), key=lambda item: item[1].peak_rss_mib)
        if row.peak_rss_mib < mine.peak_rss_mib and not name.startswith(OURS)
    ]
    parts = (("Faster", faster), ("Less CPU", cheaper), ("Less memory", smaller))
    return " ".join(f"{what} than {ours}: {listed(names)}." for what, names in parts)


def duration(ms: float | None, at_least: bool = False) -> str:
    """As in the pictures; – where nothing came."""
    return "–" if ms is None else ("≥ " if at_least else "") + milliseconds(ms)


def times(one: float, other: float) -> str:
    """How many times: 4.2, 1,400."""
    ratio = one / other
    return f"{ratio:.1f}" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}"


def machines(results: Results) -> list[str]:
    """The different machines of all files, in words; the first is A."""
    reports = [getattr(results, name) for name in type(results).model_fields]
    return list(dict.fromkeys(described(report.machine) for report in reports))


def described(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if version != "absent")
    return f"{machine.cores} cores of {machine.cpu}, Linux {machine.kernel}; Python {machine.python}, {versions}"


def measured(results: Results, report: Report, command: str) -> str:
    """Under a table: when, at which commit, on which machine, and the command that does it again."""
    at = chr(ord("A") + machines(results).index(described(report.machine)))
    of = report.machine
    note = f" {report.note}" if report.note else ""
    return (
        f"*Measured {of.date} at commit `{of.commit}` on [machine {at}](#machines).{note}* Again: `{command}`, which "
        "writes JSON to `build/bench`.\n"
    )


def picture(file: str, alt: str) -> str:
    return f"![{alt}](img/{file})\n"


def paragraphs(*parts: str) -> str:
    """Markdown of them; what is plain text is wrapped."""
    return "\n".join(
        part.rstrip() + "\n" if part.startswith(("|", "#", "!")) else filled(part) for part in parts if part
    )


def filled(text: str, indent: str = "") -> str:
    """Lines of at most 120; none begins with a plus, which would make a list of it."""
    kept = textwrap.fill(
        text.strip().replace(" +", "\0+"),
        120,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return kept.replace("\0", " ") + "\n"
