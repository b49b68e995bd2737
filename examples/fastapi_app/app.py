"""An app behind tidegate: stores every event once, and says 429 while it has as much in hand as it can take.

    uvicorn app:app --port 8080

A 2xx tells tidegate that it may commit, so there is none before the events are on disk. Copy it, and put your own work
into ``Store.add``.
"""

import asyncio
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response

DATABASE = os.environ.get("APP_DATABASE", "events.db")
IN_HAND = int(os.environ.get("APP_IN_HAND", "2000"))  # events that wait or are being stored, at most
WORK_SECONDS = float(os.environ.get("APP_MS_PER_EVENT", "0")) / 1000  # what an app does with each beside storing it

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS batches (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, class TEXT NOT NULL, weight REAL NOT NULL, replayed INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
"""
Event = tuple[str, float, bytes]  # id, weight, JSON


class Store:
    """What became of the events. Used by one thread at a time."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.executescript(SCHEMA)

    def add(self, key: str, klass: str, replayed: bool, events: list[Event]) -> int:
        """Stores a batch, all of it or nothing, and returns how many of its events were new."""
        with self._db:  # one transaction
            if self._db.execute("INSERT OR IGNORE INTO batches VALUES (?)", (key,)).rowcount == 0:
                return 0  # an attempt whose answer got lost: it is here already
            time.sleep(WORK_SECONDS * len(events))
            # The same event may come again in another batch, when tidegate was killed before it had committed.
            rows = [(name, klass, weight, replayed, body) for name, weight, body in events]
            return self._db.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", rows).rowcount

    def counts(self) -> dict[str, dict[str, float]]:
        """By class; ``weight`` says how many events these stand for, where tidegate was told to sample."""
        rows = self._db.execute("SELECT class, count(*), sum(weight), sum(replayed) FROM events GROUP BY class")
        return {row[0]: dict(zip(("events", "weight", "replayed"), row[1:], strict=True)) for row in rows}

    def close(self) -> None:
        self._db.close()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.store = Store(DATABASE)
    app.state.worker = ThreadPoolExecutor(1)  # SQLite has one writer; a pool of connections would only queue there
    app.state.in_hand, app.state.told = 0, {"batches": 0, "refused": 0, "again": 0}
    yield
    app.state.worker.shutdown()
    app.state.store.close()


app = FastAPI(title="Events", lifespan=lifespan)


@app.post("/events", status_code=204)
async def receive(
    request: Request,
    idempotency_key: Annotated[str | None, Header()] = None,
    x_tidegate_class: Annotated[str, Header()] = "high",
    x_tidegate_records: Annotated[int, Header()] = 1,
    x_tidegate_format: Annotated[str, Header()] = "ndjson",
    x_tidegate_offsets: Annotated[str, Header()] = "",
    x_tidegate_weight: Annotated[float, Header()] = 1.0,
    x_tidegate_replayed: Annotated[bool, Header()] = False,
) -> Response:
    """One batch: events of one class, in the order in which they were read."""
    state = app.state
    # Looked at before the body is read. What comes alone is taken, however large: otherwise it would never be.
    if state.in_hand and state.in_hand + x_tidegate_records > IN_HAND:
        state.told["refused"] += 1
        return Response(status_code=429, headers={"Retry-After": "1"})
    state.in_hand += x_tidegate_records
    try:
        body = await request.body()
        key = idempotency_key or hashlib.sha256(body).hexdigest()
        ids = list(ids_of(x_tidegate_offsets))
        events = list(events_of(x_tidegate_format, body, ids, key, x_tidegate_weight))
        batch = (key, x_tidegate_class, x_tidegate_replayed, events)
        new = await asyncio.get_running_loop().run_in_executor(state.worker, state.store.add, *batch)
        state.told["batches"] += 1
        state.told["again"] += len(events) - new
        return Response(status_code=204)
    finally:
        state.in_hand -= x_tidegate_records


@app.get("/stats")
async def stats() -> dict[str, Any]:
    """What is stored, by class, and since the app started: batches taken and refused, and events that came again."""
    counts = await asyncio.get_running_loop().run_in_executor(app.state.worker, app.state.store.counts)
    return {"classes": counts, **app.state.told}


def events_of(form: str, body: bytes, ids: list[str], key: str, weight: float) -> Iterator[Event]:
    """The events of a body; without ids (a request by hand) they are named after the batch."""
    match form:
        case "opaque":
            parts = [body]  # one event that is not JSON
        case "json":
            parts = [json.dumps(event).encode() for event in json.loads(body)]
        case _:
            parts = body.removesuffix(b"\n").split(b"\n")
    for at, part in enumerate(parts):
        if form == "envelope":
            envelope = json.loads(part)
            yield envelope["id"], envelope["weight"], part
        else:
            yield ids[at] if ids else f"{key}/{at}", weight, part


def ids_of(offsets: str) -> Iterator[str]:
    """``orders/0:100x2,+3;orders/1:7`` is orders/0/100, orders/0/101, orders/0/104, orders/1/7."""
    for part in filter(None, offsets.split(";")):
        partition, _, runs = part.partition(":")
        last = 0
        for run in runs.split(","):
            start, _, count = run.partition("x")
            first = last + int(start) if start.startswith("+") else int(start)
            last = first + int(count or 1) - 1
            yield from (f"{partition}/{offset}" for offset in range(first, last + 1))
