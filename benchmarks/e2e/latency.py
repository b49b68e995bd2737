"""Latency from Kafka's append to the app, at a low rate: 500 events a second, linger 0, otherwise idle.

The record's timestamp is the broker's (LogAppendTime, whole milliseconds); the app notes its own wall clock at the
last byte of a body. Both run on this machine, so the clocks are one; the millisecond's fraction is lost, so figures
are up to 1 ms too high and never too low by more than that.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.e2e import events
from benchmarks.e2e.runner import machine

RATE = 500


def produce(bootstrap: str, topic: str, seconds: float) -> int:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": 1})
    pool, sent, begun = events.events(1000), 0, time.monotonic()
    while sent < seconds * RATE:
        producer.produce(topic, pool[sent % 1000][1], pool[sent % 1000][0])
        producer.poll(0)
        sent += 1
        time.sleep(max(0.0, begun + sent / RATE - time.monotonic()))
    producer.flush(30)
    return sent


async def measure(bootstrap: str, seconds: float) -> dict[str, object]:
    from aiohttp import web

    delays: list[float] = []
    arrived = asyncio.Event()

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        now = time.time() * 1000
        delays.extend(now - json.loads(line)["ts"] for line in body.splitlines())
        arrived.set()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    topic = f"latency-{uuid.uuid4().hex[:8]}"
    topics = [NewTopic(topic, events.PARTITIONS, 1, config={"message.timestamp.type": "LogAppendTime"})]
    admin = AdminClient({"bootstrap.servers": bootstrap})  # must outlive its futures
    for future in admin.create_topics(topics).values():
        future.result()
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")} | {
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "TIDEGATE_TOPICS": topic,
        "TIDEGATE_GROUP_ID": topic,
        "TIDEGATE_SINK_URL": f"http://127.0.0.1:{port}/",
        "TIDEGATE_FORMAT": "envelope",  # it carries the timestamp
        "TIDEGATE_BATCH_LINGER_MS": "0",
        "TIDEGATE_OPS_ADDRESS": "none",
        "TIDEGATE_ADMIN_ADDRESS": "none",
        "TIDEGATE_LOG_LEVEL": "warning",
    }
    # In a process of its own: it must not take the app's time.
    producer = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tidegate", "run", env=env)
    try:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(producer, produce, bootstrap, topic, 3.0)  # warm
        async with asyncio.timeout(30):
            await arrived.wait()
        await asyncio.sleep(1)
        delays.clear()
        sent = await loop.run_in_executor(producer, produce, bootstrap, topic, seconds)
        await asyncio.sleep(1)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
        producer.shutdown()
        await runner.cleanup()
    if len(delays) < sent:
        raise RuntimeError(f"{sent} events were sent, {len(delays)} arrived")
    cuts = statistics.quantiles(delays, n=1000, method="inclusive")
    return {
        "events": sent,
        "p50_ms": round(cuts[499], 2),
        "p90_ms": round(cuts[899], 2),
        "p99_ms": round(cuts[989], 2),
        "max_ms": round(max(delays), 2),
    }


def main(bootstrap: str, seconds: float, out: Path | None) -> None:
    """Measures and prints one JSON object."""
    row = asyncio.run(measure(bootstrap, seconds))
    text = json.dumps({"title": f"latency at {RATE} events a second", "machine": machine(), **row}, indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n")
