"""tidegate as a user starts it, and what one screen holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.sidecar import Sidecar

LINES, COLUMNS = 24, 80
_COMMAND = re.compile(r"\s*(kafka-|openssl |\S*python\S* -m |Run: |In a clone: )")  # to be pasted, so not folded


def environment(**settings: object) -> dict[str, str]:
    """This process's environment, and of ``TIDEGATE_*`` only these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TIDEGATE_", "_TIDEGATE"))}
    return kept | full(**settings)


def full(**settings: object) -> dict[str, str]:
    """Settings by their variables."""
    return {f"TIDEGATE_{name.upper()}": str(value) for name, value in settings.items()}


def tidegate(*arguments: str, timeout: float = 60, **settings: object) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tidegate", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment(**settings),
    )


def refused(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """What a command said that ended with this code: on stderr, in one screen, and no traceback."""
    assert (done.returncode, done.stdout) == (code, ""), done.stdout + done.stderr
    return one_screen(done.stderr)


def one_screen(text: str) -> str:
    """The text, which has to be what a terminal of 24 lines shows, and for people."""
    assert "Traceback" not in text, text
    rows = sum(max(1, -(-len(line) // COLUMNS)) for line in text.splitlines())
    assert 0 < rows <= LINES, f"{rows} rows\n{text}"
    return text


def sidecar(directory: Path, **settings: object) -> Sidecar:
    """``tidegate run``, started, with listeners of its own off unless they are said."""
    plain = {"ops_address": "none", "admin_address": "none", "sink_url": "blackhole:", "log_format": "json"}
    return Sidecar(full(**(plain | {"parking_topic": "none", "drain_seconds": 1} | settings)), directory).start()


def lines(one: Sidecar, **wanted: Any) -> list[dict[str, Any]]:
    """What it has logged, as far as a line has these fields."""
    found = [json.loads(line) for line in one.stderr.splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in found if all(line.get(name) == value for name, value in wanted.items())]
