"""End-to-end benchmarks on a real Kafka.

    python -m benchmarks.e2e drain   [--records N] [--reps R]     read a backlog: raw C loop, tidegate, Python loops
    python -m benchmarks.e2e push    [--records N] [--reps R]     the same to an HTTP app, batches of 500
    python -m benchmarks.e2e latency [--seconds S]                append to app, 500 events a second
    python -m benchmarks.e2e start                                start to first event, idle CPU, --version

Common: --bootstrap HOST:PORT (default: a Kafka of its own, from Maven), --out FILE, --add NAME=COMMAND (one more
contender, see runner.py), --only NAME[,NAME…].
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.e2e import latency, rates, start
from benchmarks.e2e.runner import ROOT, Contender


@contextmanager
def kafka(bootstrap: str | None) -> Iterator[str]:
    """The broker that was named, or one of its own for the time of the benchmark."""
    if bootstrap:
        yield bootstrap
        return
    sys.path.insert(0, str(ROOT / "tests"))
    from harness.kafka import KafkaServer

    with KafkaServer() as server:
        yield server.bootstrap_servers


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.e2e", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("drain", "push", "latency", "start"))
    parser.add_argument("--bootstrap")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--topic", help="an existing topic with at least --records events; default: one is filled")
    parser.add_argument("--add", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    more = [Contender(name, shlex.split(command)) for name, _, command in (one.partition("=") for one in options.add)]
    only = [name for name in options.only.split(",") if name]
    with kafka(options.bootstrap) as bootstrap:
        if options.what in ("drain", "push"):
            rates.main(options.what, bootstrap, options, more, only)
        elif options.what == "latency":
            latency.main(bootstrap, options.seconds, options.out)
        else:
            start.main(bootstrap, options.reps, options.out)


main()
