"""The shop: what it counts, how slow it is, what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from tidegate.demo.shop import Counts, Shop, percentile


def event(number: int, name: str = "purchase", sent: float = 100.0) -> dict[str, Any]:
    return {"event_id": f"1-{number}", "event_name": name, "event_timestamp": int(sent * 1e6)}


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [
        (0, 0.5, None),
        (1, 0.5, 1),
        (1, 0.99, 1),
        (2, 0.5, 1),
        (3, 0.5, 2),
        (100, 0.99, 99),
        (101, 0.99, 100),
        (1000, 0.99, 990),
        (100, 0.5, 50),
        (7, 1.0, 7),
    ],
)
def test_percentiles_are_nearest_rank(count: int, share: float, expected: float | None) -> None:
    assert percentile([float(n + 1) for n in range(count)], share) == expected


def test_counts_by_the_shop_s_own_judgement() -> None:
    counts = Counts()
    for number, name in enumerate(["purchase", "purchase", "add_to_cart", "view_item", "scroll", "page_view"]):
        counts.add(event(number, name), 100.1)
    classes = counts.report()["classes"]
    assert [classes[label]["delivered"] for label in ("critical", "high", "normal", "bulk")] == [2, 1, 1, 2]


def test_an_event_counts_once_and_its_first_time_is_its_latency() -> None:
    counts = Counts()
    counts.add(event(0, sent=100.0), 100.05)
    counts.add(event(0, sent=100.0), 107.0)
    report = counts.report()
    assert report["duplicates"] == 1
    assert report["classes"]["critical"]["delivered"] == 1
    assert report["classes"]["critical"]["max_ms"] == pytest.approx(50)


def test_latencies_from_sending_to_worked_off() -> None:
    counts = Counts()
    for number in range(100):
        counts.add(event(number, sent=100.0), 100.0 + (number + 1) / 1e3)
    critical = counts.report()["classes"]["critical"]
    assert critical["p50_ms"] == pytest.approx(50, abs=0.01)
    assert critical["p99_ms"] == pytest.approx(99, abs=0.01)
    assert critical["max_ms"] == pytest.approx(100, abs=0.01)
    assert critical["recent_ms"] == critical["p50_ms"]
    for number in range(100, 130):  # four seconds later: the first hundred are no longer "now"
        counts.add(event(number, sent=104.0), 104.0 + (number + 1) / 1e3)
    recent = counts.report()["classes"]["critical"]
    assert recent["recent_ms"] == pytest.approx(115, abs=0.01)  # of 101 … 130, nearest rank
    assert recent["recent_p99_ms"] == pytest.approx(130, abs=0.01)
    for number in range(130, 140):  # few, and much later: twenty are looked at all the same
        counts.add(event(number, sent=200.0), 200.0 + (number + 1) / 1e3)
    assert counts.report()["classes"]["critical"]["recent_ms"] == pytest.approx(130, abs=0.01)
    assert counts.report()["classes"]["bulk"] == dict.fromkeys(
        ("p50_ms", "p99_ms", "max_ms", "recent_ms", "recent_p99_ms")
    ) | {"delivered": 0}


def test_a_wrong_class_and_a_broken_event_are_told() -> None:
    counts = Counts()
    counts.add(event(0), 100.0, "critical")
    counts.add(event(1), 100.0, "bulk")
    for broken in ({}, [], None, event(2, "no_such_name"), {**event(3), "event_id": "x"}, {**event(4), "event_id": 4}):
        counts.add(broken, 100.0)
    report = counts.report()
    assert (report["misjudged"], report["unreadable"]) == (1, 6)
    assert report["classes"]["critical"]["delivered"] == 2
    assert bytes(counts.seen) == b"\1\1"


class Running:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session

    async def post(self, body: bytes, kind: str = "application/x-ndjson", klass: str = "critical") -> int:
        headers = {"Content-Type": kind, "X-Tidegate-Class": klass}
        async with self.session.post(self.url + "/events", data=body, headers=headers) as answer:
            return answer.status

    async def get(self, path: str) -> bytes:
        async with self.session.get(self.url + path) as answer:
            return await answer.read()


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[Running]:
    runner = web.AppRunner(Shop(workers=2, service_seconds=0.02).app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Running(f"http://127.0.0.1:{runner.addresses[0][1]}", session)
    await runner.cleanup()


def lines(*numbers: int) -> bytes:
    return b"".join(orjson.dumps(event(number, sent=time.time())) + b"\n" for number in numbers)


async def test_lines_and_arrays_are_worked_off_and_seen(shop: Running) -> None:
    assert await shop.post(lines(0, 1)) == 200
    assert await shop.post(orjson.dumps([event(3)]), "application/json") == 200
    assert await shop.post(b"{no json\n") == 400
    stats = orjson.loads(await shop.get("/stats"))
    assert stats["classes"]["critical"]["delivered"] == 3
    assert (stats["unreadable"], stats["misjudged"], stats["busy"]) == (1, 0, 0)
    assert await shop.get("/seen") == b"\1\1\0\1"


async def test_workers_and_service_time_bound_the_throughput(shop: Running) -> None:
    begun = time.monotonic()
    await asyncio.gather(*(shop.post(lines(*range(5 * n, 5 * n + 5))) for n in range(4)))
    took = time.monotonic() - begun
    assert took >= 20 * 0.02 / 2 - 0.005  # never faster than its workers
    assert took < 2
    stats = orjson.loads(await shop.get("/stats"))
    # Two requests wait in line while two are worked on; an event counts when its own work ends, not its batch's.
    assert stats["classes"]["critical"]["p50_ms"] < stats["classes"]["critical"]["max_ms"]
    assert stats["classes"]["critical"]["max_ms"] >= 195
