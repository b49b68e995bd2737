"""tidegate beside the programs of `peers`, in their stages, by their own runner, each as they wrote it.

    python -m benchmarks.peers [--stages A,B,C] [--records N] [--reps R] [--only NAME[,NAME…]] [--out DIRECTORY]

    A   a backlog read and counted by type          peers_drain.json
    B   a backlog pushed to a fast HTTP app         peers_push.json
    C   a surge into an app of 5,000 events/s       stage_c.json

Needs `peers` beside the repository (../shared/peers) or where PEERS says, and what its setup.sh built in PEERS_HOME;
without them it says so and does nothing. Who is not built is left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.e2e.__main__ import kafka
from benchmarks.e2e.runner import ROOT, machine, medians

sys.path.insert(0, str(ROOT / "tests"))
from benchmarks.peers.lineup import OWN, Peer, own, taking_part, versions
from benchmarks.surge import stage_c
from benchmarks.surge.lineup import peers_home
from harness.install import KafkaUnavailableError

FILES = {"A": "peers_drain", "B": "peers_push", "C": "stage_c"}
TITLES = {
    "A": "peers, stage A: {records:,} events of 263 bytes read and counted by type",
    "B": "peers, stage B: {records:,} events of 263 bytes pushed to an HTTP app, batches of 500",
    "C": "peers, stage C: 10 s at 2,000 events/s, 20 s at 20,000, 30 s at 2,000 into an app of 5,000/s",
}
PLACE = ROOT / "build" / "bench" / "peers"


def turn(
    runner: Path, bootstrap: str, stage: str, names: list[str], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One turn of all that are named, in that order. Rows as their runner writes them."""
    out = PLACE / f"{FILES[stage]}.jsonl"
    out.unlink(missing_ok=True)
    command = [sys.executable, str(runner), "-b", bootstrap, "-s", stage, "-p", ",".join(names), "-o", str(out)]
    command += ["--n", str(options.records), "--backlog", f"peers_{options.records}"]  # tidegate reads all there is
    for one in own(stage):
        command += ["--add", one]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def rate_row(row: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Of A and B, in this repository's words. MiB: they divide KiB by 1,024."""
    kept = {"contender": labels[row["peer"]], "at": row["at"], "load_average": round(row["loadavg"], 2)}
    if "error" in row:
        return kept | {"error": row["error"]}
    pushed = {
        "events_per_request": "batch",
        "missing": "missing",
        "twice": "dup",
        "app_cpu_us_per_record": "sink_cpu_us",
    }
    return kept | {
        "records": row["n"],
        "records_per_second": round(row["rate"]),
        "cpu_us_per_record": round(row["cpu_us"], 3),
        "peak_rss_mib": round(row["rss_mb"], 1),
        **{name: round(row[theirs], 2) for name, theirs in pushed.items() if theirs in row},
    }


def surge_row(row: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Of C. An age is from an event's time to when the app had worked it off; what never came is in `undelivered`."""
    ages = {
        kind: {
            phase: {"n": found["n"], **{f"{name}_ms": found[name] for name in ("p50", "p99", "max")}}
            for phase in ("base", "burst")
            if (found := row.get(f"{phase}_{kind}"))
        }
        for kind in ("purchase", "cart", "view")
    }
    return {
        "contender": labels[row["peer"]],
        "at": row["at"],
        "load_average": round(row["loadavg"], 2),
        "sent": row["sent"],
        "delivered": row["sent"] - row["lost"],
        "undelivered": row["lost"],
        "twice": row["dup"],
        "ages": ages,
        "purchases_in_burst": row["purchases_in_burst"],
        "events_per_request": round(row["batch"], 1),
        "cpu_us_per_record": round(row["cpu_us"], 2),
        "peak_rss_mib": round(row["rss_mb"], 1),
        "delivered_after_seconds": round(row["drain_s"], 1),
    }


def middle(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """As ``medians``, of the turns that did not fail."""
    return medians([row for row in rows if "error" not in row])


def stage(runner: Path, bootstrap: str, name: str, peers: list[Peer], options: argparse.Namespace) -> dict[str, Any]:
    """All turns of a stage; in each another one begins, so that a drift of the machine meets all alike."""
    labels = {peer.name: peer.label for peer in peers} | {one.replace(" ", "-"): one for one in OWN[name]}
    names = list(labels) if not options.only else [one for one in labels if one in options.only]
    rows = []
    for rep in range(options.reps):
        first = rep % max(1, len(names))
        order = names[first:] + names[:first]
        for row in turn(runner, bootstrap, name, order, options):
            row["at"] = time.strftime("%Y-%m-%d ") + row["at"]
            rows.append({"rep": rep, **(surge_row if name == "C" and "error" not in row else rate_row)(row, labels)})
    told = {
        "title": TITLES[name].format(records=options.records),
        "machine": machine(),
        "peers": versions([peer for peer in peers if peer.name in names], peers_home()),
    }
    return told | ({} if name == "C" else {"medians": middle(rows)}) | {"rows": rows}


def show(told: dict[str, Any]) -> None:
    print(f"\n{told['title']}")
    for name, row in told.get("medians", {}).items():
        figures = f"{row['records_per_second'] / 1e3:8.0f} k/s {row['cpu_us_per_record']:6.2f} µs"
        print(f"{name:32}{figures} {row['peak_rss_mib']:6.0f} MiB")
    for row in told["rows"]:
        if "error" in row:
            print(f"{row['contender']:32}{row['error']}")
        elif "ages" in row and (late := row["ages"]["purchase"].get("burst")):
            ages = " / ".join(f"{late[name]:.0f}" for name in ("p50_ms", "p99_ms", "max_ms"))
            print(f"{row['contender']:32}purchases {ages} ms, {row['undelivered']:,} not delivered")


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--stages", default="A,B,C")
    parser.add_argument("--records", type=int, default=2_000_000, help="of the backlog (A and B)")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="names of theirs, and tidegate")
    parser.add_argument("--bootstrap", help="HOST:PORT (default: a Kafka of its own, from Maven)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    runner = stage_c.script()
    if runner is None:
        print(
            "benchmarks of peers SKIPPED: no run_peers.py in ../shared/peers or where PEERS says, or its tools are not "
            f"built in {peers_home()} (its setup.sh builds them; PEERS_HOME names another place)",
            file=sys.stderr,
        )
        return 0
    PLACE.mkdir(parents=True, exist_ok=True)
    failed = False
    try:
        with kafka(options.bootstrap) as bootstrap:
            for name in options.stages.split(","):
                peers, missing = taking_part(name, peers_home())
                if missing:
                    print(f"stage {name}: not built, so not here: {', '.join(missing)}", file=sys.stderr)
                told = stage(runner, bootstrap, name, peers, options)
                show(told)
                failed |= not told["rows"] or any("error" in row for row in told["rows"])
                if options.out is not None:
                    options.out.mkdir(parents=True, exist_ok=True)
                    (options.out / f"{FILES[name]}.json").write_text(json.dumps(told, indent=1) + "\n")
    except KafkaUnavailableError as error:
        print(f"benchmarks of peers SKIPPED: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
