"""`make kafka` without make: it says where it is, leaves nothing, and says what is missing and what to do instead."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness import topics
from harness.fixtures import require_java
from harness.install import VERSION
from harness.ports import free_ports
from harness.programs import Program, plain_environment

TESTS = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "harness.standalone"]


def environment(temporary: Path, **more: str) -> dict[str, str]:
    return plain_environment(TMPDIR=str(temporary)) | more


@pytest.mark.kafka
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_topics_and_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    require_java()
    temporary, port = tmp_path / "tmp", free_ports(1)[0]
    temporary.mkdir()
    command = [*COMMAND, "--port", str(port), "orders", "clicks"]
    with Program(command, tmp_path / "out", environment(temporary), TESTS) as program:
        program.wait_for(rf"Kafka {VERSION} is ready at 127\.0\.0\.1:{port} after \d+ s")
        program.wait_for(rf"(?m)^export TIDEGATE_KAFKA_BOOTSTRAP_SERVERS=127\.0\.0\.1:{port}$")
        program.wait_for(r"(?m)^export TIDEGATE_TOPICS=orders,clicks  # 4 partitions each$")
        assert len(topics.partitions_of(f"127.0.0.1:{port}", ["orders", "clicks"])) == 8
        program.process.send_signal(how)
        assert program.process.wait(30) == 0
        assert "Traceback" not in program.output
    assert list(temporary.iterdir()) == []
    with socket.socket() as probe:
        probe.settimeout(5)
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(temporary) not in running


@pytest.mark.kafka
def test_a_broker_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    require_java()
    port = free_ports(1)[0]
    with Program([*COMMAND, "--port", str(port)], tmp_path / "out", environment(tmp_path), TESTS) as program:
        program.wait_for("is ready at")
        (configured,) = tmp_path.glob("tidegate-kafka-*/server.properties")
        listed = subprocess.run(["pgrep", "-f", str(configured)], capture_output=True, text=True, check=True).stdout
        for pid in listed.split():
            subprocess.run(["kill", "-9", pid], check=True)
        assert program.process.wait(30) == 1
        assert "the broker has ended" in program.output


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment(tmp_path),
            cwd=TESTS,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert f"make kafka KAFKA_PORT={port + 1}" in done.stderr


@pytest.mark.parametrize(("missing", "words"), [("java", "no Java: a real Kafka needs Java 17"), ("mvn", "no Maven")])
def test_what_is_missing_is_said(tmp_path: Path, missing: str, words: str) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if missing == "mvn":
        java = programs / "java"
        java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\"' >&2\n")
        java.chmod(0o755)
    environ = environment(tmp_path, PATH=str(programs), TIDEGATE_TEST_KAFKA_CACHE=str(tmp_path / "none"))
    environ.pop("JAVA_HOME", None)
    command = [*COMMAND, "--port", str(free_ports(1)[0])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ, cwd=TESTS)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert f"docker run --rm -p {command[-1]}:9092 apache/kafka:{VERSION}" in done.stderr
    assert "Traceback" not in done.stderr
