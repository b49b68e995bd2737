"""tidegate among the programs of `peers`: what their runner is told, and what becomes of what it says."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.e2e import events
from benchmarks.peers import __main__ as peers
from benchmarks.peers import lineup
from benchmarks.surge import stage_c
from benchmarks.surge.lineup import peers_home
from confluent_kafka import Producer

from tidegate.broker.embedded import EmbeddedBroker

# A runner with the face of theirs: it writes a row for each that is named, in that order.
RUNNER = """
import json, sys
told = dict(zip(sys.argv[1::2], sys.argv[2::2]))
with open(told["-o"], "w") as out:
    for name in told["-p"].split(","):
        row = {"stage": told["-s"], "peer": name, "loadavg": 0.123, "at": "12:00:00"}
        if name == "dapr":
            row["error"] = "nothing delivered in 20s"
        else:
            row |= {"n": int(told["--n"]), "rate": 1e6, "cpu_us": 0.5, "rss_mb": 20.0}
            row |= {"batch": 499.5, "missing": 0, "dup": 3, "sink_cpu_us": 1.0}
        out.write(json.dumps(row) + "\\n")
"""
AGES = {"n": 5, "p50": 6, "p99": 12, "max": 44}
SURGE_ROW = {
    "stage": "C",
    "peer": "dapr",
    "n": 159_000,
    "sent": 480_000,
    "lost": 321_000,
    "dup": 7,
    "rejected": 0,
    "batch": 21.6,
    "rss_mb": 180.0,
    "cpu_us": 28.9,
    "drain_s": 131.4,
    "max_behind_ms": 0,
    "base_purchase": AGES,
    "base_cart": AGES,
    "base_view": AGES,
    "burst_view": AGES,
    "purchases_in_burst": 11_960,
    "carts_in_burst": 40_123,
    "loadavg": 0.4,
    "at": "2026-11-30 21:02:57",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where the runner, its tools, Dapr and Connect are built."""
    for name in ("bin/load", "bin/sink", "bin/daprd", "bin/connect", "src/run_peers.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(RUNNER if name.endswith(".py") else "")
    monkeypatch.setenv("PEERS_HOME", str(tmp_path))
    monkeypatch.setenv("PEERS", str(tmp_path / "src"))
    monkeypatch.setattr(peers, "PLACE", tmp_path)
    return tmp_path


def arguments(monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    monkeypatch.setattr(sys, "argv", ["peers", "--bootstrap", "nowhere:9092", *more])


def test_in_stage_a_tidegate_reads_all_there_is_and_says_how_much() -> None:
    ((name, _, command),) = (one.partition("=") for one in lineup.own("A"))
    assert name == "tidegate"
    with EmbeddedBroker() as broker:
        broker.create_topic("peers_300", 2)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for key, value in events.events(300):
            producer.produce("peers_300", value, key)
        assert producer.flush(30) == 0
        # As their runner fills it in.
        for word, value in {
            "bootstrap": broker.bootstrap_servers,
            "topic": "peers_300",
            "group": "g",
            "n": "300",
        }.items():
            command = command.replace("{" + word + "}", value)
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["n"] == 300
    assert told["seconds"] > 0


@pytest.mark.parametrize("stage", ["B", "C"])
def test_in_the_others_it_posts_to_their_app_with_its_defaults(stage: str) -> None:
    command, *others = lineup.own(stage)
    assert [one.partition("=")[0] for one in others] == (["tidegate-pause-only"] if stage == "B" else [])
    assert "TIDEGATE_SINK_URL={sink}/events" in command
    assert command.endswith("tidegate run --summary")


def test_each_turn_begins_with_another_one_and_what_failed_is_said(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "bin" / "daprd").write_text("#!/bin/sh\necho 1.15.0\n")
    (home / "bin" / "daprd").chmod(0o755)
    arguments(monkeypatch, "--stages", "B", "--records", "7", "--reps", "2", "--out", str(tmp_path / "out"))
    assert peers.main() == 1  # Dapr has no result
    told = json.loads((tmp_path / "out" / "peers_push.json").read_text())
    first, second = ([row["contender"] for row in told["rows"] if row["rep"] == rep] for rep in range(2))
    assert sorted(first) == sorted(second) == ["Dapr (bulk)", "Redpanda Connect", "tidegate", "tidegate pause-only"]
    assert second == first[1:] + first[:1]
    assert {row["error"] for row in told["rows"] if row["contender"] == "Dapr (bulk)"} == {"nothing delivered in 20s"}
    assert set(told["medians"]) == {"Redpanda Connect", "tidegate", "tidegate pause-only"}
    assert told["peers"]["Dapr (bulk)"] == "Dapr 1.15.0"
    row = next(row for row in told["rows"] if row["contender"] == "tidegate")
    assert (row["records"], row["twice"], row["events_per_request"]) == (7, 3, 499.5)
    assert "not built, so not here: confluent-kafka loop (tuned)" in capsys.readouterr().err


def test_only_who_is_named_takes_part(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    arguments(monkeypatch, "--stages", "B", "--reps", "1", "--only", "connect,tidegate", "--out", str(out))
    assert peers.main() == 0
    told = json.loads((out / "peers_push.json").read_text())
    assert [row["contender"] for row in told["rows"]] == ["Redpanda Connect", "tidegate"]


def test_without_peers_it_says_so_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEERS_HOME", str(tmp_path))
    arguments(monkeypatch)
    assert peers.main() == 0
    assert (
        f"SKIPPED: no run_peers.py in ../shared/peers or where PEERS says, or its tools are not built in {tmp_path}"
        in (capsys.readouterr().err)
    )
    assert stage_c.script() is None


def test_what_stage_c_says_in_this_repositorys_words() -> None:
    row = peers.surge_row(dict(SURGE_ROW), {"dapr": "Dapr (bulk)"})
    assert (row["contender"], row["delivered"], row["undelivered"], row["twice"]) == (
        "Dapr (bulk)",
        159_000,
        321_000,
        7,
    )
    assert row["ages"]["purchase"] == {
        "base": {"n": 5, "p50_ms": 6, "p99_ms": 12, "max_ms": 44}
    }  # none of the burst came
    assert set(row["ages"]["view"]) == {"base", "burst"}


def test_medians_are_of_the_turns_that_did_not_fail() -> None:
    good = {"contender": "a", "cpu_us_per_record": 2.0, "peak_rss_mib": 10.0, "records_per_second": 5}
    rows = [good, good | {"records_per_second": 7, "peak_rss_mib": 30.0}, {"contender": "a", "error": "no"}]
    assert peers.middle([*rows, {"contender": "b", "error": "no"}]) == {
        "a": {
            "records_per_second": 6,
            "best_records_per_second": 7,
            "cpu_us_per_record": 2.0,
            "least_cpu_us_per_record": 2.0,
            "peak_rss_mib": 30.0,
        }
    }


@pytest.mark.skipif("PEERS_HOME" not in os.environ, reason="PEERS_HOME does not say where peers are built")
def test_every_peer_that_is_built_has_a_version() -> None:
    home = peers_home()
    built = [peer for peer in lineup.PEERS if any(home.glob(peer.needs))]
    assert built
    assert set(lineup.versions(built, home)) == {peer.label for peer in built}
