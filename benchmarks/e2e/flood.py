"""The flood benchmark: how late purchases are at an app of 5,000/s while views come at many times what it can take.

One topic. A bare C producer sends views, and one purchase in 250 events, at a fixed rate for some seconds; beside it
a purchase every 20 ms is followed to the app. tidegate runs with its defaults. What decides how late those are is
whether the reader keeps up with the flood, and what holds its lane; both are reported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.e2e import events, park, rates
from benchmarks.e2e.runner import ROOT, TIDEGATE, machine, tidegate
from benchmarks.surge import payloads
from benchmarks.surge.notes import Notes
from benchmarks.surge.processes import App, knock, running
from benchmarks.surge.told import LABEL, series_of
from benchmarks.surge.turn import parking_topic
from harness.topics import create_topic, delete_topic

WORKERS, SERVICE_US = 4, 800.0  # 5,000 events/s
CALM, AFTER = 0.5, 2.0  # before the flood and after it, in lengths of it
EVERY_SECONDS = 0.02
ONE_IN = 250  # of the flood's events is a purchase
DISTINCT = 50_000
FORMS: dict[str, dict[str, str]] = {
    "tidegate": {},
    # What is left without the bound on what is read and not settled.
    "tidegate, wide span": {"TIDEGATE_MAX_UNCOMMITTED_RECORDS": "1048576"},
}
PROPERTIES = ("enable.idempotence=true", "compression.type=lz4", "linger.ms=20", "queue.buffering.max.messages=100000")


def flood_file(path: Path) -> str:
    """Events that the app does not follow, as rawpark.c reads them."""
    pieces, types = payloads.pool()
    begun = payloads.stamp(time.time())
    by_type = {kind: [piece for piece, its in zip(pieces, types, strict=True) if its == kind] for kind in set(types)}
    pairs = []
    for n in range(DISTINCT):
        of = by_type["purchase" if n % ONE_IN == 0 else "view"]
        key, middle = of[n % len(of)]
        pairs.append((key, payloads.value(begun, middle, payloads.PROBE + (1 << 32) + n)))
    return park.write(path, pairs)


class Purchases(threading.Thread):
    """Sends one every 20 ms until it is stopped; its time is when it was sent."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        self._topic = topic
        self._stopped = threading.Event()
        self.times: list[float] = []
        self.start()

    def run(self) -> None:
        pieces, types = payloads.pool()
        of = [piece for piece, kind in zip(pieces, types, strict=True) if kind == "purchase"]
        while not self._stopped.wait(EVERY_SECONDS):
            key, middle = of[len(self.times) % len(of)]
            now = time.time()
            self._producer.produce(self._topic, payloads.value(payloads.stamp(now), middle, len(self.times)), key)
            self.times.append(now)
            self._producer.poll(0)
        self._producer.flush(20)

    def finish(self) -> None:
        self._stopped.set()
        self.join()


def ages(sent: list[float], notes: Notes, begin: float, end: float, until: float) -> dict[str, Any]:
    """Of the purchases sent from `begin` to `end`: ms until the app was done with them; what had not come by `until`
    counts with the age that it had by then."""
    done = {number: at for number, at in zip(notes.number, notes.end, strict=True) if number < len(sent)}
    found = sorted((done.get(n, until) - at) * 1e3 for n, at in enumerate(sent) if begin <= at < end)
    missing = sum(n not in done for n, at in enumerate(sent) if begin <= at < end)
    p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
    middle = statistics.median(found)
    return {"events": len(found), "missing": missing} | {
        name: round(value, 1) for name, value in (("p50_ms", middle), ("p99_ms", p99), ("max_ms", found[-1]))
    }


def look(port: str) -> dict[str, Any]:
    """Of one scrape: seconds that lanes were held by reason, records by disposition, records read."""
    series = series_of(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode())
    held: dict[str, float] = {}
    records: dict[str, float] = {}
    for key, value in series.items():
        labels = dict(LABEL.findall(key))
        if key.startswith("tidegate_lane_held_seconds"):
            held[labels.get("reason", "?")] = held.get(labels.get("reason", "?"), 0.0) + value
        elif key.startswith("tidegate_records_total{"):
            records[labels["disposition"]] = records.get(labels["disposition"], 0.0) + value
    return {"time": time.time(), "held": held, "records": records}


