"""`tidegate sample` as a user meets it: a real process, a pipe into `validate`, exit codes, one screen of error."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.ports import free_ports
from harness.produce import Event, send
from tidegate.broker.embedded import EmbeddedBroker

TIDEGATE = [sys.executable, "-m", "tidegate"]


def environment(servers: str, **more: str) -> dict[str, str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_") or k == "TIDEGATE_TEST_SANITIZED"}
    given = ({"KAFKA_BOOTSTRAP_SERVERS": servers} if servers else {}) | more
    return environ | {f"TIDEGATE_{name}": value for name, value in given.items()}


def run(servers: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TIDEGATE, "sample", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(servers, **more),
    )


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    with EmbeddedBroker({"orders": 2, "clicks": 1, "quiet": 3}) as broker:
        orders = [Event(n % 2, b"k", b'{"event":"purchase","n":%d}' % n) for n in range(2000)]
        send(broker.bootstrap_servers, "orders", orders)
        clicks = [Event(0, b"\xff", b"\xfe", headers=[("a", b"1"), ("a", b"2")]), Event(0, None, None)]
        send(broker.bootstrap_servers, "clicks", clicks)
        yield broker.bootstrap_servers


def test_samples_are_lines_and_the_rest_is_on_stderr(servers: str) -> None:
    done = run(servers, "--topic", "orders", "--topic", "clicks", "--count", "1200")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "tidegate: 1,200 records from orders (2 partitions), the latest",
        "tidegate: 2 records from clicks (1 partition), all that there are",
    ]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 1202
    first = lines[0]
    assert first.pop("ts") > 0
    value = json.dumps({"event": "purchase", "n": 800}, separators=(",", ":"))
    assert first == {"topic": "orders", "partition": 0, "offset": 400, "key": "k", "headers": {}, "value": value}
    odd, nothing = lines[-2:]
    assert (odd["key_base64"], odd["headers"], odd["value_base64"]) == ("/w==", [["a", "1"], ["a", "2"]], "/g==")
    assert (nothing["key"], nothing["value"]) == (None, None)


def test_validate_takes_them_from_a_pipe(servers: str) -> None:
    tidegate = shlex.join(TIDEGATE)
    pipe = f"set -o pipefail; {tidegate} sample --from earliest --count 3 | {tidegate} validate --samples -"
    done = subprocess.run(
        ["bash", "-c", pipe],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(servers, TOPICS="orders,clicks"),
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["class"] for line in done.stdout.splitlines()] == ["critical"] * 3 + ["high"] * 2
    assert "3 records from orders (2 partitions), the oldest" in done.stderr


def test_an_empty_topic_is_no_error(servers: str) -> None:
    done = run(servers, "--topic", "quiet", "--wait", "200ms")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "tidegate: no records in quiet (3 partitions)\n"


def test_a_reader_that_leaves_is_no_fault(servers: str) -> None:
    command = f"{shlex.join(TIDEGATE)} sample --topic orders --count 2000 2>&1 >&3 3>&- | cat >&2"
    both = f"( {command} ) 3>&1 | head -n 1"
    done = subprocess.run(["bash", "-c", both], capture_output=True, text=True, timeout=60, env=environment(servers))
    assert json.loads(done.stdout)["topic"] == "orders"
    assert "Traceback" not in done.stderr
    assert "rror" not in done.stderr


def test_a_wrong_topic_names_the_right_one(servers: str) -> None:
    done = run(servers, "--topic", "order")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"tidegate: there is no topic order at {servers}, or this client is not allowed to see it\n"
        "  Did you mean orders?\n"
    )


def test_what_is_missing_is_said_and_nobody_is_asked() -> None:
    done = run("", "--topic", "orders")
    assert (done.returncode, done.stdout) == (2, "")
    assert "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS is not set" in done.stderr
    done = run("127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "TIDEGATE_TOPICS is not set, and no --topic is given" in done.stderr


def test_no_broker_answers() -> None:
    done = run(f"127.0.0.1:{free_ports(1)[0]}", "--topic", "orders")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot connect to 127.0.0.1" in done.stderr
    assert len(done.stderr.splitlines()) == 2, "librdkafka adds nothing"
