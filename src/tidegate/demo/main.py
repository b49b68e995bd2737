"""The demo: an announced sale in three quarters of a minute, on this machine, with nothing to install.

tidegate is the real one, configured by its environment as any operator would; beside it a plain loop gets the same
stream (stage.py). At the end every event is accounted for from outside (audit.py): delivered, or held in Kafka beyond
what is committed, in its topic or where what found no room was parked. Anything else is lost, and said loudly.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import Any, Final

import orjson
from confluent_kafka import KafkaException
from rich.console import Console

from tidegate.demo import page
from tidegate.demo.accounts import plain_rows, tidegate_rows
from tidegate.demo.audit import ParkingLot, audit, parking_lot, still_there
from tidegate.demo.history import History
from tidegate.demo.interrupt import Signals
from tidegate.demo.lines import Lines
from tidegate.demo.live import LINES, Live
from tidegate.demo.options import DemoOptions
from tidegate.demo.plan import Plan
from tidegate.demo.report import PlainRow, Row, as_json, explanation, faults, print_table
from tidegate.demo.scene import CAPACITY_TIMES_RATE, GROUP, PARKED, topics_by_class
from tidegate.demo.stage import START_SECONDS, Stage
from tidegate.demo.story import WIDTH, Story
from tidegate.errors import BrokerError, TidegateError

GRACE_SECONDS: Final = 6.0  # after the last event, for what waits
STOP_SECONDS: Final = 12.0  # only a fault takes so long
_LOOK_SECONDS: Final = 0.25


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
        finally:
            signals.deaf = True


class _Demo:
    """One run. Everything that it starts is closed by ``stack``."""

    def __init__(self, options: DemoOptions, console: Console, signals: Signals, stack: ExitStack) -> None:
        capacity = options.rate * CAPACITY_TIMES_RATE
        self._options = options
        self._console = console
        self._signals = signals
        self._plan = Plan(options.seconds, options.rate, options.surge)
        self._capacity = capacity if options.sink_url is None else None
        self._history = History()
        topics = topics_by_class(options.topics)
        if options.report is not None:
            page.check(options.report)
        signals.impatient = True
        self._introduce()
        self._stage = Stage(self._plan, options.seed, topics, options.sink_url, capacity, stack)

    def run(self) -> int:
        """From the opening event to the report."""
        self._stage.open()
        self._signals.impatient = False
        self._watch()
        if self._signals.asked:
            self._say("Stopping early.")
        return self._close()

    def _introduce(self) -> None:
        plan = self._plan
        text = f"A sale in {plan.seconds:g} s: {plan.rate:,.0f} events/s, then up to {plan.peak:,.0f}, calm again. "
        if self._capacity is not None:
            text += (
                f"The shop can work off {self._capacity:,.0f}. Beside it a plain consumer loop gets the same stream, "
                "with a shop of its own. Kafka is embedded, everything else a process. "
            )
        else:
            text += f"They go to {self._options.sink_url}. Kafka is embedded. "
        self._say(text + "Ctrl-C ends it.\n")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def _view(self) -> Live | Lines:
        console, beside = self._console, self._stage.plain is not None
        drawn = console.is_terminal and not console.is_dumb_terminal
        if drawn and console.width >= WIDTH and console.height > LINES:
            return Live(console, self._plan, beside=beside, capacity=self._capacity)
        return Lines(console, self._plan, beside=beside)

    def _watch(self) -> None:
        """Until everything is delivered, the time is over or somebody asks for the end."""
        plan, stage, generator, story = self._plan, self._stage, self._stage.generator, Story()
        with self._view() as view:
            while not self._signals.asked:
                time.sleep(_LOOK_SECONDS)
                stage.check()
                elapsed, offered = generator.elapsed, list(generator.offered)
                for line in story.lines(stage.gauge.look()):
                    view.tell(line)
                stats = stage.witness.stats()
                plain = stage.plain.stats() if stage.plain is not None else None
                over = elapsed >= plan.seconds and not generator.alive
                whole = over and all(_delivered(one) >= sum(offered) for one in (stats, plain) if one is not None)
                done = whole or (over and elapsed >= plan.seconds + GRACE_SECONDS)
                moment = self._history.add(elapsed, offered, stats, stage.gauge.last, plain)
                if moment is not None:
                    view.show(moment, stage.gauge.last, last=done)
                if over and _delivered(stats) >= sum(offered):
                    for line in story.emptied():
                        view.tell(line)
                if done:
                    return

    def _close(self) -> int:
        """Ends tidegate in good order, counts everything and reports."""
        stage = self._stage
        stage.generator.stop()
        stage.generator.join()
        elapsed = stage.generator.elapsed
        # As it stands when the time is over: nobody waits for the plain loop.
        plain = plain_rows(stage.generator, stage.plain) if stage.plain is not None else None
        lines = stage.tidegate.end(STOP_SECONDS).splitlines()
        if not lines:
            raise stage.tidegate.failure("tidegate ended without its summary")
        summary: dict[str, Any] = orjson.loads(lines[-1])
        stats = self._final_stats()
        servers = stage.broker.bootstrap_servers
        try:
            there = still_there(servers, GROUP, stage.topics)
            parking = parking_lot(servers, GROUP, PARKED, max(stage.topics.values()), stage.topics)
        except KafkaException as error:
            raise BrokerError(f"the embedded broker does not say what is committed: {error}") from None
        seen = stage.witness.seen()
        verdict = audit(stage.generator, seen, there, parking)
        rows = tidegate_rows(stage.generator, stats, verdict, summary if seen is None else stats)
        return self._report(rows, plain, stats, summary, elapsed, parking)

    def _final_stats(self) -> dict[str, Any]:
        """When the shop has worked off what it was given; requests that tidegate gave up at its end included."""
        deadline = time.monotonic() + START_SECONDS
        ours = self._capacity is not None
        while (stats := self._stage.witness.stats())["busy"] and ours and time.monotonic() < deadline:
            time.sleep(0.02)
        return stats

    def _report(
        self,
        rows: list[Row],
        plain: list[PlainRow] | None,
        stats: dict[str, Any],
        summary: dict[str, Any],
        elapsed: float,
        parking: ParkingLot,
    ) -> int:
        self._console.print()
        print_table(self._console, rows, plain)
        sentences = explanation(rows, self._plan, self._capacity, elapsed, plain)
        self._say(" ".join(sentences))
        self._say(
            f"tidegate used {summary['cpu_seconds']:.1f} s of one core and {summary['peak_rss_bytes'] / 2**20:.0f} MiB."
        )
        found = faults(rows, misjudged=stats["misjudged"], unreadable=stats["unreadable"], forgotten=parking.forgotten)
        for fault in found:
            self._console.print(fault, style="bold red", markup=False)
        if self._options.report is not None:
            self._write(self._options.report, rows, plain, [*sentences, *found])
        if self._options.json:
            sys.stdout.write(as_json(summary, rows, plain) + "\n")
            sys.stdout.flush()
        return 1 if found else 0

    def _write(self, path: str, rows: list[Row], plain: list[PlainRow] | None, sentences: list[str]) -> None:
        moments, command = self._history.moments, self._options.command()
        try:
            page.write(path, page.Story(self._plan, self._capacity, moments, rows, plain, sentences, command))
        except OSError as error:
            raise TidegateError(f"--report {path} cannot be written: {error.strerror}", code="demo-report") from None
        self._console.print(f"The pictures are in {path}.", markup=False, soft_wrap=True)  # a path is copied whole


def _delivered(stats: dict[str, Any]) -> int:
    return sum(row["delivered"] for row in stats["classes"].values())
