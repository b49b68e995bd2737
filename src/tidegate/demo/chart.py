"""Charts as plain SVG: lines over time, and horizontal bars. No scripts, no fonts or files of others.

What a chart says has to be seen in a few seconds, so each line and bar is named beside it rather than in a legend, and
those in `highlight` stand out. Letters are drawn for a picture of 720 pixels, which is readable at 480 and at 960. The
card is white by itself, so that it does not matter what it is shown on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from tidegate.demo.chart_parts import (
    GRID,
    MARGIN,
    QUIET,
    SIZE,
    SMALL,
    Formatter,
    Scale,
    card,
    even_step,
    even_ticks,
    head,
    log_ticks,
    milliseconds,
    number,
    powers,
    short,
    spread,
    wide,
    write,
)

__all__ = ["COLOURS", "Band", "Formatter", "Point", "bars", "lines", "milliseconds", "number"]

# Okabe and Ito's, told apart by the colour-blind too; without their yellow, too pale on white. Later ones are dashed.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

Point = tuple[float, float | None]
LEAST = 1e-9  # what is closer together than this is one value to an axis


class Band(NamedTuple):
    """A shaded part of the x axis, such as a surge; where two overlap it is darker."""

    begin: float
    end: float
    label: str = ""


def drawn(points: Sequence[Point], x: Scale, y: Scale, style: str, colour: str) -> list[str]:
    """The line; a new one begins after each gap, and a point by itself is a dot."""
    pieces: list[list[str]] = [[]]
    for at, value in points:
        if value is None or not math.isfinite(value + at):
            pieces.append([])
        else:
            pieces[-1].append(f"{x(at):.1f},{y(value):.1f}")
    parts = []
    for piece in filter(None, pieces):
        if len(piece) > 1:
            parts.append(f'<polyline points="{" ".join(piece)}" {style} stroke-linejoin="round"/>')
        else:
            across, down = piece[0].split(",")
            parts.append(f'<circle cx="{across}" cy="{down}" r="3.5" fill="{colour}"/>')
    return parts


def pale(colour: str) -> str:
    """Half way to white."""
    return "#" + "".join(f"{(int(colour[at : at + 2], 16) + 255) // 2:02x}" for at in (1, 3, 5))


def lines(
    title: str,
    series: Mapping[str, Sequence[Point]],
    *,
    x_label: str = "",
    y_label: str = "",
    x_text: Formatter = number,
    y_text: Formatter = number,
    log: bool = False,
    bands: Sequence[Band] = (),
    highlight: Collection[str] = (),
    dashed: Collection[str] = (),
    width: int = 720,
    height: int = 400,
    note: str = "",
) -> str:
    """Lines by name, each a sequence of (x, y) in the order of x; None and NaN are gaps. The y axis begins at zero, or
    at a power of ten with `log`. The card grows where the title, the note or many names need it."""
    whole = [(at, y) for points in series.values() for at, y in points if y is not None and math.isfinite(y + at)]
    xs = [at for at, _ in whole] + [edge for band in bands for edge in band[:2]]
    left_x, right_x = min(xs, default=0.0), max(xs, default=1.0)
    right_x = right_x if right_x - left_x > LEAST else left_x + 1
    told = [band for band in bands if band.label]
    top = head(title, width) + (20 if y_label else 0) + 16 * len(told)
    gap = SIZE + 4.0
    bottom = max(height - 50.0, top + gap * len(series) + 10)
    if log:
        low, high = powers(y for _, y in whole)
        marks = log_ticks(low, high, 7)
    else:
        low, high = min([0.0, *(y for _, y in whole)]), max([0.0, *(y for _, y in whole)])
        high = high if high - low > LEAST else low + 1
        step = even_step(low, high, 5)
        first, last = math.floor(low / step), max(math.ceil(high / step - 1e-9), 1)
        marks = [index * step for index in range(first, last + 1)]
        low, high = marks[0], marks[-1]
    left = MARGIN + 8 + max(wide(y_text(mark), SMALL) for mark in marks)
    names = min(max((wide(name, bold=name in highlight) for name in series), default=0.0) + 30, width * 0.36)
    right = width - MARGIN - names
    x, y = Scale(left_x, right_x, left, right), Scale(low, high, bottom, top, log)

    parts = [write(MARGIN, top - 14 - 16 * len(told), y_label, size=SMALL, colour=QUIET)] if y_label else []
    for row, band in enumerate(told):
        parts.append(
            write(
                x(band.begin),
                top - 6 - 16 * (len(told) - 1 - row),
                short(band.label, right - x(band.begin), SMALL),
                size=SMALL,
                colour=QUIET,
            )
        )
    for band in bands:
        begin, end = x(band.begin), x(band.end)
        parts.append(
            f'<rect x="{begin:.1f}" y="{top:.1f}" width="{max(0.0, end - begin):.1f}" height="{bottom - top:.1f}" '
            'fill="#000" fill-opacity="0.06"/>'
        )
    for mark in marks:
        parts.append(f'<path d="M{left:.1f} {y(mark):.1f}H{right:.1f}" stroke="{GRID}"/>')
        parts.append(write(left - 8, y(mark) + 4.5, y_text(mark), size=SMALL, anchor="end", colour=QUIET))
    most = max(2, int((right - left) // 70))
    for mark in even_ticks(left_x, right_x, most):
        parts.append(f'<path d="M{x(mark):.1f} {bottom:.1f}v5" stroke="{QUIET}"/>')
        parts.append(write(x(mark), bottom + 20, x_text(mark), size=SMALL, anchor="middle", colour=QUIET))
    parts.append(f'<path d="M{left:.1f} {bottom:.1f}H{right:.1f}" stroke="{QUIET}"/>')
    if x_label:
        parts.append(write((left + right) / 2, bottom + 38, x_label, size=SMALL, anchor="middle", colour=QUIET))
    if not whole:
        parts.append(write((left + right) / 2, (top + bottom) / 2, "no data", anchor="middle", colour=QUIET))
    ends = [
        next((y(v) for at, v in reversed(p) if v is not None and math.isfinite(v + at)), bottom)
        for p in series.values()
    ]
    for index, ((name, points), place) in enumerate(
        zip(series.items(), spread(ends, gap, top + 6, bottom - 4), strict=True)
    ):
        bold, colour = name in highlight, COLOURS[index % len(COLOURS)]
        style = f'fill="none" stroke="{colour}" stroke-width="{3.2 if bold else 1.8}"'
        if name in dashed or index >= len(COLOURS):
            style += ' stroke-dasharray="6 4"'
        parts += drawn(points, x, y, style, colour)
        parts.append(f'<path d="M{right + 6:.1f} {place:.1f}h18" {style}/>')
        parts.append(write(right + 29, place + 5, short(name, names - 29, bold=bold), bold=bold))
    return card(title, parts, width, bottom + (62 if x_label else 44), note)


def bars(
    title: str,
    rows: Mapping[str, Sequence[float | None]],
    *,
    series: Sequence[str] = ("",),
    text: Formatter = number,
    log: bool = False,
    highlight: Collection[str] = (),
    width: int = 720,
    note: str = "",
) -> str:
    """A group of bars by name, one for each of `series`, each with its value beside it; None and NaN are a dash."""
    values = [value for row in rows.values() for value in row if value is not None and math.isfinite(value)]
    top, thick = head(title, width), 24.0 if len(series) == 1 else 20.0
    names = min(max((wide(name, bold=name in highlight) for name in rows), default=0.0) + 12, width * 0.42)
    labels = [
        f"{one} {text(value)}".strip()
        for row in rows.values()
        for one, value in zip(series, row, strict=True)
        if value in values
    ]
    left = MARGIN + names
    right = max(left + 40, width - MARGIN - 12 - max((wide(label, SMALL, bold=True) for label in labels), default=0.0))
    low, high = powers(values) if log else (0.0, max(values, default=1.0) or 1.0)
    x = Scale(low, high, left, right, log)
    bottom = top + sum(thick * len(row) + 10 for row in rows.values())
    parts: list[str] = []
    if log:
        for mark in log_ticks(low, high, max(2, int((right - left) // 70))):
            parts.append(f'<path d="M{x(mark):.1f} {top - 4:.1f}V{bottom:.1f}" stroke="{GRID}"/>')
            parts.append(write(x(mark), bottom + 15, text(mark), size=SMALL, anchor="middle", colour=QUIET))
    at = top
    for name, row in rows.items():
        bold = name in highlight
        parts.append(
            write(left - 10, at + thick * len(row) / 2 + 5, short(name, names - 10, bold=bold), anchor="end", bold=bold)
        )
        for index, (one, value) in enumerate(zip(series, row, strict=True)):
            colour = (
                COLOURS[index % len(COLOURS)] if len(series) > 1 else COLOURS[0] if bold or not highlight else "#9a9a9a"
            )
            if highlight and not bold and len(series) > 1:
                colour = pale(colour)
            end, told = left, "–"
            if value is not None and math.isfinite(value):
                end, told = max(x(value), left + 1.5), text(value)
                size = f'width="{end - left:.1f}" height="{thick - 3:.1f}"'
                parts.append(f'<rect x="{left:.1f}" y="{at + 1.5:.1f}" {size} rx="2" fill="{colour}"/>')
            parts.append(write(end + 6, at + thick / 2 + 4.5, f"{one} {told}".strip(), size=SMALL, bold=bold))
            at += thick
        at += 10
    return card(title, parts, width, bottom + (36 if log else 14), note)
