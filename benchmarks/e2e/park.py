"""The parking benchmark: records into the parking topic, against a bare C loop that produces the same bytes."""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import uuid
from pathlib import Path

from benchmarks.e2e import events
from benchmarks.e2e.rates import HERE, librdkafka
from benchmarks.e2e.runner import ROOT, Contender, compete, report
from harness.topics import create_topic, delete_topic
from tidegate.core.parked import encode
from tidegate.core.parking import Parked
from tidegate.core.producer import PROPERTIES

RECORDS, KBYTES = 65536, 17409  # the producer's own limits, in librdkafka's terms
FLOOR = "raw producev"


def build_raw() -> str:
    """Compiles the raw loop. Returns its path."""
    target = ROOT / "build" / "bench" / "rawpark"
    target.parent.mkdir(parents=True, exist_ok=True)
    sources = [str(HERE / "rawpark.c"), str(ROOT / "csrc" / "tg_rdkafka.c")]
    subprocess.run(["cc", "-O2", "-std=gnu11", f"-I{ROOT / 'csrc'}", *sources, "-ldl", "-o", str(target)], check=True)
    return str(target)


def write(path: Path, pairs: list[tuple[bytes, bytes]]) -> str:
    """Keys and values as rawpark.c reads them; each begins at a multiple of four bytes."""
    with path.open("wb") as file:
        for key, value in pairs:
            one = struct.pack("=II", len(key), len(value)) + key + value
            file.write(one + b"\0" * (-len(one) % 4))
    return str(path)


def main(
    bootstrap: str, options: argparse.Namespace, added: list[Contender], only: list[str], out: Path | None
) -> None:
    """Makes a topic, runs all contenders, reports, and deletes the topic."""
    topic = f"bench-parked-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, events.PARTITIONS, {"retention.bytes": "134217728", "segment.bytes": "67108864"})
    pairs = events.events()
    parked = Parked("shop.events", 0, 0, 1_700_000_000_000, 1, 3, None, None, (), None)
    place = ROOT / "build" / "bench"
    raw = build_raw()
    payloads = write(place / "payloads.bin", pairs)
    envelopes = write(
        place / "envelopes.bin",
        [(key, encode(parked._replace(offset=n, payload=value))) for n, (key, value) in enumerate(pairs)],
    )
    properties = [f"{name}={value}" for name, value in PROPERTIES.items() if name != "log.queue"]
    properties += [f"queue.buffering.max.messages={RECORDS}", f"queue.buffering.max.kbytes={KBYTES}"]
    rest = [librdkafka(), "{bootstrap}", "{topic}", "{records}", envelopes, *properties]
    loop = str(HERE / "contenders" / "park_loop.py")
    contenders = [
        Contender(FLOOR, [raw, "producev", *rest]),
        Contender("raw produce", [raw, "produce", *rest]),
        Contender("raw produce, own block", [raw, "free", *rest]),
        Contender("tidegate", [sys.executable, loop, "{bootstrap}", "{topic}", "{records}", payloads]),
        *added,
    ]
    if only:
        contenders = [one for one in contenders if one.name in only]
    values = {"bootstrap": bootstrap, "topic": topic, "records": str(options.records)}
    rows = compete(contenders, values, options.reps, options.timeout)
    title = f"park: {options.records} events of about 266 bytes, {events.PARTITIONS} partitions, lz4, acks=all"
    report(title, rows, FLOOR, {}, out)
    delete_topic(bootstrap, topic)