def turn(bootstrap: str, form: str, rate: int, seconds: float, place: Path) -> dict[str, Any]:
    """One flood in a topic of its own, as a row."""
    mark = f"flood-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, mark, events.PARTITIONS)
    app = App(WORKERS, SERVICE_US, place / "flood.notes")
    port = str(rates.free_port())
    made = tidegate("tidegate", app.url, TIDEGATE_OPS_ADDRESS=f"127.0.0.1:{port}", **FORMS[form])
    contender = type(made)(made.name, TIDEGATE[:-1], made.env)
    raw = [park.build_raw(), "producev", rates.librdkafka(), bootstrap, mark, str(int(rate * seconds))]
    raw += [flood_file(place / "flood.bin"), f"rate={rate}", *PROPERTIES]
    looks: list[dict[str, Any]] = []
    calm, after = CALM * seconds, AFTER * seconds

    def rest(until: float) -> None:
        while time.time() < until:
            looks.append(look(port))
            time.sleep(0.5)

    try:
        with running(contender, {"bootstrap": bootstrap, "topic": mark, "group": mark}, place / "flood.err") as process:
            knock(bootstrap, mark, app, process)
            purchases = Purchases(bootstrap, mark)
            rest(time.time() + calm)
            begin = time.time()
            flood = subprocess.Popen(raw, stdout=subprocess.PIPE, text=True)
            while flood.poll() is None:
                rest(time.time() + 0.1)
            end = time.time()
            told = json.loads(flood.communicate()[0].splitlines()[-1])
            rest(end + after)
            purchases.finish()
            time.sleep(1.0)
            until = time.time()
            notes = app.finish()
    finally:
        app.close()
        for name in (mark, parking_topic(mark)):
            delete_topic(bootstrap, name)
    last = {
        phase: next(one for one in reversed(looks) if one["time"] <= at or one is looks[0])
        for phase, at in (("before", begin), ("flood", end), ("after", until))
    }
    held = {
        reason: round(last["after"]["held"][reason] - last["before"]["held"].get(reason, 0.0), 2)
        for reason in last["after"]["held"]
    }
    return {
        "form": form,
        "rate": rate,
        "sent_per_second": round(told["n"] / told["seconds"]),
        "ages": {
            "calm": ages(purchases.times, notes, begin - calm, begin, until),
            "flood": ages(purchases.times, notes, begin, end, until),
            "after": ages(purchases.times, notes, end, end + after, until),
        },
        "held_seconds": {reason: took for reason, took in held.items() if took},
        "records": {phase: one["records"] for phase, one in last.items()},
        "looks": looks,
    }


def main(bootstrap: str, options: argparse.Namespace, out: Path | None) -> None:
    """One turn for each rate and repetition; reports."""
    place = ROOT / "build" / "bench"
    place.mkdir(parents=True, exist_ok=True)
    rows = []
    for _ in range(options.reps):
        for rate in options.rates:
            for form in FORMS:
                row = turn(bootstrap, form, rate, options.flood, place)
                rows.append(row)
                short = {name: value for name, value in row.items() if name != "looks"}
                print(json.dumps(short), file=sys.stderr)
    print(f"\nflood: purchases at an app of 5,000/s while so many events a second come for {options.flood:.0f} s")
    print(f"{'':22}{'sent/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}  lane held, seconds by reason")
    for row in rows:
        found = row["ages"]["flood"]
        figures = "".join(f"{found[name]:10}" for name in ("p50_ms", "p99_ms", "max_ms"))
        print(f"{row['form']:22}{row['sent_per_second']:10}{figures}  {row['held_seconds'] or 'never'}")
    if out is not None:
        out.write_text(json.dumps({"machine": machine(), "seconds": options.flood, "rows": rows}, indent=1) + "\n")
