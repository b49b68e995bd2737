"""The shedding benchmark: a backlog of which 95 % is dropped or parked, against all of it delivered, and raw C loops.

A flood never queues orders behind it only if it is read as fast as it comes whatever becomes of it: dropping may not be
slower than delivering, and parking should be near what the same library does in a bare loop that consumes and produces.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks.e2e import events, rates
from benchmarks.e2e.park import KBYTES, RECORDS
from benchmarks.e2e.runner import ROOT, Contender, compete, medians, report, tidegate
from harness.topics import create_topic, delete_topic
from tidegate import allocator
from tidegate.core.producer import PROPERTIES

LOOP = str(rates.HERE / "contenders" / "shed_sidecar.py")
EVERY = 20  # one record in so many is not shed
SHARE = {
    "deliver": 1.0,
    "drop": 1 / 64,
    "park": 0.0206,
}  # of views and carts, which are 97 in 100; dropping has rungs: 4.5 % stay
FLOOR = "raw C loop"
RAW_PARK = "raw consume + producev"


def build_raw() -> str:
    """Compiles the raw loop. Returns its path."""
    target = ROOT / "build" / "bench" / "rawshed"
    target.parent.mkdir(parents=True, exist_ok=True)
    sources = [str(rates.HERE / "rawshed.c"), str(ROOT / "csrc" / "tg_rdkafka.c")]
    subprocess.run(["cc", "-O2", "-std=gnu11", f"-I{ROOT / 'csrc'}", *sources, "-ldl", "-o", str(target)], check=True)
    return str(target)


def shedding(name: str, what: str, policy: str) -> Contender:
    """The sidecar into blackhole:, with a standing order."""
    made = tidegate(
        name,
        "blackhole:",
        TIDEGATE_BULK="default,cart",
        TIDEGATE_BULK_ON_PRESSURE=policy,
        TIDEGATE_NORMAL_ON_PRESSURE=policy,
    )
    return Contender(name, [sys.executable, LOOP, what, str(SHARE[what])], made.env)


def contenders(out: str) -> list[Contender]:
    """The raw loops, and tidegate's forms."""
    raw_read = next(one for one in rates.drain_contenders() if one.name == FLOOR)
    properties = [f"producer.{name}={value}" for name, value in PROPERTIES.items() if name != "log.queue"]
    properties += [f"producer.queue.buffering.max.messages={RECORDS}", f"producer.queue.buffering.max.kbytes={KBYTES}"]
    raw_park = [build_raw(), rates.librdkafka(), "{bootstrap}", "{topic}", "{group}", "{records}", out, str(EVERY)]
    raw_park += [*rates.RAW_PROPERTIES, *properties]
    own = allocator.library()  # tidegate's, where it is installed
    return [
        raw_read,
        Contender(RAW_PARK, raw_park),
        *([] if own is None else [Contender(f"{RAW_PARK}, mimalloc", raw_park, {"LD_PRELOAD": str(own)})]),
        shedding("tidegate delivers", "deliver", "defer"),
        shedding("tidegate drops", "drop", "sample"),
        shedding("tidegate parks", "park", "defer"),
    ]


def clear(bootstrap: str) -> None:
    """Deletes the parking topics that runs have left, which go by their groups."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    left = [name for name in admin.list_topics(timeout=20).topics if name.startswith("tidegate.bench-")]
    for done in admin.delete_topics(left).values() if left else ():
        with contextlib.suppress(KafkaException):
            done.result(20)


def ratios(table: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """What was promised: rates as parts of another's, median and best of the turns."""
    pairs = [
        ("tidegate drops", "tidegate delivers"),
        ("tidegate drops", FLOOR),
        ("tidegate parks", RAW_PARK),
        ("tidegate parks", f"{RAW_PARK}, mimalloc"),
    ]
    columns = {"median": "records_per_second", "best": "best_records_per_second"}
    return {
        f"{one} / {other}": {of: table[one][column] / table[other][column] for of, column in columns.items()}
        for one, other in pairs
        if one in table and other in table
    }


def main(bootstrap: str, options: argparse.Namespace, added: list[Contender], only: list[str], out: Path | None) -> str:
    """Fills a topic unless one is named, runs all contenders, reports. Returns the topic."""
    topic = str(options.topic or rates.filled(bootstrap, options.records))
    parked = f"bench-shed-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, parked, events.PARTITIONS, {"retention.bytes": "134217728", "segment.bytes": "67108864"})
    found = contenders(parked) + added
    if only:
        found = [one for one in found if one.name in only]
    values = {"bootstrap": bootstrap, "topic": topic, "records": str(options.records)}
    try:
        rows = compete(found, values, options.reps, options.timeout, after=lambda: clear(bootstrap))
    finally:
        delete_topic(bootstrap, parked)
    title = f"shed: {options.records} events of about 266 bytes, {events.PARTITIONS} partitions, lz4; 95 % shed"
    found_ratios = ratios(medians(rows))
    report(title, rows, FLOOR, {"ratios": found_ratios}, out)
    for name, ratio in found_ratios.items():
        print(f"{name:60}" + "".join(f"{of}: {value:.2f}  " for of, value in ratio.items()))
    return topic
