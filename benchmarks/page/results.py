"""The results' files as they have to be: a field that is missing, unknown or of another type is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

PLACE = Path(__file__).resolve().parents[1] / "results"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(Strict):
    """`commit` ends in + where the tree had changes."""

    cpu: str
    cores: int
    kernel: str
    python: str
    versions: dict[str, str]
    commit: str
    date: str


class Report(Strict):
    title: str
    machine: Machine
    note: str = ""  # how rows came here, where a run did not write the file itself


class Medians(Strict):
    records_per_second: float
    best_records_per_second: float
    cpu_us_per_record: float
    least_cpu_us_per_record: float
    peak_rss_mib: float


class Rates(Report):
    """drain and push; `rows` has every turn."""

    app: dict[str, Any]
    medians: dict[str, Medians]
    rows: list[dict[str, Any]]


class Hold(Report):
    ratios: dict[str, float]
    medians: dict[str, Medians]
    rows: list[dict[str, Any]]


class Shed(Report):
    ratios: dict[str, dict[str, float]]
    medians: dict[str, Medians]
    rows: list[dict[str, Any]]


class Peers(Report):
    """Stages A and B of peers. `peers`: versions by contender."""

    peers: dict[str, str]
    medians: dict[str, Medians]
    rows: list[dict[str, Any]]


class Spread(Strict):
    n: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class StageRow(Strict):
    """`error` alone, or all of the rest."""

    rep: int
    contender: str
    at: str
    load_average: float
    commit: str = ""  # where it is not the machine's
    error: str = ""
    sent: int = 0
    delivered: int = 0
    undelivered: int = 0
    twice: int = 0
    ages: dict[str, dict[str, Spread]] = {}
    purchases_in_burst: int = 0
    events_per_request: float = 0.0
    cpu_us_per_record: float = 0.0
    peak_rss_mib: float = 0.0
    delivered_after_seconds: float = 0.0


class StageC(Report):
    peers: dict[str, str]
    rows: list[StageRow]


class FloodAges(Strict):
    events: int
    missing: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class FloodRow(Strict):
    form: str
    rate: int
    sent_per_second: int
    ages: dict[str, FloodAges]
    held_seconds: dict[str, float]
    records: dict[str, dict[str, float]]
    looks: list[dict[str, Any]] = []


class Flood(Report):
    title: str = "flood"
    seconds: float
    rows: list[FloodRow]


class Waits(Strict):
    events: int
    bulk_per_second: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Latency(Report):
    rows: dict[str, Waits]


class Start(Report):
    first_event_seconds: float
    idle_cpu_share: float
    version_seconds: float


class SurgeRow(BaseModel):
    """What the page shows of a row; surge.json has more."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    rep: int
    contender: str
    ended: str
    calm_seconds: float
    produced: dict[str, int]
    delivered: dict[str, int]
    twice: dict[str, int]
    dropped: dict[str, int]
    ages: dict[str, dict[str, Spread | None]]
    at_least: int
    deferred: int
    replayed: int
    lost: int
    utilisation_in_surge: float | None
    peak_rss_mib: float
    cpu_seconds: float
    load_average: float
    purchases_p99_by_second: list[tuple[float, float]]


class Surge(Report):
    plan: dict[str, Any]
    left_out: list[str]
    rows: list[dict[str, Any]]
    stage_c: list[dict[str, Any]] = []


class Results(Strict):
    """All files of the place, each named as its field."""

    drain: Rates
    push: Rates
    hold: Hold
    shed: Shed
    latency: Latency
    start: Start
    flood: Flood
    surge: Surge
    stage_c: StageC
    peers_drain: Peers
    peers_push: Peers


def load(place: Path = PLACE) -> Results:
    """Raises pydantic's ValidationError, which names file and field, OSError where a file is missing."""
    told = {name: json.loads((place / f"{name}.json").read_text()) for name in Results.model_fields}
    return Results.model_validate(told)
