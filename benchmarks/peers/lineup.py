"""Who competes in the stages of `peers`, what has to be built for it, and in which version it is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.e2e.runner import TIDEGATE, tidegate
from benchmarks.surge import stage_c
from benchmarks.surge.lineup import FORMS

Version = Callable[[Path], str]  # from PEERS_HOME


def _python(*names: str) -> Version:
    def find(home: Path) -> str:
        places = [str(place) for place in home.glob("venv/lib/*/site-packages")]
        found = {one.metadata["Name"].lower().replace("_", "-"): one.version for one in distributions(path=places)}
        return ", ".join(f"{name} {found[name]}" for name in names)

    return find


def _text(path: str, pattern: str, shown: str) -> Version:
    """The first group of the pattern in a file of the sources."""

    def find(home: Path) -> str:
        found = re.search(pattern, (home / path).read_text())
        return f"{shown} {found[1]}" if found else shown

    return find


def _dapr(home: Path) -> str:
    told = subprocess.run([str(home / "bin" / "daprd"), "--version"], capture_output=True, text=True, check=True)
    return f"Dapr {told.stdout.strip()}"


@dataclass(frozen=True)
class Peer:
    """`name` is theirs, `label` ours; `needs` is there once it is built; `stages` are those that it is shown in."""

    name: str
    label: str
    stages: str
    needs: str
    version: Version


_CARGO = r'name = "rdkafka"\nversion = "([^"]+)"'
_POM = r"parallel-consumer-core</artifactId><version>([^<]+)<"
_ARROYO = "venv/lib/*/site-packages/arroyo"
_FRANZ = _text("src/gotools/go.mod", r"twmb/franz-go v(\S+)", "franz-go")
_CLIENT, _JAR = "venv/lib/*/site-packages/confluent_kafka", "src/java/target/pc.jar"
_PARALLEL = _text("src/java/pom.xml", _POM, "parallel-consumer")
_CONNECT = _text("src/connect/go.mod", r"redpanda-data/connect/v4 v(\S+)", "Redpanda Connect")
PEERS = (
    Peer("franz-go", "franz-go + gjson", "A", "bin/franzcount", _FRANZ),
    Peer(
        "rust-rdkafka",
        "Rust rdkafka + sonic-rs",
        "A",
        "src/rust/target/release/rustcount",
        _text("src/rust/Cargo.lock", _CARGO, "rust-rdkafka"),
    ),
    Peer("ck-loop-tuned", "confluent-kafka loop (tuned)", "AB", _CLIENT, _python("confluent-kafka", "orjson")),
    Peer("ck-loop", "confluent-kafka loop (defaults)", "A", _CLIENT, _python("confluent-kafka", "orjson")),
    Peer("aiokafka", "aiokafka", "AB", "venv/lib/*/site-packages/aiokafka", _python("aiokafka", "aiohttp")),
    Peer("faststream", "FastStream", "A", "venv/lib/*/site-packages/faststream", _python("faststream")),
    Peer("parallel-consumer", "parallel-consumer", "ABC", _JAR, _PARALLEL),
    Peer("arroyo", "arroyo", "ABC", _ARROYO, _python("sentry-arroyo")),
    Peer("connect", "Redpanda Connect", "BC", "bin/connect", _CONNECT),
    Peer("dapr", "Dapr (bulk)", "BC", "bin/daprd", _dapr),
    Peer("ck-loop", "confluent-kafka loop (pausing)", "C", _CLIENT, _python("confluent-kafka", "aiohttp")),
)

# tidegate's forms by stage, as the surge names them. A backlog that it has to push without an end to it is a surge to
# it: of what may be deferred it parks what does not fit, and brings it back later. So B also has it without parking.
OWN = {"A": ("tidegate",), "B": ("tidegate", "tidegate pause-only"), "C": ("tidegate",)}


def taking_part(stage: str, home: Path) -> tuple[list[Peer], list[str]]:
    """(who is built, labels of who is not) of a stage."""
    mine = [peer for peer in PEERS if stage in peer.stages]
    return (
        [peer for peer in mine if any(home.glob(peer.needs))],
        [peer.label for peer in mine if not any(home.glob(peer.needs))],
    )


def own(stage: str) -> list[str]:
    """tidegate's forms, as their --add takes them: NAME=COMMAND.

    In A its last line has to say `n`, which its summary calls `records`; in B and C it runs until it is stopped."""
    if stage != "A":
        return [stage_c.added(name, FORMS[name]) for name in OWN[stage]]
    settings = tidegate("tidegate", "blackhole:").env
    command = shlex.join(["env", *(f"{name}={value}" for name, value in settings.items()), *TIDEGATE])
    return [f"tidegate={shlex.join(['sh', '-c', command + ' | sed s/records/n/'])}"]


def versions(peers: list[Peer], home: Path) -> dict[str, str]:
    """By label; tidegate's is in the machine's."""
    found = {}
    for peer in peers:
        try:
            found[peer.label] = peer.version(home)
        except (OSError, KeyError, subprocess.CalledProcessError) as error:
            print(f"which version of {peer.label} it is cannot be told: {error}", file=sys.stderr)
    return found
