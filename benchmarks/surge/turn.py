"""One contender's turn: a topic, an app, the contender, the stream; then everything is counted."""

from __future__ import annotations

import contextlib
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from benchmarks.e2e import events
from benchmarks.e2e.rates import free_port
from benchmarks.e2e.runner import Contender
from benchmarks.surge import figures
from benchmarks.surge.account import Account
from benchmarks.surge.processes import App, finish, knock, running, stream
from benchmarks.surge.schedule import Schedule
from benchmarks.surge.told import Told
from harness import topics

STILL_SECONDS = 45.0  # without an event at the app, while some are missing: no more will come
REST_SECONDS = 60.0  # for what was in Kafka when the stream ended, a second's worth
STOP_SECONDS = 30.0  # for a contender to end in
CUT_SECONDS = 3.0  # the same where the run was cut off: what it still delivers is not what was asked


@dataclass(frozen=True)
class Plan:
    """What all contenders meet. `limit`: seconds after the surge, at most; `calm`: at least."""

    schedule: Schedule
    workers: int = 4
    service_us: float = 800.0
    calm: float = 15.0
    limit: float = 900.0
    batch: int = 500
    concurrency: int = 8
    linger_ms: int = 20

    @property
    def capacity(self) -> float:
        """Events a second, while nothing is halved."""
        return self.workers * 1e6 / self.service_us


@dataclass(frozen=True)
class Outcome:
    """How a run went. `calm_seconds`: from the surge's end until everything that was due had come. CPU: at the surge's
    begin, at its end, in all."""

    ended: str
    begin: float
    made: dict[str, Any]
    calm_seconds: float
    cpu_seconds: tuple[float, float, float]


def wait(left: Callable[[], int], deadline: float, alive: Callable[[], bool]) -> str:
    """Waits until `left` says 0: "drained"; or "limit", "stalled" where it does not get less, "ended" where the
    contender has."""
    least, since = left(), time.monotonic()
    while (found := left()) > 0:
        now = time.monotonic()
        if not alive():
            return "ended"
        if found < least:
            least, since = found, now
        elif now - since > STILL_SECONDS:
            return "stalled"
        if now > deadline:
            return "limit"
        time.sleep(0.25)
    return "drained"


def play(
    bootstrap: str, topic: str, plan: Plan, app: App, told: Told, account: Account, process: subprocess.Popen[str]
) -> Outcome:
    """The stream from its first event until all is delivered or dropped, or time is up."""
    schedule = plan.schedule

    def alive() -> bool:
        return process.poll() is None

    def behind() -> int:
        """Events neither delivered nor dropped: those due before the calm, and those due until a second ago."""
        counts, dropped = app.stats(), sum(told.dropped().values())
        due = schedule.due(time.time() - begin - 1.0)
        return max(0, schedule.before_calm - counts["before"] - dropped) + max(0, due - counts["unique"] - dropped)

    def missing() -> int:
        return int(made["total"] - app.stats()["unique"] - sum(told.dropped().values()))

    begin = time.time() + 2.0
    app.order((begin + schedule.halved[0], begin + schedule.halved[1]), schedule.before_calm)
    with stream(bootstrap, topic, begin, schedule) as generator:
        rest(begin + schedule.surge_from, told)
        before = account.cpu_seconds
        rest(begin + schedule.surge_to, told)
        after, calm_at = account.cpu_seconds, time.monotonic()
        ended = wait(behind, calm_at + plan.limit, alive)
        calm_seconds = time.monotonic() - calm_at
        if ended == "drained":
            time.sleep(max(0.0, calm_at + plan.calm - time.monotonic()))
        made = finish(generator)
    if ended == "drained":
        ended = wait(missing, time.monotonic() + REST_SECONDS, alive)
    return Outcome(ended, begin, made, calm_seconds, (before, after, account.cpu_seconds))


def rest(until: float, told: Told) -> None:
    """Waits for a moment of the wall clock, and hears what the contender says meanwhile."""
    while (left := until - time.time()) > 0:
        told.dropped()
        time.sleep(min(1.0, left))


