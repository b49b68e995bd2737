"""A steady stream of shop events beside a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from harness.produce import Writer, shop_events
from harness.scene import Scene

EVENTS_PER_SECOND = 300
STREAM_END_SECONDS = 100  # a flush gives up after 90


@contextmanager
def stream(
    scene: Scene, partitions: int | None = None, *, rate: int = EVENTS_PER_SECOND, start: int = 0, pad: int = 0
) -> Iterator[None]:
    """Produces ``rate`` shop events a second beside the block, over ``partitions`` of the topic (all of them);
    ``start`` and ``pad`` as for ``shop_events``.

    Idempotent: a retry of the producer's own must not look like a record of its own. Raises what the producing
    raised, or TimeoutError where it does not end.
    """
    done = threading.Event()
    failed: list[BaseException] = []

    def produce() -> None:
        number, count = start, rate // 10
        try:
            with Writer(scene.broker.bootstrap_servers, scene.topic, enable_idempotence="true") as writer:
                while not done.wait(0.1):
                    writer.send(shop_events(count, partitions or scene.partitions, start=number, pad=pad))
                    writer.producer.poll(0)
                    number += count
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=produce, name=f"stream {scene.topic}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(STREAM_END_SECONDS)
    if thread.is_alive():
        raise TimeoutError(f"the stream into {scene.topic} has not ended after {STREAM_END_SECONDS} s")
    if failed:
        raise failed[0]
