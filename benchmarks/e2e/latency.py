"""Latency from Kafka's append to the app: critical events on a topic of their own, 500 a second, linger 0.

Twice: alone, and while a backlog of bulk events in another topic is read and pushed at full speed beside them.

The record's timestamp is the broker's (LogAppendTime, whole milliseconds); the app notes its own wall clock at the
last byte of a body. Both run on this machine, so the clocks are one; the millisecond's fraction is lost, so figures
are up to 1 ms too high and never too low by more than that.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.e2e import events, rates
from benchmarks.e2e.runner import machine

RATE = 500
WARM_SECONDS = 3.0


def produce(bootstrap: str, topic: str, seconds: float) -> int:
    """RATE events a second; returns how many."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": 1})
    pool, sent, begun = events.events(1000), 0, time.monotonic()
    while sent < seconds * RATE:
        producer.produce(topic, pool[sent % 1000][1], pool[sent % 1000][0])
        producer.poll(0)
        sent += 1
        time.sleep(max(0.0, begun + sent / RATE - time.monotonic()))
    producer.flush(30)
    return sent


def ask(url: str) -> dict[str, Any]:
    """The app's counts and the ages since the last question."""
    found: dict[str, Any] = json.loads(urllib.request.urlopen(url, timeout=30).read())
    return found


@contextmanager
def running(bootstrap: str, critical: str, bulk: str | None, url: str) -> Iterator[None]:
    """tidegate on both topics, until the block ends."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")} | {
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "TIDEGATE_TOPICS": critical if bulk is None else f"{critical},{bulk}",
        "TIDEGATE_CRITICAL": f"topic:{critical}",
        "TIDEGATE_GROUP_ID": critical,
        "TIDEGATE_SINK_URL": url,
        "TIDEGATE_FORMAT": "envelope",  # it carries the timestamp
        "TIDEGATE_BATCH_LINGER_MS": "0",
        "TIDEGATE_OPS_ADDRESS": "none",
        "TIDEGATE_ADMIN_ADDRESS": "none",
        "TIDEGATE_LOG_LEVEL": "warning",
    }
    if bulk is not None:
        env["TIDEGATE_BULK"] = f"topic:{bulk}"
    process = subprocess.Popen([sys.executable, "-m", "tidegate", "run"], env=env)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def measure(bootstrap: str, seconds: float, bulk: str | None) -> dict[str, Any]:
    """One run; `bulk`: the topic with a backlog that is read meanwhile."""
    critical = f"latency-{uuid.uuid4().hex[:8]}"
    topics = [NewTopic(critical, events.PARTITIONS, 1, config={"message.timestamp.type": "LogAppendTime"})]
    admin = AdminClient({"bootstrap.servers": bootstrap})  # must outlive its futures
    for future in admin.create_topics(topics).values():
        future.result()
    with rates.app("critical") as url, running(bootstrap, critical, bulk, url):
        warmed = produce(bootstrap, critical, WARM_SECONDS)
        deadline, arrived = time.monotonic() + 30, 0
        while arrived < warmed:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{warmed} events were sent, {arrived} arrived in 30 s")
            time.sleep(0.2)
            arrived += len(ask(url)["ages_ms"])
        before, begun = ask(url)["records"], time.monotonic()
        sent = produce(bootstrap, critical, seconds)
        took, after = time.monotonic() - begun, ask(url)
        time.sleep(1)
        ages = after["ages_ms"] + ask(url)["ages_ms"]
    if len(ages) != sent:
        raise RuntimeError(f"{sent} events were sent, {len(ages)} arrived")
    cuts = statistics.quantiles(ages, n=1000, method="inclusive")
    return {
        "events": sent,
        "bulk_per_second": max(0, round((after["records"] - before - sent) / took)),
        "p50_ms": round(cuts[499], 2),
        "p90_ms": round(cuts[899], 2),
        "p99_ms": round(cuts[989], 2),
        "max_ms": round(max(ages), 2),
    }


def main(bootstrap: str, seconds: float, bulk: str, out: Path | None) -> None:
    """Measures both and prints one JSON object. `bulk` must hold enough for all of the time."""
    rows = {"alone": measure(bootstrap, seconds, None), "beside bulk": measure(bootstrap, seconds, bulk)}
    title = f"latency of {RATE} critical events a second"
    text = json.dumps({"title": title, "machine": machine(), "rows": rows}, indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n")
