"""End-to-end benchmarks on a real Kafka.

    python -m benchmarks.e2e all                                  all of them, one after the other
    python -m benchmarks.e2e drain   [--records N] [--reps R]     read a backlog: raw C loop, tidegate, Python loops
    python -m benchmarks.e2e push    [--records N] [--reps R]     the same to an HTTP app, batches of 500
    python -m benchmarks.e2e hold    [--records N] [--away S]     drained after the app was away: against plain
    python -m benchmarks.e2e park    [--records N] [--reps R]     into the parking topic: raw C loops, tidegate
    python -m benchmarks.e2e shed    [--records N] [--reps R]     a backlog of which 95 % is dropped, or parked
    python -m benchmarks.e2e flood   [--rates N,…] [--flood S]    how late purchases are in a flood of page views
    python -m benchmarks.e2e latency [--seconds S]                append to app, alone and beside bulk
    python -m benchmarks.e2e start                                start to first event, idle CPU, --version

Common: --bootstrap HOST:PORT (default: a Kafka of its own, from Maven), --out DIRECTORY (one JSON file each),
--add NAME=COMMAND (one more contender for drain, push, park or shed, see runner.py), --only NAME[,NAME…].
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.e2e.runner import ROOT, Contender

sys.path.insert(0, str(ROOT / "tests"))
from benchmarks.e2e import flood, hold, latency, park, rates, shed, start
from harness.install import KafkaUnavailableError
from harness.kafka import KafkaServer

KINDS = ("drain", "push", "park", "shed", "flood", "hold", "latency", "start")


@contextmanager
def kafka(bootstrap: str | None) -> Iterator[str]:
    """The broker that was named, or one of its own for the time of the benchmarks."""
    if bootstrap:
        yield bootstrap
        return
    with KafkaServer(heap_mb=1024, jvm_options=()) as server:
        yield server.bootstrap_servers


def integers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.e2e", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=(*KINDS, "all"))
    parser.add_argument("--bootstrap")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--away", type=float, default=60, help="seconds without the app (hold)")
    parser.add_argument("--flood", type=float, default=10, help="seconds that it lasts (flood)")
    parser.add_argument("--rates", type=integers, default=[150_000, 300_000], help="events/s of the flood, by commas")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--topic", help="an existing topic with at least --records events; default: one is filled")
    parser.add_argument("--add", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    more = [Contender(name, shlex.split(command)) for name, _, command in (one.partition("=") for one in options.add)]
    only = [name for name in options.only.split(",") if name]
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    try:
        with kafka(options.bootstrap) as bootstrap:
            for what in KINDS if options.what == "all" else (options.what,):
                out = None if options.out is None else options.out / f"{what}.json"
                if what in ("drain", "push"):
                    # One topic serves all.
                    options.topic = rates.main(what, bootstrap, options, more, only, out)
                elif what == "park":
                    park.main(bootstrap, options, more, only, out)
                elif what == "shed":
                    options.topic = shed.main(bootstrap, options, more, only, out)
                elif what == "flood":
                    flood.main(bootstrap, options, out)
                elif what == "hold":
                    options.topic = hold.main(bootstrap, options, out)
                elif what == "latency":
                    options.topic = options.topic or rates.filled(bootstrap, options.records)
                    latency.main(bootstrap, options.seconds, options.topic, out)
                else:
                    start.main(bootstrap, options.reps, out)
    except KafkaUnavailableError as error:
        print(f"end-to-end benchmarks SKIPPED: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    return 0


if __name__ == "__main__":  # also imported by the latency benchmark's producer process
    sys.exit(main())
