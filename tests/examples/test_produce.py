"""examples/produce.py: what it writes is there, the same for the same seed, and it says how much that is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from harness.checker import read_topic
from harness.ports import free_ports
from harness.programs import Program, plain_environment
from tidegate.broker.embedded import EmbeddedBroker

PRODUCE = Path(__file__).parents[2] / "examples" / "produce.py"


def produce(*arguments: str, servers: str = "") -> subprocess.CompletedProcess[str]:
    named = {"TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": servers} if servers else {}
    command = [sys.executable, str(PRODUCE), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=plain_environment(**named)
    )


def values(servers: str, topic: str) -> list[dict[str, object]]:
    records, _ = read_topic(servers, [topic], isolation="read_uncommitted")
    return [json.loads(record.value or b"") for record in records]


def test_what_it_says_is_there() -> None:
    with EmbeddedBroker({"one": 2, "two": 1, "three": 1}) as broker:
        servers = broker.bootstrap_servers
        done = produce("--topic", "one", "--rate", "1000", "--seconds", "1.5", "--seed", "3", servers=servers)
        assert (done.returncode, done.stderr) == (0, "")
        told = re.fullmatch(r"wrote 1500 events to one with seed 3: (.*)\n", done.stdout)
        assert told is not None
        found = values(servers, "one")
        kinds = [str(event["event_name"]) for event in found]
        assert {kind: int(n) for n, kind in re.findall(r"(\d+) (\w+)", told[1])} == {k: kinds.count(k) for k in kinds}
        assert len({event["event_id"] for event in found}) == 1500
        for topic, seed in (("two", "3"), ("three", "4")):
            more = ("--topic", topic, "--rate", "500", "--seconds", "0.1", "--seed", seed)
            assert produce(*more, "--bootstrap-servers", servers).returncode == 0
        first = {event["event_id"]: event["event_name"] for event in found}
        assert all(first[event["event_id"]] == event["event_name"] for event in values(servers, "two"))
        assert {event["event_id"] for event in values(servers, "three")}.isdisjoint(first)


def test_ctrl_c_says_what_was_written_until_then(tmp_path: Path) -> None:
    with EmbeddedBroker({"one": 1}) as broker:
        command = [sys.executable, str(PRODUCE), "--topic", "one", "--bootstrap-servers", broker.bootstrap_servers]
        with Program(command, tmp_path / "out", plain_environment(), tmp_path) as program:
            for _ in range(200):
                if values(broker.bootstrap_servers, "one"):
                    break
            assert program.interrupt(30) == 0
            told = program.wait_for(r"wrote (\d+) events to one with seed \d+: ")
            assert "Traceback" not in program.output
        assert len(values(broker.bootstrap_servers, "one")) == int(told[1]) > 0


def test_no_broker_is_said() -> None:
    servers = f"127.0.0.1:{free_ports(1)[0]}"
    done = produce("--seconds", "1", servers=servers)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"no broker answers at {servers}; --bootstrap-servers names another\n"
