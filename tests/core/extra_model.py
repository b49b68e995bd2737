"""What the app is told of parked and sampled records, in plain Python: ids as text, weights, tracestate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegate.core.extra import Extra

ALL = 1 << 56  # values that R can have
Id = tuple[str, int, int]


def write_offsets(ids: Sequence[Id]) -> str:
    """The X-Tidegate-Offsets header: a place is named again where it changes or the offsets go back."""
    text: list[str] = []
    last: Id | None = None
    run = 0

    def end() -> None:
        if run > 1:
            text.append(f"x{run}")

    for topic, partition, offset in ids:
        if last is None or last[:2] != (topic, partition) or offset <= last[2]:
            end()
            text.append(f"{';' if last else ''}{topic}/{partition}:{offset}")
            run = 1
        elif offset == last[2] + 1:
            run += 1
        else:
            end()
            text.append(f",+{offset - last[2]}")
            run = 1
        last = topic, partition, offset
    end()
    return "".join(text)


def weight(extra: Extra | None) -> float:
    """How many records one stands for (OpenTelemetry, adjusted count), in doubles; 1 where that is no weight."""
    if extra is None:
        return 1.0
    found = extra.factor * (float(ALL) / float(ALL - (extra.threshold or 0)))
    return found if math.isfinite(found) and found >= 2.2250738585072014e-308 else 1.0


def decimal(value: float) -> str:
    """Shortest decimal; whole numbers without a point."""
    return repr(value).removesuffix(".0")


def tracestate(extra: Extra | None) -> str | None:
    """The value of tracestate's `ot` entry; None: no threshold was applied."""
    if extra is None or extra.threshold is None:
        return None
    text = f"th:{f'{extra.threshold:014x}'.rstrip('0') or '0'}"
    return text if extra.randomness is None else f"{text};rv:{extra.randomness:014x}"
