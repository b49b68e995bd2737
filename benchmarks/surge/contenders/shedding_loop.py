"""The same loop with classes and a published way to shed: CoDel, DAGOR or PI, the one argument.

The strategies are those of the simulator (tests/surge/baselines.py), constants and all, asked ten times a second. What
they do not let in is dropped, counted by type, and said in a line of JSON twice a second. CoDel drops where a record
would be sent, DAGOR and PI where it is read: the lowest classes first, within a class by a hash of its bytes. CoDel
sends in the order of arrival, the others by class.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import zlib
from collections import deque
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
import aiohttp
import orjson
import uvloop
from benchmarks.surge.contenders.plain_client import BATCH, CONCURRENCY, LINGER_SECONDS, Chunk, Commits, post
from benchmarks.tuned_consumer import consumer

from surge import baselines

STRATEGIES = {"CoDel": baselines.CoDel, "DAGOR": baselines.Dagor, "PI": baselines.PiRejector}
CLASS = {"purchase": 0, "cart": 1, "view": 2}
TYPES = tuple(CLASS)
CLASSES = 4  # as tidegate counts them; there is no bulk here
CAPACITY = 20 * BATCH  # records waiting; then reading is paused
TICK_SECONDS = 0.1

Record = tuple[float, int, bytes, Chunk]  # when it was read, class, body, where it belongs


class Loop:
    """What waits, by class, and what the strategy has to see."""

    def __init__(self, strategy: baselines.PauseOnly) -> None:
        self.strategy = strategy
        self.queues: list[deque[Record]] = [deque() for _ in range(CLASSES)]
        self.dropped = [0] * CLASSES
        self.read = [0] * CLASSES
        self.delays: list[tuple[float, int, int]] = []
        self.done = self.sending = 0

    def waiting(self) -> int:
        return sum(map(len, self.queues))

    def oldest(self) -> float:
        return min(queue[0][0] for queue in self.queues if queue)

    def admit(self, now: float, body: bytes, chunk: Chunk) -> None:
        klass = CLASS.get(orjson.loads(body)["event_type"], 1)
        self.read[klass] += 1
        keep = self.strategy.sheds[klass].keep
        if keep < 1.0 and zlib.crc32(body) >= keep * 2**32:
            self.drop(klass, chunk)
        else:
            self.queues[klass].append((now, klass, body, chunk))

    def drop(self, klass: int, chunk: Chunk) -> None:
        self.dropped[klass] += 1
        chunk.open -= 1

    def take(self, now: float) -> list[Record]:
        """The next batch; what CoDel drops is not in it."""
        part: list[Record] = []
        while len(part) < BATCH and (ready := [queue for queue in self.queues if queue]):
            record = (min(ready, key=lambda queue: queue[0][0]) if self.strategy.fifo else ready[0]).popleft()
            waited = now - record[0]
            self.delays.append((waited, record[1], 1))
            if self.strategy.drops(now, waited):
                self.drop(record[1], record[3])
            else:
                part.append(record)
        return part

    def tick(self, now: float) -> None:
        counts = SimpleNamespace(queued=[len(q) for q in self.queues], service=SimpleNamespace(records=self.done))
        self.strategy.tick(now, SimpleNamespace(delays=self.delays, read=tuple(self.read), counts=counts))
        self.delays, self.read = [], [0] * CLASSES


async def main() -> None:
    scenario = SimpleNamespace(slots=CONCURRENCY, batch=BATCH)
    state = Loop(STRATEGIES[sys.argv[1]](scenario))
    loop, client = asyncio.get_running_loop(), consumer()
    commits, begun, ticked, told, paused = Commits(client), time.monotonic(), 0.0, 0.0, False
    tasks: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:

        async def send(part: list[Record]) -> None:
            await post(session, b"\n".join([record[2] for record in part]))
            for record in part:
                record[3].open -= 1
            state.sending -= 1
            state.done += len(part)

        while True:
            messages = await loop.run_in_executor(None, client.consume, 4 * BATCH, 0.02)
            now = time.monotonic() - begun
            messages = [message for message in messages if message.error() is None]
            if messages:
                chunk = commits.opened(len(messages), {m.partition(): m.offset() + 1 for m in messages})
                for message in messages:
                    state.admit(now, message.value(), chunk)
            while state.sending < CONCURRENCY and (n := state.waiting()):
                if n < BATCH and now - state.oldest() < LINGER_SECONDS:
                    break
                if part := state.take(now):
                    state.sending += 1
                    task = asyncio.create_task(send(part))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            if paused != (state.waiting() >= (CAPACITY // 2 if paused else CAPACITY)):
                paused = not paused
                (client.pause if paused else client.resume)(client.assignment())
            if now - ticked >= TICK_SECONDS:
                ticked = now
                state.tick(now)
            commits.commit(now)
            if now - told > 0.5:
                told = now
                dropped = {name: state.dropped[klass] for name, klass in CLASS.items()}
                print(json.dumps({"dropped": dropped, "sent": state.done, "waiting": state.waiting()}), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
