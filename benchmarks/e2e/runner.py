"""Runs contenders side by side: interleaved repetitions, the kernel's own account of each process, medians.

A contender is one command. It gets BOOTSTRAP TOPIC GROUP RECORDS SINK BATCH CONCURRENCY in its environment, and
prints as its last line of stdout a JSON object with ``n`` (or ``records``) and ``seconds``, first record to last.
CPU is taken from wait4(2) and memory from /proc, so they count the whole process for everyone alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIDEGATE = [sys.executable, "-m", "tidegate", "run", "--until-end"]


@dataclass(frozen=True)
class Contender:
    """One command; `env` is added to its environment, with {bootstrap} and the like filled in."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)


def tidegate(name: str, sink: str, **settings: str) -> Contender:
    """`tidegate run --until-end` with its defaults but for what is named."""
    env = {
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": "{bootstrap}",
        "TIDEGATE_TOPICS": "{topic}",
        "TIDEGATE_GROUP_ID": "{group}",
        "TIDEGATE_SINK_URL": sink,
        "TIDEGATE_OPS_ADDRESS": "none",
        "TIDEGATE_ADMIN_ADDRESS": "none",
        "TIDEGATE_LOG_LEVEL": "warning",
        **settings,
    }
    return Contender(name, TIDEGATE, env)


class PeakMemory(threading.Thread):
    """Follows a process's VmHWM until it ends. wait4's ru_maxrss would not do: exec carries over the parent's."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._path = Path(f"/proc/{pid}/status")
        self.kib = 0
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while found := re.search(r"VmHWM:\s+(\d+)", self._path.read_text()):
                self.kib = int(found[1])
                time.sleep(0.02)


def run(contender: Contender, values: dict[str, str], timeout: float) -> dict[str, Any]:
    """One run in a consumer group of its own. Raises RuntimeError when it fails or counts wrong."""
    values = {**values, "group": f"bench-{contender.name}-{uuid.uuid4().hex[:8]}"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    env |= {name.upper(): value for name, value in values.items()}
    env |= {name: value.format(**values) for name, value in contender.env.items()}
    command = [part.format(**values) for part in contender.command]
    begun = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    memory = PeakMemory(process.pid)
    killer = threading.Timer(timeout, process.kill)
    killer.start()
    try:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = output.strip().splitlines()
    if process.returncode or not lines:
        raise RuntimeError(f"{contender.name} ended with {process.returncode}: {output[-400:]}")
    told = json.loads(lines[-1])
    n, seconds = told.get("n", told.get("records")), told["seconds"]
    if n < int(values["records"]):
        raise RuntimeError(f"{contender.name} read {n} of {values['records']} records")
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "contender": contender.name,
        "records": n,
        "seconds": seconds,
        "records_per_second": n / seconds,
        "cpu_us_per_record": cpu * 1e6 / n,
        "peak_rss_mib": memory.kib / 1024,
        "whole_seconds": time.monotonic() - begun,
        "load_average": os.getloadavg()[0],
        **({"threads": told["threads"]} if "threads" in told else {}),
    }


def compete(
    contenders: list[Contender],
    values: dict[str, str],
    reps: int,
    timeout: float,
    after: Callable[[], object] = lambda: None,
) -> list[dict[str, Any]]:
    """All contenders in turn, `reps` times over, so that a drift of the machine meets them alike; `after` each run."""
    rows = []
    for rep in range(reps):
        for contender in contenders:
            row = run(contender, values, timeout)
            after()
            rows.append({"rep": rep, **row})
            print(
                f"  {rep + 1}/{reps} {contender.name:24} {row['records_per_second'] / 1e3:8.0f} k/s "
                f"{row['cpu_us_per_record']:6.2f} µs {row['peak_rss_mib']:6.0f} MiB",
                file=sys.stderr,
            )
    return rows


def medians(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By contender: median rate, CPU and memory, least CPU, best rate."""
    table = {}
    for name in dict.fromkeys(row["contender"] for row in rows):
        mine = [row for row in rows if row["contender"] == name]
        table[name] = {
            "records_per_second": statistics.median(row["records_per_second"] for row in mine),
            "best_records_per_second": max(row["records_per_second"] for row in mine),
            "cpu_us_per_record": statistics.median(row["cpu_us_per_record"] for row in mine),
            "least_cpu_us_per_record": min(row["cpu_us_per_record"] for row in mine),
            "peak_rss_mib": max(row["peak_rss_mib"] for row in mine),
        }
    return table


def machine() -> dict[str, Any]:
    """What the figures were measured on: processor, cores, versions, commit."""

    def package(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "absent"

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    dirty = bool(subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True).stdout.strip())
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: package(name) for name in ("tidegate", "confluent-kafka", "aiokafka", "aiohttp", "orjson")},
        "commit": commit + ("+" if dirty else ""),
        "date": time.strftime("%Y-%m-%d"),
    }


def report(title: str, rows: list[dict[str, Any]], floor: str, more: dict[str, Any], out: Path | None) -> None:
    """Prints the medians with ratios to `floor`, and writes everything as JSON."""
    table = medians(rows)
    base = table.get(floor) or next(iter(table.values()))
    print(f"\n{title}\n{'':26}{'k/s':>8}{'ratio':>8}{'µs/event':>10}{'ratio':>8}{'MiB':>7}")
    for name, row in table.items():
        print(
            f"{name:26}{row['records_per_second'] / 1e3:8.0f}"
            f"{row['records_per_second'] / base['records_per_second']:8.2f}"
            f"{row['cpu_us_per_record']:10.2f}{row['cpu_us_per_record'] / base['cpu_us_per_record']:8.2f}"
            f"{row['peak_rss_mib']:7.0f}"
        )
    if out is not None:
        out.write_text(
            json.dumps({"title": title, "machine": machine(), **more, "medians": table, "rows": rows}, indent=1) + "\n"
        )
