"""What most services do without tidegate: a loop that takes events from Kafka in their order and posts them.

    python -m tidegate.demo.plain --servers … --topics … --group … --url …

It is no straw man: as many requests at once as the shop has workers, batches of the same size that wait as long to be
filled, and it never fetches more than it can hand on. It only has no notion of what matters, as Kafka's clients have
none: a purchase waits for every page view in front of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal

import aiohttp
from confluent_kafka import Consumer, KafkaException

_LINGER_SECONDS = 0.005  # as tidegate has it here


async def run(consumer: Consumer, url: str, batch: int, concurrency: int) -> None:
    """Until SIGTERM. Raises what goes wrong: a plain loop knows no better."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    free = asyncio.Semaphore(concurrency)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        while not stop.is_set():
            await free.acquire()
            messages = await asyncio.to_thread(consumer.consume, batch, _LINGER_SECONDS)
            for message in messages:
                if (error := message.error()) is not None:
                    raise KafkaException(error)
            values = [value for message in messages if (value := message.value()) is not None]
            if values:
                tasks.create_task(_post(session, url, values, free))
            else:
                free.release()


async def _post(session: aiohttp.ClientSession, url: str, values: list[bytes], free: asyncio.Semaphore) -> None:
    try:
        headers = {"Content-Type": "application/x-ndjson"}
        async with session.post(url, data=b"\n".join(values) + b"\n", headers=headers) as response:
            response.raise_for_status()
    finally:
        free.release()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tidegate.demo.plain", description="A plain consumer loop.")
    for name in ("--servers", "--topics", "--group", "--url"):
        parser.add_argument(name, required=True)
    parser.add_argument("--batch", type=int, default=8, help="events in a request, at most")
    parser.add_argument("--concurrency", type=int, default=4, help="requests at once")
    parser.add_argument("--fetch-wait-ms", type=int, default=500)
    arguments = parser.parse_args()
    consumer = Consumer(
        {
            "bootstrap.servers": arguments.servers,
            "group.id": arguments.group,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": arguments.fetch_wait_ms,
            "log_level": 0,
        }
    )
    consumer.subscribe(arguments.topics.split(","))
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run(consumer, arguments.url, arguments.batch, arguments.concurrency))
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
