"""What both Python loops stand on, beside the consumer: commits behind what was settled, POSTs by aiohttp.

In the environment: TOPIC SINK BATCH CONCURRENCY LINGER_MS.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import dataclass

import aiohttp
from confluent_kafka import Consumer, TopicPartition

TOPIC, SINK = os.environ["TOPIC"], os.environ["SINK"] + "/events"
BATCH, CONCURRENCY = int(os.environ["BATCH"]), int(os.environ["CONCURRENCY"])
LINGER_SECONDS = int(os.environ["LINGER_MS"]) / 1e3


@dataclass(slots=True)
class Chunk:
    """What one call of consume() brought: how many of it are not settled, and where each partition's part ends."""

    open: int
    ends: dict[int, int]


class Commits:
    """Commits a chunk once it and all before it are settled, once a second at most: at least once, in any order."""

    def __init__(self, client: Consumer) -> None:
        self._client = client
        self._chunks: deque[Chunk] = deque()
        self._at = 0.0

    def opened(self, records: int, ends: dict[int, int]) -> Chunk:
        chunk = Chunk(records, ends)
        self._chunks.append(chunk)
        return chunk

    def commit(self, now: float) -> None:
        if now - self._at < 1:
            return
        self._at, ends = now, {}
        while self._chunks and not self._chunks[0].open:
            ends.update(self._chunks.popleft().ends)
        if ends:
            offsets = [TopicPartition(TOPIC, partition, offset) for partition, offset in ends.items()]
            self._client.commit(offsets=offsets, asynchronous=True)


async def post(session: aiohttp.ClientSession, body: bytes) -> None:
    """Sends until the app has answered 2xx."""
    while True:
        try:
            async with session.post(SINK, data=body, headers={"Content-Type": "application/x-ndjson"}) as answer:
                await answer.read()
                if answer.status < 300:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.2)
