"""The demo: a shop's Black Friday in half a minute, on this machine, with nothing to install.

    generator ──► embedded broker ──► tidegate run ──HTTP──► slow shop
    (a thread)    (this process)      (a process)            (a process)

tidegate is the real one, configured by its environment as any operator would. At the end every event is accounted for
from outside (audit.py): delivered, or held in Kafka beyond what is committed, in its topic or where what found no room
was parked. Anything else is lost, and said loudly.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import orjson
from confluent_kafka import KafkaException
from rich.console import Console

from tidegate.broker.embedded import EmbeddedBroker
from tidegate.demo.audit import ParkingLot, Verdict, audit, parking_lot, still_there
from tidegate.demo.children import Child
from tidegate.demo.client import ShopClient
from tidegate.demo.gauge import Gauge
from tidegate.demo.generator import Generator, Plan
from tidegate.demo.interrupt import Signals
from tidegate.demo.report import Row, as_json, explanation, faults, print_table
from tidegate.demo.scene import (
    CAPACITY_TIMES_RATE,
    GROUP,
    PARKED,
    RATE,
    TOPIC,
    WORKERS,
    partitions_for,
    sidecar_environment,
)
from tidegate.demo.story import Progress
from tidegate.errors import BrokerError
from tidegate.types import CLASSES

START_SECONDS: Final = 20.0
GRACE_SECONDS: Final = 6.0  # after the last event, for what waits
STOP_SECONDS: Final = 12.0  # only a fault takes so long
_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``rate``: usual events per second (None: 300); ``surge``: how many times it is the peak."""

    seconds: int = 30
    json: bool = False
    surge: float = 10
    seed: int = 1
    rate: int | None = None


def run(options: DemoOptions) -> int:
    """Shows it. Returns the exit code: 0, or 1 when an event was lost or the user stopped it before it began.

    Raises:
        TidegateError: it cannot run, or one of its parts gave up.
    """
    console = Console(stderr=options.json, highlight=False)
    with Signals() as signals, ExitStack() as stack:
        try:
            return _Demo(options, console, signals, stack).run()
        except KeyboardInterrupt:
            console.print("Stopped.")
            return 1


