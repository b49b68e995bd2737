"""What a careful Python developer writes today: consume, a bounded buffer, pause and resume, batches by aiohttp.

Blind to classes, in Kafka's order. It drops nothing, and says so: a line of JSON twice a second.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque

import aiohttp
import orjson
import uvloop
from benchmarks.surge.contenders.plain_client import BATCH, CONCURRENCY, LINGER_SECONDS, Chunk, Commits, post
from benchmarks.tuned_consumer import consumer

HIGH, LOW = 20 * BATCH, 10 * BATCH  # records waiting


async def main() -> None:
    loop, client = asyncio.get_running_loop(), consumer()
    commits, waiting = Commits(client), deque[tuple[bytes, Chunk]]()
    sending, sent, paused, since, told = 0, 0, False, 0.0, 0.0
    tasks: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:

        async def send(part: list[tuple[bytes, Chunk]]) -> None:
            nonlocal sending, sent
            await post(session, b"\n".join([line for line, _ in part]))
            for _, chunk in part:
                chunk.open -= 1
            sending -= 1
            sent += len(part)

        while True:
            messages = await loop.run_in_executor(None, client.consume, BATCH, 0.02)
            now = time.monotonic()
            messages = [message for message in messages if message.error() is None]
            if messages:
                if not waiting:
                    since = now
                chunk = commits.opened(len(messages), {m.partition(): m.offset() + 1 for m in messages})
                waiting.extend((orjson.dumps(orjson.loads(m.value())), chunk) for m in messages)
            while waiting and sending < CONCURRENCY and (len(waiting) >= BATCH or now - since >= LINGER_SECONDS):
                part = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
                sending, since = sending + 1, now
                task = asyncio.create_task(send(part))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if paused != (len(waiting) >= (LOW if paused else HIGH)):
                paused = not paused
                (client.pause if paused else client.resume)(client.assignment())
            commits.commit(now)
            if now - told > 0.5:
                told = now
                print(json.dumps({"dropped": {}, "sent": sent, "waiting": len(waiting)}), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
