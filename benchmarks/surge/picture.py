"""The picture: purchases' p99 by second of their own time, for all contenders, on a logarithmic scale. Plain SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 960, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 270, 50, 50
LEAST_MS, MOST_MS = 1.0, 1_000_000.0
# Okabe and Ito's, told apart by the colour-blind too; the second round is dashed.
COLOURS = ("#0072b2", "#009e73", "#56b4e9", "#d55e00", "#e69f00", "#cc79a7", "#000000")
TICKS = ((1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1e3, "1 s"), (1e4, "10 s"), (1e5, "100 s"), (1e6, "1000 s"))


def svg(
    title: str,
    lines: dict[str, Sequence[tuple[float, float]]],
    surge_seconds: float,
    halved: tuple[float, float],
) -> str:
    """`lines`: name to (second since the surge began, ms). The surge and its halved part are shaded."""
    seconds = [second for line in lines.values() for second, _ in line] or [0.0, 1.0]
    first, last = min(seconds), max(max(seconds) + 1, surge_seconds)  # a second is drawn at its middle
    most = max((ms for line in lines.values() for _, ms in line), default=1e3)
    top = min(MOST_MS, 10 ** math.ceil(math.log10(max(most, 10.0))))

    def x(second: float) -> float:
        return LEFT + (second - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(ms: float) -> float:
        share = math.log(min(max(ms, LEAST_MS), top) / LEAST_MS) / math.log(top / LEAST_MS)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def band(begin: float, end: float, colour: str) -> str:
        size = f'width="{x(end) - x(begin):.1f}" height="{HEIGHT - TOP - BOTTOM}"'
        return f'<rect x="{x(begin):.1f}" y="{TOP}" {size} fill="{colour}"/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="28" font-size="16">{escape(title)}</text>',
        band(0, surge_seconds, "#f3f3f3"),
        band(*halved, "#e6e6e6"),
    ]
    for ms, label in TICKS:
        if ms <= top:
            parts.append(f'<path d="M{LEFT} {y(ms):.1f}H{WIDTH - RIGHT}" stroke="#ccc"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y(ms) + 4:.1f}" text-anchor="end">{label}</text>')
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if (last - first) / step <= 12)
    parts += [
        f'<text x="{x(second):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{second}</text>'
        for second in range(math.ceil(first / step) * step, math.floor(last) + 1, step)
    ]
    parts.append(
        f'<text x="{LEFT}" y="{HEIGHT - 10}">seconds since the surge began; dark: the app at half speed</text>'
    )
    for index, (name, line) in enumerate(lines.items()):
        style = f'stroke="{COLOURS[index % len(COLOURS)]}"' + (
            ' stroke-dasharray="5 3"' if index >= len(COLOURS) else ""
        )
        points = " ".join(f"{x(second + 0.5):.1f},{y(ms):.1f}" for second, ms in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke-width="1.8" {style}/>')
        at = TOP + 10 + index * 20
        parts.append(f'<path d="M{WIDTH - RIGHT + 14} {at}h24" stroke-width="2.5" {style}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 44}" y="{at + 4}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
