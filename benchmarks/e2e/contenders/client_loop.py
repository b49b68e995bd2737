"""A tuned confluent-kafka loop: consume(10000), orjson, a dict; with SINK: batches to it by aiohttp on uvloop.

What a careful Python developer writes today. Offsets are committed behind what was acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import os
import time

import orjson
from benchmarks.tuned_consumer import consumer
from confluent_kafka import TopicPartition

TOPIC, RECORDS = os.environ["TOPIC"], int(os.environ["RECORDS"])
BATCH, CONCURRENCY = int(os.environ["BATCH"]), int(os.environ["CONCURRENCY"])


def count() -> tuple[int, float]:
    client, types, n, first = consumer(), {}, 0, 0.0
    loads = orjson.loads
    while n < RECORDS:
        messages = client.consume(10000, 0.1)
        if messages and not first:
            first = time.monotonic()
        for message in messages:
            kind = loads(message.value())["event_type"]
            types[kind] = types.get(kind, 0) + 1
        n += len(messages)
    return n, time.monotonic() - first


async def push() -> tuple[int, float]:
    import aiohttp

    loop, client, n, first = asyncio.get_running_loop(), consumer(), 0, 0.0
    slots = asyncio.Semaphore(CONCURRENCY)
    tasks: set[asyncio.Task[None]] = set()
    done: dict[int, int] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:

        async def send(body: bytes, ends: dict[int, int]) -> None:
            try:
                async with session.post(
                    os.environ["SINK"], data=body, headers={"Content-Type": "application/x-ndjson"}
                ) as answer:
                    answer.raise_for_status()
                    await answer.read()
                done.update(ends)
            finally:
                slots.release()

        committed = time.monotonic()
        while n < RECORDS:
            messages = await loop.run_in_executor(None, client.consume, BATCH, 0.05)
            if not messages:
                continue
            if not first:
                first = time.monotonic()
            lines, ends = [], {}
            for message in messages:
                event = orjson.loads(message.value())  # its type decides, as with every contender
                lines.append(orjson.dumps(event))
                ends[message.partition()] = message.offset() + 1
            n += len(messages)
            await slots.acquire()
            task = asyncio.create_task(send(b"\n".join(lines), ends))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if time.monotonic() - committed > 1 and done:
                committed = time.monotonic()
                client.commit(offsets=[TopicPartition(TOPIC, p, o) for p, o in done.items()], asynchronous=True)
        await asyncio.gather(*tasks)
    return n, time.monotonic() - first


if os.environ.get("SINK"):
    import uvloop

    n, seconds = uvloop.run(push())
else:
    n, seconds = count()
print(json.dumps({"n": n, "seconds": seconds}), flush=True)
os._exit(0)  # how it leaves the group is not what is measured
