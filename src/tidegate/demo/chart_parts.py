"""What charts are made of: scales with their ticks, texts whose width is estimated, and the white card."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

FONT = 'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"'
SIZE, SMALL, TITLE = 15, 13, 18  # of letters, in pixels
INK, QUIET, GRID = "#222", "#666", "#ddd"
MARGIN = 16

Formatter = Callable[[float], str]


def number(value: float) -> str:
    """Three digits: 5.25, 12.3 k, 1.93 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def milliseconds(value: float) -> str:
    """Three digits, in seconds where that reads better: 0.5 ms, 48 ms, 1.82 s, 453 s."""
    if value < 999.5:
        return f"{value:.3g} ms"
    return f"{value / 1e3:.3g} s" if value < 999_500 else f"{value / 1e3:,.0f} s"


@dataclass(frozen=True)
class Scale:
    """From values to pixels. On a logarithmic one what is below `low`, zero too, stands at `low`."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.begin + min(max(share, 0.0), 1.0) * (self.end - self.begin)


def even_step(low: float, high: float, most: int) -> float:
    """1, 2 or 5 times a power of ten, of which `most` at most lie between."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(times * power for times in (1, 2, 5, 10, 20) if times * power >= raw * 0.999)


def even_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of `even_step` from `low` to `high`."""
    step = even_step(low, high, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def powers(values: Iterable[float]) -> tuple[float, float]:
    """The powers of ten around the positive ones of `values`, none beyond 1e±15."""
    positive = [min(max(value, 1e-15), 1e15) for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten, each or each second and so on; of a single decade also 2 and 5."""
    decades = round(math.log10(high / low))
    if decades == 1:
        return [low, 2 * low, 5 * low, high]
    return [low * 10.0**index for index in range(0, decades + 1, math.ceil(decades / most))]


def wide(text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """About how many pixels a sans-serif text takes, rather more than less."""
    return (
        (1.1 if bold else 1.0)
        * size
        * sum(0.32 if one in " .,:;|!'ijlft()[]" else 0.86 if one in "mwMW@%—" else 0.6 for one in text)
    )


def short(text: str, width: float, size: float = SIZE, *, bold: bool = False) -> str:
    """The text, or as much of its beginning as fits."""
    if wide(text, size, bold=bold) <= width:
        return text
    while text and wide(text + "…", size, bold=bold) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Lines of whole words; a word that is wider than a line is cut."""
    lines: list[str] = []
    for word in text.split():
        if lines and wide(f"{lines[-1]} {word}", size, bold=bold) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(short(word, width, size, bold=bold))
    return lines


def write(
    x: float, y: float, text: str, *, size: int = SIZE, anchor: str = "start", colour: str = INK, bold: bool = False
) -> str:
    """A text, with what XML cannot hold replaced."""
    plain = escape("".join(one if one.isprintable() else "�" for one in text))
    more = (f' text-anchor="{anchor}"' if anchor != "start" else "") + (' font-weight="600"' if bold else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{more}>{plain}</text>'


def card(title: str, parts: list[str], width: int, height: float, note: str) -> str:
    """The whole picture: a white card with its title, what was drawn, and a note at its foot, for which it grows."""
    top = [
        write(MARGIN, 28 + 24 * row, line, size=TITLE, bold=True)
        for row, line in enumerate(wrapped(title, width - 2 * MARGIN, TITLE, bold=True))
    ]
    foot = wrapped(note, width - 2 * MARGIN, SMALL)
    below = [write(MARGIN, height + 18 * row, line, size=SMALL, colour=QUIET) for row, line in enumerate(foot)]
    height += 18 * len(foot)
    named = escape("".join(one if one.isprintable() else "�" for one in title))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" '
            f'height="{height:.0f}" style="max-width:100%;height:auto" role="img" aria-label="{named}" {FONT}>',
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1:.0f}" rx="8" fill="#fff" stroke="{GRID}"/>',
            *top,
            *parts,
            *below,
            "</svg>",
            "",
        ]
    )


def head(title: str, width: int) -> float:
    """Where what is drawn may begin: below the title."""
    return 24.0 * max(1, len(wrapped(title, width - 2 * MARGIN, TITLE, bold=True))) + 22


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places from `low` to `high` near the wanted ones, `gap` apart; in the order given."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places, free = [0.0] * len(wanted), low
    for index in order:
        places[index] = max(wanted[index], free)
        free = places[index] + gap
    limit = high
    for index in reversed(order):
        places[index] = min(places[index], limit)
        limit = places[index] - gap
    return places
