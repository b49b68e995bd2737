"""The demo: a shop's Black Friday in half a minute, on this machine, with nothing to install.

    generator ──► embedded broker ──► tidegate run ──HTTP──► slow shop
    (a thread)    (this process)      (a process)            (a process)

tidegate is the real one, configured by its environment as any operator would. At the end every event is accounted for
from outside (audit.py): delivered, or held in Kafka beyond what is committed. Anything else is lost, and said loudly.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import orjson
from confluent_kafka import KafkaException
from rich.console import Console

from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, PARTITION_CAPACITY_RECORDS, EmbeddedBroker
from tidegate.demo.audit import Verdict, audit, still_there
from tidegate.demo.children import Child
from tidegate.demo.client import ShopClient
from tidegate.demo.events import LARGEST_BYTES
from tidegate.demo.generator import Generator, Plan
from tidegate.demo.report import Progress, Row, as_json, explanation, table
from tidegate.errors import BrokerError, ConfigError
from tidegate.types import CLASSES

RATE: Final = 300
TOPIC: Final = "shop.events"  # one for all: orders stand behind page views in the same partitions
GROUP: Final = "tidegate-demo"
WORKERS: Final = 4
# Well above the usual stream, and about a quarter of it at ten times.
CAPACITY_TIMES_RATE: Final = 8 / 3
START_SECONDS: Final = 20.0
GRACE_SECONDS: Final = 6.0  # after the last event, for what waits
DRAIN_SECONDS: Final = 1.0
STOP_SECONDS: Final = 12.0  # only a fault takes so long
_LOOK_SECONDS: Final = 0.25
_MIN_PARTITIONS: Final = 6
_MAX_PARTITIONS: Final = 256

# What an operator would set for this shop: as many requests as it has workers, for more would only wait in its own
# line, orders among them; and batches that occupy a worker for tens of milliseconds. Both bound what an order finds in
# front of it: work in flight cannot be overtaken. Set in the environment, these stand: 500 and 8 show the difference.
_TUNING: Final = {
    "TIDEGATE_BATCH_MAX_RECORDS": "8",
    "TIDEGATE_BATCH_LINGER_MS": "5",
    "TIDEGATE_CONCURRENCY": str(WORKERS),
    "TIDEGATE_MEMORY_BYTES": "96MiB",
    "TIDEGATE_LOG_LEVEL": "info",
}
# The embedded broker answers a fetch that found nothing only when its time is over, whatever arrives meanwhile; a real
# one answers at once, and needs no such setting.
_EMBEDDED_FETCH_WAIT_MS: Final = 10


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
    with _Signals() as signals, ExitStack() as stack:
        try:
            return _Demo(options, console, signals, stack).run()
        except KeyboardInterrupt:
            console.print("Stopped.")
            return 1


class _Signals:
    """The first Ctrl-C (or SIGTERM) asks the demo to come to its end early, the second raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.asked = False
        self.impatient = False  # nothing to come to an end with: the first one raises as well
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup's word stands
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked or self.impatient:
            raise KeyboardInterrupt
        self.asked = True