class _Demo:
    """One run. Everything that it starts is closed by ``stack``, last started first."""

    def __init__(self, options: DemoOptions, console: Console, signals: Signals, stack: ExitStack) -> None:
        rate = options.rate or RATE
        self._options = options
        self._console = console
        self._signals = signals
        self._plan = Plan(options.seconds, rate, options.surge)
        self._capacity = rate * CAPACITY_TIMES_RATE
        self._partitions = partitions_for(self._plan)
        signals.impatient = True
        self._introduce()
        self._broker = stack.enter_context(EmbeddedBroker({TOPIC: self._partitions, PARKED: self._partitions}))
        service_ms = WORKERS / self._capacity * 1e3
        arguments = ["--workers", str(WORKERS), "--service-ms", f"{service_ms:.6f}"]
        self._shop = Child("the demo's shop", ["tidegate.demo.shop", *arguments])
        stack.callback(self._shop.close)
        self._client = ShopClient(orjson.loads(self._shop.line(START_SECONDS, time.sleep))["port"])
        stack.callback(self._client.close)
        environment = sidecar_environment(os.environ, self._broker.bootstrap_servers, self._client.url)
        self._tidegate = Child("tidegate", ["tidegate", "run", "--summary"], environment)
        stack.callback(self._tidegate.close)
        self._generator = Generator(self._plan, options.seed, self._broker.bootstrap_servers, TOPIC)
        stack.callback(self._generator.join)
        stack.callback(self._generator.stop)

    def run(self) -> int:
        """From the opening event to the report."""
        self._open()
        self._signals.impatient = False
        self._watch()
        if self._signals.asked:
            self._say("Stopping early.")
        return self._close()

    def _introduce(self) -> None:
        plan = self._plan
        self._say(
            f"A shop's Black Friday in {plan.seconds:g} s: {plan.rate:,.0f} events/s, a surge to {plan.peak:,.0f}, "
            f"calm again. The shop can work off {self._capacity:,.0f}. Kafka is embedded; tidegate and the shop are "
            "processes of their own. Ctrl-C ends it.\n"
        )

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def _open(self) -> None:
        """One page view all the way to the shop: the surge is to show tidegate, not the start of five programs."""
        self._generator.start()
        deadline = time.monotonic() + START_SECONDS
        while self._delivered(self._client.stats()) == 0:
            self._check()
            if time.monotonic() > deadline:
                raise self._tidegate.failure(f"no event reached the shop within {START_SECONDS:g} s")
            time.sleep(0.05)
        self._generator.go()

    def _check(self) -> None:
        self._tidegate.check()
        self._shop.check()
        if self._generator.error is not None:
            raise BrokerError(f"the demo's generator cannot go on: {self._generator.error}", code="demo-generator")

    @staticmethod
    def _delivered(stats: dict[str, Any]) -> int:
        return sum(row["delivered"] for row in stats["classes"].values())

    def _watch(self) -> None:
        """Until everything is delivered, the time is over or somebody asks for the end."""
        progress, plan, generator = Progress(self._console), self._plan, self._generator
        gauge = Gauge(self._tidegate)
        interval = min(max(plan.seconds / 12, 1.0), 15.0)
        shown, before = 0.0, (0.0, 1, 1)
        while not self._signals.asked:
            time.sleep(_LOOK_SECONDS)
            self._check()
            elapsed, offered, stats = generator.elapsed, sum(generator.offered), self._client.stats()
            delivered = self._delivered(stats)
            over = elapsed >= plan.seconds and not generator.alive
            whole = over and delivered >= offered
            done = whole or (over and elapsed >= plan.seconds + GRACE_SECONDS)
            progress.pulse(gauge.look())
            if elapsed - shown >= interval or done:
                passed = max(elapsed - before[0], 1e-9)
                rates = ((offered - before[1]) / passed, (delivered - before[2]) / passed)
                # Of the middle of what the line tells: it is about the time that has passed.
                progress.line(elapsed, plan.phase(elapsed - passed / 2), rates, max(0, offered - delivered), stats)
                shown, before = elapsed, (elapsed, offered, delivered)
            if whole:
                progress.emptied()
            if done:
                return

    def _close(self) -> int:
        """Ends tidegate in good order, counts everything and reports."""
        self._generator.stop()
        self._generator.join()
        elapsed = self._generator.elapsed
        lines = self._tidegate.end(STOP_SECONDS).splitlines()
        if not lines:
            raise self._tidegate.failure("tidegate ended without its summary")
        summary: dict[str, Any] = orjson.loads(lines[-1])
        stats = self._final_stats()
        servers, partitions = self._broker.bootstrap_servers, self._partitions
        try:
            there = still_there(servers, GROUP, TOPIC, partitions)
            parking = parking_lot(servers, GROUP, PARKED, partitions, TOPIC)
        except KafkaException as error:
            raise BrokerError(f"the embedded broker does not say what is committed: {error}") from None
        rows = self._rows(stats, audit(self._generator, self._client.seen(), there, parking), time.time())
        return self._report(rows, stats, summary, elapsed, parking)

    def _final_stats(self) -> dict[str, Any]:
        """When the shop has worked off what it was given; requests that tidegate gave up at its end included."""
        deadline = time.monotonic() + START_SECONDS
        while (stats := self._client.stats())["busy"] and time.monotonic() < deadline:
            time.sleep(0.02)
        return stats

    def _rows(self, stats: dict[str, Any], verdict: Verdict, now: float) -> list[Row]:
        rows = []
        for klass in CLASSES:
            of_shop, oldest = stats["classes"][klass.label], verdict.oldest[klass]
            ages = [of_shop["max_ms"], None if oldest is None else (now - oldest) * 1e3]
            rows.append(
                Row(
                    klass=klass,
                    offered=self._generator.offered[klass],
                    delivered=of_shop["delivered"],
                    held=verdict.held[klass],
                    lost=verdict.lost[klass],
                    p50_ms=of_shop["p50_ms"],
                    p99_ms=of_shop["p99_ms"],
                    oldest_ms=max((age for age in ages if age is not None), default=None),
                    deferred=verdict.deferred[klass],
                    parked=verdict.parked[klass],
                )
            )
        return rows

    def _report(
        self, rows: list[Row], stats: dict[str, Any], summary: dict[str, Any], elapsed: float, parking: ParkingLot
    ) -> int:
        self._console.print()
        print_table(self._console, rows)
        self._say(" ".join(explanation(rows, self._plan, self._capacity, elapsed)))
        self._say(
            f"tidegate used {summary['cpu_seconds']:.1f} s of one core and {summary['peak_rss_bytes'] / 2**20:.0f} MiB."
        )
        found = faults(rows, misjudged=stats["misjudged"], unreadable=stats["unreadable"], forgotten=parking.forgotten)
        for fault in found:
            self._console.print(fault, style="bold red", markup=False)
        if self._options.json:
            sys.stdout.write(as_json(summary, rows) + "\n")
            sys.stdout.flush()
        return 1 if found else 0
