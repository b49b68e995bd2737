"""The drain and push benchmarks: how fast a backlog is read, and read and delivered."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.e2e import events
from benchmarks.e2e.runner import ROOT, Contender, compete, report, tidegate

HERE = ROOT / "benchmarks" / "e2e"
BATCH, CONCURRENCY = 500, 8
# The raw loop reads with the same limits as tidegate.
RAW_PROPERTIES = (
    "check.crcs=true",
    "fetch.queue.backoff.ms=10",
    "queued.min.messages=100000",
    "queued.max.messages.kbytes=9830",
    "fetch.message.max.bytes=262144",
    "fetch.max.bytes=6291456",
    "enable.auto.commit=false",
    "partition.assignment.strategy=cooperative-sticky",
)


def librdkafka() -> str:
    """Path of the library that confluent-kafka has loaded."""
    import confluent_kafka  # noqa: F401

    for line in Path("/proc/self/maps").read_text().splitlines():
        if "librdkafka" in line:
            return line.split()[-1]
    raise RuntimeError("librdkafka is not loaded")


def build_raw() -> str:
    """Compiles the raw loop. Returns its path."""
    target = ROOT / "build" / "bench" / "rawloop"
    target.parent.mkdir(parents=True, exist_ok=True)
    sources = [str(HERE / "rawloop.c"), str(ROOT / "csrc" / "tg_rdkafka.c")]
    subprocess.run(["cc", "-O2", "-std=gnu11", f"-I{ROOT / 'csrc'}", *sources, "-ldl", "-o", str(target)], check=True)
    return str(target)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def app(*arguments: str) -> Iterator[str]:
    """The HTTP app in a process of its own; its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(HERE / "app.py"), str(port), *arguments])
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/events"
    finally:
        process.kill()
        process.wait()


def loop(name: str, module: str, env: dict[str, str]) -> Contender:
    return Contender(name, [sys.executable, "-m", f"benchmarks.e2e.contenders.{module}"], env)


def drain_contenders() -> list[Contender]:
    raw = [build_raw(), librdkafka(), "{bootstrap}", "{topic}", "{group}", "{records}", *RAW_PROPERTIES]
    return [
        Contender("raw C loop", raw),
        tidegate("tidegate", "blackhole:"),
        loop("confluent-kafka + orjson", "client_loop", {"SINK": ""}),
        loop("aiokafka + orjson", "aiokafka_loop", {"SINK": ""}),
    ]


def push_contenders(sink: str) -> list[Contender]:
    env = {"SINK": sink}
    return [
        tidegate("tidegate ndjson", sink),
        tidegate("tidegate ndjson fixed", sink, TIDEGATE_LIMITER="fixed"),
        tidegate("tidegate json", sink, TIDEGATE_FORMAT="json"),
        loop("confluent-kafka + aiohttp", "client_loop", env),
        loop("aiokafka + aiohttp", "aiokafka_loop", env),
    ]


def filled(bootstrap: str, records: int) -> str:
    """A new topic with that many events."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    print(f"filling {topic} with {records} events", file=sys.stderr)
    events.fill(bootstrap, topic, records)
    return topic


def main(
    what: str, bootstrap: str, options: argparse.Namespace, added: list[Contender], only: list[str], out: Path | None
) -> str:
    """Fills a topic unless one is named, runs all contenders, reports. Returns the topic."""
    topic = str(options.topic or filled(bootstrap, options.records))
    with app() as url:
        contenders = (drain_contenders() if what == "drain" else push_contenders(url)) + added
        if only:
            contenders = [one for one in contenders if one.name in only]
        values = {
            "bootstrap": bootstrap,
            "topic": topic,
            "records": str(options.records),
            "sink": url if what == "push" else "",
            "batch": str(BATCH),
            "concurrency": str(CONCURRENCY),
        }
        rows = compete(contenders, values, options.reps, options.timeout)
        counted = json.loads(urllib.request.urlopen(url).read())
    title = f"{what}: {options.records} events of about 266 bytes, {events.PARTITIONS} partitions, lz4"
    floor = "raw C loop" if what == "drain" else "confluent-kafka + aiohttp"
    report(title, rows, floor, {"app": counted}, out)
    return topic
