"""The ladder as the operator sees it and sets it: what `tidegate pressure` asks the admin listener for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from tidegate.ops.http import JSON, Answer
from tidegate.pressure.orders import Pressure, Rung
from tidegate.types import CLASSES

AUTO = "auto"
RUNGS = {rung.label: rung for rung in Rung}


class PressureDesk:
    """Answers on the event loop's thread.

    Args:
        standing: how things stand.
        force: sets a rung, or None for none; raises ValueError where nothing can act on it.
        force_replay: sets how fast parked records come back, or None for none; raises ValueError where nothing can.
    """

    def __init__(
        self,
        standing: Callable[[], Pressure],
        force: Callable[[Rung | None], None],
        force_replay: Callable[[float | None], None],
    ) -> None:
        self._standing = standing
        self._force = force
        self._force_replay = force_replay

    def answer(self, wanted: str | None, replay: str | None = None) -> Answer:
        """To a request for this rung, and for this rate of coming back; None: only for how things stand."""
        if replay is not None:
            try:
                rate = None if replay == AUTO else float(replay)
                if rate is not None and not 0 <= rate < math.inf:
                    raise ValueError
            except ValueError:
                return Answer(400, f"no rate: records/s from 0, or {AUTO}\n".encode())
            try:
                self._force_replay(rate)
            except ValueError as error:
                return Answer(409, f"{error}\n".encode())
        if wanted is not None:
            if wanted != AUTO and wanted not in RUNGS:
                return Answer(400, f"no rung: {', '.join(RUNGS)} or {AUTO}\n".encode())
            try:
                self._force(RUNGS.get(wanted))
            except ValueError as error:
                return Answer(409, f"{error}\n".encode())
        return Answer(200, as_json(self._standing()), JSON)


def as_json(now: Pressure) -> bytes:
    """One line. Rates are records/s; `forced` is the rung that the operator set, from the next tick on."""
    view = now.view
    report: dict[str, object] = {
        "rung": now.rung.label,
        "forced": None if now.forced is None else now.forced.label,
        "highest": now.highest.label,
    }
    if now.state.topic is not None:
        report["parked"] = {
            "topic": now.state.topic,
            "available": now.parking.available,
            "waiting": round(now.parking.records),
            "replay": _rate(now.state.replay_rate),
            "forced_replay": _rate(now.forced_replay),
            "emptying_seconds": round(now.emptying_seconds, 1) if math.isfinite(now.emptying_seconds) else None,
            "failures": dict(now.state.failures),
        }
    if view is not None:
        report |= {
            "service": _rate(view.service),
            "capacity": _rate(view.capacity),
            "completed": _rate(view.completed),
            "utilisation": round(view.utilisation, 3),
            "memory": round(view.memory, 3),
            "head_age_seconds": round(max((lane.age for lane in view.lanes.values()), default=0.0), 3),
            "lag": round(sum(lane.lag for lane in view.lanes.values())),
            "classes": {
                klass.label: {
                    "offered": _rate(view.offered(klass)),
                    "completed": _rate(completed),
                    "queued": view.queued[klass],
                    "keep": round(keep, 3),
                }
                for klass, completed, keep in zip(CLASSES, view.completions, now.keep, strict=True)
            },
        }
    return json.dumps(report, separators=(",", ":")).encode() + b"\n"


def _rate(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