class _Demo:
    """One run. Everything that it starts is closed by ``stack``, last started first."""

    def __init__(self, options: DemoOptions, console: Console, signals: _Signals, stack: ExitStack) -> None:
        rate = options.rate or RATE
        self._options = options
        self._console = console
        self._signals = signals
        self._plan = Plan(options.seconds, rate, options.surge)
        self._capacity = rate * CAPACITY_TIMES_RATE
        self._partitions = partitions_for(self._plan)
        signals.impatient = True
        self._introduce()
        self._broker = stack.enter_context(EmbeddedBroker({TOPIC: self._partitions}))
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
        interval = min(max(plan.seconds / 12, 1.0), 15.0)
        shown, before = 0.0, (0.0, 1, 1)
        while not self._signals.asked:
            time.sleep(_LOOK_SECONDS)
            self._check()
            elapsed, offered, stats = generator.elapsed, sum(generator.offered), self._client.stats()
            delivered = self._delivered(stats)
            over = elapsed >= plan.seconds and not generator.alive
            done = over and (delivered >= offered or elapsed >= plan.seconds + GRACE_SECONDS)
            if elapsed - shown >= interval or done:
                passed = max(elapsed - before[0], 1e-9)
                rates = ((offered - before[1]) / passed, (delivered - before[2]) / passed)
                # Of the middle of what the line tells: it is about the time that has passed.
                progress.line(elapsed, plan.phase(elapsed - passed / 2), rates, max(0, offered - delivered), stats)
                shown, before = elapsed, (elapsed, offered, delivered)
            if done:
                return

    def _close(self) -> int:
        """Ends tidegate in good order, counts everything and reports."""
        self._generator.stop()
        self._generator.join()
        lines = self._tidegate.end(STOP_SECONDS).splitlines()
        summary: dict[str, Any] = orjson.loads(lines[-1])
        stats = self._final_stats()
        try:
            there = still_there(self._broker.bootstrap_servers, GROUP, TOPIC, self._partitions)
        except KafkaException as error:
            raise BrokerError(f"the embedded broker does not say what is committed: {error}") from None
        rows = self._rows(stats, audit(self._generator, self._client.seen(), there), time.time())
        return self._report(rows, stats, summary)

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
                )
            )
        return rows

    def _report(self, rows: list[Row], stats: dict[str, Any], summary: dict[str, Any]) -> int:
        self._console.print()
        self._console.print(table(rows))
        self._say(" ".join(explanation(rows, self._plan, self._capacity)))
        self._say(
            f"tidegate used {summary['cpu_seconds']:.1f} s of one core and {summary['peak_rss_bytes'] / 2**20:.0f} MiB."
        )
        faults = [
            f"{row.lost:,} {row.klass.label} events were LOST: not at the shop, and Kafka will not give them again."
            for row in rows
            if row.lost
        ]
        faults += [
            f"The counts of {row.klass.label} do not add up: {row.offered:,} offered, {row.delivered:,} + {row.held:,}."
            for row in rows
            if row.offered != row.delivered + row.held + row.lost
        ]
        if stats["misjudged"] or stats["unreadable"]:
            faults.append(
                f"The shop got {stats['misjudged']:,} events in a wrong class, {stats['unreadable']:,} broken."
            )
        for fault in faults:
            self._console.print(fault, style="bold red", markup=False)
        if self._options.json:
            sys.stdout.write(as_json(summary, rows) + "\n")
            sys.stdout.flush()
        return 1 if faults else 0


def partitions_for(plan: Plan) -> int:
    """So many that all of the plan's events fit into half of the embedded broker's capacity: it forgets silently.

    Raises:
        ConfigError: that would be too much for one machine's memory.
    """
    per_partition = min(PARTITION_CAPACITY_BYTES // LARGEST_BYTES, PARTITION_CAPACITY_RECORDS) // 2
    needed = max(_MIN_PARTITIONS, math.ceil((plan.total + 1) / per_partition))
    if needed > _MAX_PARTITIONS:
        raise ConfigError(
            f"{plan.total:,} events are too many for the embedded broker, which keeps all of them in memory",
            code="demo-too-large",
            hint=f"Lower --seconds, --rate or --surge: at most {_MAX_PARTITIONS * per_partition:,} events fit.",
        )
    return needed


def sidecar_environment(environ: Mapping[str, str], servers: str, sink_url: str) -> dict[str, str]:
    """What `tidegate run` is started with: the demo's settings, and of the user's only those that _TUNING names."""
    kept = {name: value for name, value in environ.items() if not name.startswith("TIDEGATE_") or name in _TUNING}
    return (
        _TUNING
        | kept
        | {
            "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": servers,
            "TIDEGATE_TOPICS": TOPIC,
            "TIDEGATE_GROUP_ID": GROUP,
            "TIDEGATE_SINK_URL": sink_url,
            "TIDEGATE_OPS_ADDRESS": "127.0.0.1:0",
            "TIDEGATE_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "TIDEGATE_LOG_FORMAT": "console",
            "TIDEGATE_KAFKA_FETCH_WAIT_MAX_MS": str(_EMBEDDED_FETCH_WAIT_MS),
        }
    )