def kafkas_count(bootstrap: str, topic: str, group: str) -> tuple[int, int]:
    """(records in the topic, records that the group has still to commit). The parking topic's count as far as the group
    has committed in it: a consumer elsewhere cannot be told from records that were forgotten."""
    ends = topics.ends(bootstrap, topics.partitions_of(bootstrap, [topic]))
    committed = topics.committed(bootstrap, group, ends)
    uncommitted = sum(end - committed.get(partition, 0) for partition, end in ends.items())
    with contextlib.suppress(KeyError):  # there is none
        parked = topics.ends(bootstrap, topics.partitions_of(bootstrap, [parking_topic(group)]))
        replayed = topics.committed(bootstrap, group, parked)
        uncommitted += sum(parked[partition] - offset for partition, offset in replayed.items())
    return sum(ends.values()), uncommitted


def parking_topic(group: str) -> str:
    return f"tidegate.{group}.parked"


def turn(contender: Contender, bootstrap: str, plan: Plan, place: Path) -> dict[str, Any]:
    """One run in a topic and a group of their own, as a row. Raises RuntimeError where it cannot be carried out."""
    mark = f"surge-{uuid.uuid4().hex[:8]}"
    slug = "".join(c if c.isalnum() else "-" for c in contender.name)
    errors = place / f"{slug}.err"
    topics.create_topic(bootstrap, mark, events.PARTITIONS)
    app = App(plan.workers, plan.service_us, place / f"{slug}.notes")
    values = {
        "bootstrap": bootstrap, "topic": mark, "group": mark, "sink": app.url, "ops_port": str(free_port()),
        "batch": str(plan.batch), "concurrency": str(plan.concurrency), "conc": str(plan.concurrency),
        "linger_ms": str(plan.linger_ms), "n": "0", "mode": "push",
    }  # fmt: skip
    try:
        with running(contender, values, errors) as process:
            account = Account(process.pid)
            told = Told(process, values["ops_port"] if "TIDEGATE_OPS_ADDRESS" in contender.env else None)
            try:
                knocks = knock(bootstrap, mark, app, process)
                outcome = play(bootstrap, mark, plan, app, told, account, process)
                own = told.finish(STOP_SECONDS if outcome.ended == "drained" else CUT_SECONDS)
            finally:
                account.close()
        stats = app.stats()
        row = figures.of(app.finish(), plan.schedule, outcome.begin, outcome.made, told.dropped(), plan.workers)
        stored, uncommitted = kafkas_count(bootstrap, mark, mark)
    except RuntimeError as error:
        tail = errors.read_text(errors="replace")[-600:] if errors.exists() else ""
        raise RuntimeError(f"{contender.name}: {error}\n{tail}") from error
    finally:
        app.close()
        for name in (mark, parking_topic(mark)):
            with contextlib.suppress(KafkaException):
                topics.delete_topic(bootstrap, name)
    made = outcome.made
    if made["refused"] == 0 and stored - knocks != made["total"]:
        raise RuntimeError(f"{made['total']} events were sent and {stored - knocks} are in Kafka")
    missing = sum(row["missing"].values())
    waiting = min(max(0, missing), uncommitted)
    before, after, whole = outcome.cpu_seconds
    return {
        "contender": contender.name,
        "ended": outcome.ended,
        "calm_seconds": round(outcome.calm_seconds, 1),
        **row,
        "deferred": told.deferred,
        "replayed": stats["replayed"],
        "weighted": stats["weighted"],
        "waiting": waiting,
        "lost": missing - waiting,
        "peak_rss_mib": round(account.peak_kib / 1024, 1),
        "cpu_seconds": round(whole, 2),
        "cpu_seconds_in_surge": round(after - before, 2),
        "load_average": round(account.load_average, 2),
        "knocks": knocks,
        "own": own,
        "generator": {**made, "stored": stored - knocks},
        "app": {name: stats[name] for name in ("late_ms", "cpu_seconds", "unreadable")},
    }
