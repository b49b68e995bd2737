"""The picture: purchases' p99 by second of their own time, for all contenders, on a logarithmic scale. Plain SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.demo import chart


def svg(
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    surge_seconds: float,
    halved: tuple[float, float],
    note: str = "",
) -> str:
    """`lines`: name to (second since the surge began, ms). The surge and its halved part are shaded."""
    return chart.lines(
        title,
        # A second is drawn at its middle.
        {name: [(second + 0.5, ms) for second, ms in line] for name, line in lines.items()},
        x_label="seconds since the surge began",
        x_text=lambda second: f"{second:g}",
        y_text=chart.milliseconds,
        log=True,
        bands=[chart.Band(0, surge_seconds, "surge"), chart.Band(*halved, "app at half speed")],
        highlight=[name for name in lines if name == "tidegate"],
        height=460,
        note=note,
    )
