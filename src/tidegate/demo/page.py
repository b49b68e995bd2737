"""The report as one self-contained file: a page with the pictures, or the one picture that says most.

Every figure in it was measured in the run that made it.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import confluent_kafka

from tidegate import __version__
from tidegate.demo.chart import Band, Point, lines, milliseconds
from tidegate.demo.report import WHAT, duration
from tidegate.errors import ConfigError
from tidegate.types import CLASSES, EventClass

if TYPE_CHECKING:
    from tidegate.demo.history import Moment
    from tidegate.demo.plan import Plan
    from tidegate.demo.report import PlainRow, Row

SUFFIXES: Final = (".html", ".svg")

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #8884; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
.plain td { opacity: .7; }
pre { overflow-x: auto; }
"""


@dataclass(frozen=True, slots=True)
class Story:
    """A run that is over: ``command`` is what repeats it, ``capacity`` the shop's in events/s (None: not known)."""

    plan: Plan
    capacity: float | None
    moments: Sequence[Moment]
    rows: Sequence[Row]
    plain: Sequence[PlainRow] | None
    sentences: Sequence[str]
    command: str


def check(path: str) -> None:
    """Before a run of a minute is spent on it.

    Raises:
        ConfigError: nothing can be written there, or it is not known what.
    """
    place = Path(path)
    if place.suffix not in SUFFIXES:
        hint = "Name a file that ends in .html (the whole report) or .svg (its first picture)."
        raise ConfigError(f"--report {path} is neither a page nor a picture", code="demo-report", hint=hint)
    new = not place.exists()
    try:
        with place.open("a"):
            pass
        if new:
            place.unlink()
    except OSError as error:
        hint = "Name a file in a directory that is there and may be written to."
        raise ConfigError(
            f"--report {path} cannot be written: {error.strerror}", code="demo-report", hint=hint
        ) from None


def write(path: str, story: Story) -> None:
    """Writes the page or the picture, by the name's end. Raises OSError."""
    text = purchases(story) if path.endswith(".svg") else html(story)
    Path(path).write_text(text, encoding="utf-8")


def purchases(story: Story) -> str:
    """How long purchases waited: tidegate's and, where one ran, the plain loop's."""
    at = EventClass.CRITICAL
    series: dict[str, list[Point]] = {"tidegate": [(moment.at, moment.p99_ms[at]) for moment in story.moments]}
    if any(moment.plain is not None for moment in story.moments):
        series["plain loop"] = [(m.at, m.plain.p99_ms if m.plain is not None else None) for m in story.moments]
    capacity = f", into a shop of {story.capacity:,.0f}/s" if story.capacity is not None else ""
    return lines(
        "How long purchases waited when the sale began",
        series,
        x_label="seconds",
        y_label="99 % of the purchases that came in the last 3 s were at most so old",
        y_text=milliseconds,
        log=True,
        bands=_bands(story),
        highlight=("tidegate",),
        note=f"{story.plan.rate:,.0f} events/s, {story.plan.peak:,.0f} at the peak{capacity}.",
    )


def _bands(story: Story) -> tuple[Band, ...]:
    return (Band(story.plan.surge_from, story.plan.surge_until, f"sale, up to {story.plan.surge:g} times the events"),)


def _pictures(story: Story) -> list[str]:
    moments, bands = story.moments, _bands(story)
    rates: dict[str, list[Point]] = {
        "come": [(moment.at, sum(moment.offered)) for moment in moments],
        "worked off": [(moment.at, sum(moment.delivered)) for moment in moments],
    }
    if story.capacity is not None:
        rates["what the shop can do"] = [(moment.at, story.capacity) for moment in moments]
    ages: dict[str, list[Point]] = {
        WHAT[klass]: [(moment.at, moment.p50_ms[klass]) for moment in moments] for klass in CLASSES
    }
    out: dict[str, list[Point]] = {
        WHAT[klass]: [(moment.at, moment.delivered[klass]) for moment in moments] for klass in CLASSES
    }
    waits: dict[str, list[Point]] = {
        "in memory": [(moment.at, sum(moment.buffered) + sum(moment.in_flight)) for moment in moments],
        "parked": [(moment.at, moment.parked) for moment in moments],
        "all that wait": [(moment.at, moment.waiting) for moment in moments],
    }
    if any(moment.plain is not None for moment in moments):
        waits["all, plain loop"] = [(m.at, m.plain.waiting if m.plain is not None else None) for m in moments]
    return [
        purchases(story),
        lines("Events a second", rates, x_label="seconds", bands=bands, dashed=("what the shop can do",)),
        lines(
            "How old events were when they were worked off, by class",
            ages,
            x_label="seconds",
            y_label="half of those of the last 3 s",
            y_text=milliseconds,
            log=True,
            bands=bands,
        ),
        lines("What was worked off, by class", out, x_label="seconds", y_label="events/s", bands=bands),
        lines("Where the events waited", waits, x_label="seconds", y_label="events", bands=bands),
    ]


def html(story: Story) -> str:
    """The page; needs nothing from anywhere."""
    versions = (
        f"tidegate {__version__}, confluent-kafka {confluent_kafka.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}; an embedded broker and all processes on one machine."
    )
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>tidegate: a sale in {story.plan.seconds:g} seconds</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>A sale in {story.plan.seconds:g} seconds</h1>",
        f"<p>{escape(' '.join(story.sentences))}</p>",
        _table(story),
        *_pictures(story),
        f"<p>To repeat it: <code>{escape(story.command)}</code></p>\n<p>{escape(versions)}</p>",
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _table(story: Story) -> str:
    heads = ("events", "through", "offered", "parked", "delivered", "held", "p50", "p99", "max age")
    lines_ = ["<table>", "<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for row in story.rows:
        cells = [f"{row.klass.label}: {WHAT[row.klass]}", "tidegate"]
        cells += [f"{count:,}" for count in (row.offered, row.deferred, row.delivered, row.held)]
        cells += [duration(ms) for ms in (row.p50_ms, row.p99_ms, row.oldest_ms)]
        lines_.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
        if story.plain is not None:
            other = story.plain[row.klass]
            cells = ["", "plain loop", "", "–", f"{other.delivered:,}", f"{other.waiting:,}"]
            cells += [duration(ms) for ms in (other.p50_ms, other.p99_ms, other.oldest_ms)]
            lines_.append('<tr class="plain">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines_, "</table>"])
