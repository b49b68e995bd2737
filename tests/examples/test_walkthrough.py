"""README, "Your own Kafka in five minutes": every command there is run as it stands, in order, on ports of its own.

A block's first line names its terminal. The first three are started and left running; the fourth is gone through line
by line. What each has to print is said below, and a command of which nothing is said fails the test.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.fixtures import require_java
from harness.install import VERSION
from harness.ports import free_ports
from harness.programs import Program, plain_environment
from tidegate import values
from tidegate.demo.events import CLASS_OF
from tidegate.types import EventClass

ROOT = Path(__file__).parents[2]
TITLE = "## Your own Kafka in five minutes\n"
EVENTS = 5000  # by --rate and --seconds in the README
SAMPLES = 1000  # so many that each kind of event is among them
LOOK = 4  # the terminal that is gone through line by line


def section() -> str:
    return (ROOT / "README.md").read_text().partition(TITLE)[2].partition("\n## ")[0]


def terminals() -> dict[int, list[str]]:
    """The commands of each terminal, in order, without comments."""
    found: dict[int, list[str]] = {}
    for block in re.findall(r"```sh\n(.*?)```", section(), re.DOTALL):
        first, *lines = block.splitlines()
        named = re.match(r"# terminal (\d): ", first)
        assert named is not None, f"a block has to say which terminal it is for: {first}"
        assert int(named[1]) not in found, "each terminal has one block"
        found[int(named[1])] = [line for line in lines if not line.startswith("#")]
    return found


class Ports(NamedTuple):
    """Free ports for those that the README names."""

    kafka: int
    app: int
    ops: int
    admin: int

    def put(self, command: str) -> str:
        for port, own in (("9092", self.kafka), ("8080", self.app), ("9400", self.ops)):
            command = command.replace(port, str(own))
        return command


def test_the_section_is_what_it_says() -> None:
    assert f"apache/kafka:{VERSION}" in section()
    assert list(terminals()) == [1, 2, 3, LOOK]
    assert len(section().splitlines()) <= 60
    makefile = (ROOT / "Makefile").read_text()
    for line in ("KAFKA_PORT ?= 9092\n", "APP_PORT ?= 8080\n", "APP_DATABASE ?= build/events.db\n"):
        assert line in makefile
    assert values.OPS_ADDRESS.endswith(":9400")


# What stands in the README, by a part of it: what its output has to be. Called again until it is, for ten seconds.


def produced(out: str) -> None:
    assert re.fullmatch(rf"wrote {EVENTS} events to shop\.events with seed \d+: .*\n", out)
    assert re.search(r"\d+ page_view", out)
    assert re.search(r"\d+ purchase", out)


def stored(out: str) -> None:
    told = json.loads(out)
    assert sum(row["events"] for row in told["classes"].values()) == EVENTS
    assert told["classes"].keys() == {"critical", "high", "normal", "bulk"}


def counted(out: str) -> None:
    # tidegate_records_total{class="bulk",disposition="delivered",topic="shop.events"} 123.0
    found = {m[1]: float(m[2]) for m in re.finditer(r'class="(\w+)".*"delivered".* ([0-9.e+]+)\n', out)}
    assert found.keys() == {"critical", "high", "normal", "bulk"}
    assert sum(found.values()) == EVENTS


def written(out: str) -> None:
    assert out == "tidegate: 1,000 records from shop.events (4 partitions), the latest\n"
    lines = (ROOT / "build" / "samples.jsonl").read_text().splitlines()
    assert len(lines) == SAMPLES
    assert len({(one["partition"], one["offset"]) for one in map(json.loads, lines)}) == SAMPLES


def classes(out: str) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for line in out.splitlines():
        number, _, verdict = line.strip().partition(" ")
        told = json.loads(verdict)
        assert told["valid"]
        found[told["type"], told["class"]] += int(number)
    assert found.total() == SAMPLES
    return found


def judged(out: str) -> None:
    assert all(CLASS_OF[kind].label == klass for kind, klass in classes(out))


def judged_anew(out: str) -> None:
    for kind, klass in classes(out):
        expected = EventClass.CRITICAL if kind == "add_to_cart" else CLASS_OF[kind]
        assert klass == expected.label
    assert ("add_to_cart", "critical") in classes(out)


READY = {
    1: r"is ready at 127\.0\.0\.1:\d+ after",
    2: r"Uvicorn running on http://127\.0\.0\.1:\d+",
    3: r"partitions assigned",
}
SAID: list[tuple[str, Callable[[str], None]]] = [
    ("examples/produce.py", produced),
    ("/stats", stored),
    ("/metrics", counted),
    ("tidegate sample", written),
    ("tidegate validate", judged),
    ("tidegate validate", judged_anew),
]


@pytest.fixture
def ports() -> Ports:
    return Ports(*free_ports(4))


@pytest.fixture
def environ(ports: Ports, tmp_path: Path) -> dict[str, str]:
    return plain_environment(
        KAFKA_PORT=str(ports.kafka), APP_PORT=str(ports.app), APP_DATABASE=str(tmp_path / "events.db")
    )


@pytest.fixture
def programs(ports: Ports, environ: dict[str, str], tmp_path: Path) -> Iterator[dict[int, Program]]:
    """Terminals 1 to 3, each started when the one before is ready, and ended by Ctrl-C in the opposite order."""
    require_java()
    own = {
        "TIDEGATE_OPS_ADDRESS": f"127.0.0.1:{ports.ops}",
        "TIDEGATE_ADMIN_ADDRESS": f"127.0.0.1:{ports.admin}",
    }
    started: dict[int, Program] = {}
    with ExitStack() as stack:
        for number, commands in terminals().items():
            if number == LOOK:
                continue
            script = "\n".join(["set -eu", *map(ports.put, commands)])
            more = own if any("TIDEGATE_" in one for one in commands) else {}
            program = Program(["bash", "-c", script], tmp_path / f"terminal-{number}", environ | more, ROOT)
            started[number] = stack.enter_context(program)
            program.wait_for(READY[number], 240)
        yield started
    for number, program in started.items():
        print(f"--- terminal {number}\n{program.output[-3000:]}")
        assert "Traceback" not in program.output
    assert "ended, and nothing is left of it" in started[1].output


def test_every_command_of_the_walkthrough(programs: dict[int, Program], ports: Ports, environ: dict[str, str]) -> None:
    before, expected = [], list(SAID)
    for command in terminals()[LOOK]:
        if command.startswith("export "):
            before.append(ports.put(command))
            continue
        assert expected, f"nothing is said of {command}"
        part, check = expected.pop(0)
        assert part in command
        script = "\n".join(["set -euo pipefail", *before, ports.put(command)])
        repeat(script, check, environ)
    assert not expected, f"the README has no more {expected}"
    assert set(programs) == {1, 2, 3}
    assert all(program.process.poll() is None for program in programs.values())


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        ("python examples/produc.py", produced),
        ("tidegate sample --topik shop.events", written),
        ("tidegate sample --topic shop.events", written),
        ("tidegate validate --samples build/no-samples.jsonl | sort | uniq -c", judged),
        ("true", judged_anew),
    ],
)
def test_a_command_that_does_not_do_it_fails(
    broken: str, check: Callable[[str], None], environ: dict[str, str]
) -> None:
    """Misspelt, or without what stands before it: none of them passes for what it should be."""
    with pytest.raises(AssertionError):
        repeat(f'set -euo pipefail; export PATH="$PWD/.venv/bin:$PATH"; {broken}', check, environ)


def repeat(script: str, check: Callable[[str], None], environ: dict[str, str]) -> None:
    """What only looks may be done again until the stream is through; what writes must be right at once."""
    deadline = time.monotonic() + (10 if "curl" in script else 0)
    while True:
        command = ["bash", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environ, cwd=ROOT)
        out = done.stdout + done.stderr
        try:
            assert done.returncode == 0, f"exit code {done.returncode}\n{script}\n{out}"
            check(out)
        except AssertionError:
            if time.monotonic() > deadline:
                print(f"{script}\n{out}")
                raise
            time.sleep(0.2)
        else:
            return
