"""Stage C of `peers`: their surge (20 s at 20,000/s), generator and app, tidegate's forms among their programs.

Only where `peers` is beside the repository (../shared/peers), where PEERS says or in PEERS_HOME, and its tools are
built there; a program of theirs that is not built is left out. Their figures are printed as they print them, and
returned as they write them.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.e2e.runner import ROOT
from benchmarks.surge.lineup import COMMAND, COMMON, FORMS, peers_home, unknown

TOOLS = ("bin/load", "bin/sink")
# Their name: what is there once it is built.
PROGRAMS = {
    "ck-loop": "venv/lib/*/site-packages/confluent_kafka",
    "arroyo": "venv/lib/*/site-packages/arroyo",
    "parallel-consumer": "src/java/target/pc.jar",
    "connect": "bin/connect",
    "dapr": "bin/daprd",
}


def script() -> Path | None:
    """Their runner; None where it or its tools are missing."""
    home = peers_home()
    if not all((home / tool).exists() for tool in TOOLS):
        return None
    named = os.environ.get("PEERS")
    places = (*([Path(named)] if named else []), ROOT.parent / "shared" / "peers", home / "src")
    return next((place / "run_peers.py" for place in places if (place / "run_peers.py").exists()), None)


def added(name: str, form: dict[str, str]) -> str:
    """NAME=COMMAND as their --add takes it; the settings go by env(1)."""
    left_out = unknown()
    settings = COMMON | {"TIDEGATE_OPS_ADDRESS": "none"} | form
    told = [f"{key}={value}" for key, value in settings.items() if key not in left_out]
    # Braces stay for them to fill in.
    return f"{name.replace(' ', '-')}={shlex.join(['env', *told, *COMMAND])}"


def run(bootstrap: str, reps: int, place: Path) -> list[dict[str, Any]]:
    """Their rows; none, and a line on stderr, where it cannot be had."""
    runner = script()
    if runner is None:
        print("stage C of peers is left out: its tools are not built", file=sys.stderr)
        return []
    names = [name for name, needs in PROGRAMS.items() if any(peers_home().glob(needs))]
    out = place / "stage_c.jsonl"
    out.unlink(missing_ok=True)
    command = [sys.executable, str(runner), "-b", bootstrap, "-s", "C", "--reps", str(reps), "-o", str(out)]
    for name, form in FORMS.items():
        command += ["--add", added(name, form)]
        names.append(name.replace(" ", "-"))
    subprocess.run([*command, "-p", ",".join(names)], check=False)
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
