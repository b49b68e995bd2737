"""Is the installed tidegate whole? Run by the Python that has it, wherever it is; needs nothing else.

Used by the tests of the wheel and of the image, and by cibuildwheel on every platform that it builds for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 5
SAMPLE = '{"topic": "shop.events", "value": "{\\"event\\": \\"Order Completed\\"}"}\n'


def tidegate(*arguments: str, given: str = "") -> str:
    """What the command prints on stdout. Raises SystemExit, with all it said, where it does not end with 0."""
    command = Path(sys.executable).parent / "tidegate"
    # A directory without a source tree, and nothing of this process's settings.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "PYTHONPATH"))
    }
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [command, *arguments],
            cwd=elsewhere,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    if done.returncode:
        raise SystemExit(f"tidegate {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def check(version: str | None = None) -> None:
    """All of it: the version, the rules, and a surge in which nothing is lost. Raises SystemExit where it is not so."""
    shown = tidegate("--version").split()
    if shown[0] != "tidegate" or (version is not None and shown[1] != version):
        raise SystemExit(f"{shown} is not tidegate {version}")
    tidegate("validate")
    verdict = json.loads(tidegate("validate", "--samples", "-", given=SAMPLE))
    if verdict["class"] != "critical":
        raise SystemExit(f"an order is not critical: {verdict}")
    summary = json.loads(tidegate("demo", "--seconds", str(SECONDS), "--json").splitlines()[-1])
    for label, row in summary["classes"].items():
        if not row["offered"] == row["delivered"] + row["held"] > 0:
            raise SystemExit(f"{label} events do not add up: {row}")
    print(f"{' '.join(shown)}: {summary['records']} events in {SECONDS} s, none lost")


if __name__ == "__main__":
    check(*sys.argv[1:])
