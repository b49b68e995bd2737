"""A surge on a real Kafka into an app that can take a quarter of it, all contenders in one run.

    python -m benchmarks.surge [--reps R] [--only NAME[,NAME…]] [--peers] [--add NAME=COMMAND] [--out DIRECTORY]
    python -m benchmarks.surge --brief                 six seconds of surge in place of sixty, and no wait for its end

The stream is schedule.py's, the app app.py's, the contenders lineup.py's. surge.json and surge.svg go to --out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.e2e.__main__ import kafka
from benchmarks.e2e.runner import ROOT, Contender, machine

sys.path.insert(0, str(ROOT / "tests"))
from benchmarks.surge import figures, lineup, picture, stage_c, table
from benchmarks.surge.schedule import Schedule
from benchmarks.surge.turn import Plan, turn
from harness.install import KafkaUnavailableError

BRIEF = {"warm": 2.0, "base": 3.0, "surge": 6.0, "calm": 2.0, "limit": 4.0}
FULL = {"warm": 3.0, "base": 10.0, "surge": 60.0, "calm": 15.0, "limit": 900.0}

PLACE = ROOT / "build" / "bench" / "surge"  # contenders' logs, and what goes from process to process
SHOWN = 3.0  # lengths of the surge that the picture has


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.surge", description=__doc__.splitlines()[0])
    parser.add_argument("--brief", action="store_true", help=f"the defaults of these lengths: {BRIEF}")
    for name, meaning in (
        ("warm", "base rate, not counted"),
        ("base", "base rate before the surge"),
        ("surge", "its length; in its third quarter the app's workers take twice as long"),
        ("calm", "base rate after it, at least"),
        ("limit", "and at most, until all is delivered"),
    ):
        parser.add_argument(f"--{name}", type=float, help=f"seconds: {meaning} (default {FULL[name]:g})")
    parser.add_argument("--base-rate", type=float, default=2_000, help="events a second")
    parser.add_argument("--surge-rate", type=float, default=20_000, help="events a second")
    parser.add_argument("--workers", type=int, default=4, help="of the app")
    parser.add_argument("--service-us", type=float, default=800, help="a worker's time per event")
    parser.add_argument("--batch", type=int, default=500, help="events in a request, of those that ask")
    parser.add_argument("--concurrency", type=int, default=8, help="requests at once, of those that ask")
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--only", default="", metavar="NAME[,NAME…]")
    parser.add_argument("--add", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--peers", action="store_true", help="also what of `peers` is built, and its stage C")
    parser.add_argument("--bootstrap", help="HOST:PORT (default: a Kafka of its own, from Maven)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for name, seconds in (BRIEF if options.brief else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, seconds)
    return options


def entered(options: argparse.Namespace) -> list[Contender]:
    """Who takes part; says who does not, and why. Raises SystemExit for a name that nobody has."""
    found = lineup.contenders()
    if left_out := lineup.unknown():
        print(f"this tidegate does not know {', '.join(left_out)}: left out", file=sys.stderr)
    if options.peers:
        built, missing = lineup.peers()
        found += built
        if missing:
            print(f"not built, so not here: {', '.join(missing)}", file=sys.stderr)
    found += [Contender(name, shlex.split(command)) for name, _, command in (one.partition("=") for one in options.add)]
    if not options.only:
        return found
    only = [name.strip() for name in options.only.split(",")]
    if unknown := set(only) - {one.name for one in found}:
        raise SystemExit(
            f"no contender is named {', '.join(sorted(unknown))}; there are: " + ", ".join(one.name for one in found)
        )
    return [one for one in found if one.name in only]


def compete(bootstrap: str, plan: Plan, contenders: list[Contender], reps: int) -> list[dict[str, Any]]:
    """Everyone's turns. In each repetition another one begins, so that the machine's drift meets all alike."""
    PLACE.mkdir(parents=True, exist_ok=True)
    rows = []
    for rep in range(reps):
        first = rep % len(contenders)
        for contender in contenders[first:] + contenders[:first]:
            print(f"  {rep + 1}/{reps} {contender.name}", file=sys.stderr, flush=True)
            try:
                row = turn(contender, bootstrap, plan, PLACE)
            except (RuntimeError, OSError) as error:
                print(f"      {error}", file=sys.stderr)
                row = {"contender": contender.name, "error": str(error)}
            rows.append({"rep": rep, **row})
    return rows


def compact(text: str) -> str:
    """Indented JSON with its pairs of numbers, and lists of such pairs, on a line."""
    text = re.sub(r"\[\s+(-?[\d.e+-]+),\s+(-?[\d.e+-]+)\s+\]", r"[\1, \2]", text)
    return re.sub(r",\s+(?=\[-?\d)", ", ", text)


def write(out: Path, title: str, plan: Plan, rows: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """surge.json with every row, surge.svg of everyone's middle turn."""
    out.mkdir(parents=True, exist_ok=True)
    schedule = plan.schedule
    head = {"title": title, "machine": machine(), "plan": asdict(plan), "left_out": lineup.unknown()}
    told = {**head, "rows": rows, "stage_c": theirs}
    (out / "surge.json").write_text(compact(json.dumps(told, indent=1)) + "\n")
    lines = {
        row["contender"]: [
            (second, ms)
            for second, ms in row["purchases_p99_by_second"]
            if -schedule.base <= second < SHOWN * schedule.surge
        ]
        for row in figures.middle(rows)
        if "error" not in row
    }
    halved = schedule.halved[0] - schedule.surge_from, schedule.halved[1] - schedule.surge_from
    drawn = picture.svg("Purchases: p99 of age at the app, by second", lines, schedule.surge, halved)
    (out / "surge.svg").write_text(drawn)


def main() -> int:
    options = arguments()
    contenders = entered(options)
    schedule = Schedule(options.warm, options.base, options.surge, options.base_rate, options.surge_rate)
    plan = Plan(
        schedule, options.workers, options.service_us, options.calm, options.limit, options.batch, options.concurrency
    )
    title = (
        f"surge: {schedule.base_rate:,.0f}/s, then {schedule.surge_rate:,.0f}/s for {schedule.surge:g} s, into an app "
        f"of {plan.capacity:,.0f}/s ({plan.workers} workers, {plan.service_us:g} µs an event), half of it for "
        f"{schedule.surge / 4:g} s"
    )
    try:
        with kafka(options.bootstrap) as bootstrap:
            rows = compete(bootstrap, plan, contenders, options.reps)
            theirs = stage_c.run(bootstrap, options.reps, PLACE) if options.peers else []
    except KafkaUnavailableError as error:
        print(f"surge benchmark SKIPPED: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    table.show(title, figures.middle(rows))
    if options.out is not None:
        write(options.out, title, plan, rows, theirs)
    return 1 if any("error" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
