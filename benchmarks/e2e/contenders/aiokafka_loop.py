"""aiokafka with orjson on uvloop: getmany, a dict; with SINK: batches to it by aiohttp."""

from __future__ import annotations

import asyncio
import json
import os
import time

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

RECORDS, BATCH, CONCURRENCY = (int(os.environ[name]) for name in ("RECORDS", "BATCH", "CONCURRENCY"))


async def main() -> None:
    client = AIOKafkaConsumer(
        os.environ["TOPIC"],
        bootstrap_servers=os.environ["BOOTSTRAP"],
        group_id=os.environ["GROUP"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=1 << 20,
        max_poll_records=10000,
    )
    await client.start()
    sink, types, n, first = os.environ.get("SINK"), {}, 0, 0.0
    slots, tasks, session = asyncio.Semaphore(CONCURRENCY), set(), None
    if sink:
        import aiohttp

        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))

    async def send(body: bytes) -> None:
        try:
            async with session.post(sink, data=body, headers={"Content-Type": "application/x-ndjson"}) as answer:
                answer.raise_for_status()
                await answer.read()
        finally:
            slots.release()

    while n < RECORDS:
        got = await client.getmany(timeout_ms=100, max_records=BATCH if sink else 10000)
        if got and not first:
            first = time.monotonic()
        events = []
        for messages in got.values():
            for message in messages:
                event = orjson.loads(message.value)
                types[event["event_type"]] = types.get(event["event_type"], 0) + 1
                if sink:
                    events.append(orjson.dumps(event))
            n += len(messages)
        if events:
            await slots.acquire()
            task = asyncio.create_task(send(b"\n".join(events)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    print(json.dumps({"n": n, "seconds": time.monotonic() - first}), flush=True)
    os._exit(0)  # how it leaves the group is not what is measured


uvloop.run(main())
