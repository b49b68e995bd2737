"""The image without Docker: its steps of the build (dockerfile.py), run as a pod does (readonly.py)."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from harness import install
from harness.fixtures import require
from tidegate import values
from tidegate.broker.embedded import EmbeddedBroker

from . import dockerfile, readonly
from .building import ROOT

EVENTS = 1000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """/opt of the image, built; takes two minutes."""
    scratch = tmp_path_factory.mktemp("image")
    build, _ = dockerfile.read()
    dockerfile.build(build, scratch / "opt", scratch / "src")
    shutil.rmtree(scratch / "src")
    shutil.rmtree(scratch / "opt" / "build")  # as the second stage, which takes only what it names
    shutil.rmtree(scratch / "opt" / "wheel")
    yield scratch / "opt"
    shutil.rmtree(scratch)


def started(opt: Path, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
    """The image's ENTRYPOINT with these arguments, in the last stage's ENV."""
    _, image = dockerfile.read()
    environment = dict(one.split("=", 1) for one in shlex.split(image.last("ENV")))
    environment["PATH"] = environment["PATH"].replace("/opt/", f"{opt}/").replace("$PATH", "/usr/bin:/bin")
    (entry,) = image.words("ENTRYPOINT")
    program = shutil.which(entry, path=environment["PATH"])
    assert program is not None
    assert program.startswith(str(opt))
    return subprocess.Popen(
        readonly.command(program, *arguments),
        env=environment | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(one: subprocess.Popen[bytes]) -> tuple[int, str]:
    out, err = one.communicate(timeout=60)
    return one.returncode, (out + err).decode()


def test_it_is_neither_root_nor_a_shell_and_listens_where_it_says() -> None:
    build, image = dockerfile.read()
    assert build.name == "build"
    assert image.last("USER") == f"{readonly.UID}:{readonly.UID}"
    assert (image.words("ENTRYPOINT"), image.words("CMD")) == (["tidegate"], ["run"])
    assert image.words("HEALTHCHECK") == ["tidegate", "health", "live"]
    assert image.last("EXPOSE") == values.OPS_ADDRESS.rpartition(":")[2]


def test_the_compose_file_has_settings_that_are_valid_and_the_kafka_of_the_tests() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    settings = dict(re.findall(r"^ +(TIDEGATE_\w+): (.+)$", text, re.MULTILINE))
    assert {"TIDEGATE_KAFKA_BOOTSTRAP_SERVERS", "TIDEGATE_TOPICS", "TIDEGATE_SINK_URL"} <= settings.keys()
    checked = [sys.executable, "-m", "tidegate", "validate"]
    done = subprocess.run(checked, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert f"image: apache/kafka:{install.VERSION}\n" in text


def test_every_module_is_compiled_and_no_tool_is_left(made: Path) -> None:
    packages = next((made / "tidegate" / "lib").glob("python3*")) / "site-packages"
    for source in (packages / "tidegate").rglob("*.py"):
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        assert compiled.read_bytes()[4:8] == b"\1\0\0\0"  # by hash, not looked at again: PEP 552
    assert not list(packages.glob("pip*"))
    assert not list(packages.glob("[Cc]ython*"))


def test_it_reads_delivers_and_ends_as_process_1_where_nothing_can_be_written(made: Path) -> None:
    require(readonly.unavailable())
    code, said = ended(started(made, "--version"))
    assert (code, said.split()[0]) == (0, "tidegate"), said
    before = everything(made)
    with EmbeddedBroker({"shop.events": 2}) as broker, socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        ours.close()
        settings = {
            "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "TIDEGATE_TOPICS": "shop.events",
            "TIDEGATE_SINK_URL": "blackhole:",
            "TIDEGATE_OPS_ADDRESS": f"127.0.0.1:{port}",
            "TIDEGATE_ADMIN_ADDRESS": "none",
        }
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for n in range(EVENTS):
            producer.produce("shop.events", b'{"event":"Order Completed"}', key=b"%d" % n)
        producer.flush(10)
        running = started(made, *dockerfile.read()[1].words("CMD"), "--summary", **settings)
        try:
            process = readonly.first_process(running)
            assert identity(process) == {readonly.UID} or os.getuid() == 0
            probe = dockerfile.read()[1].words("HEALTHCHECK")[1:]
            wait_until(lambda: ended(started(made, *probe, **settings))[0] == 0)
            wait_until(lambda: delivered(port) == EVENTS)
            os.kill(process, signal.SIGTERM)
            code, said = ended(running)
        finally:
            running.kill()
    assert code == 0, said
    summary = json.loads([line for line in said.splitlines() if line.startswith('{"records"')][-1])
    assert summary["classes"]["critical"]["delivered"] == EVENTS
    assert everything(made) == before


def test_where_it_runs_nothing_can_be_written(tmp_path: Path) -> None:
    require(readonly.unavailable())
    for place in (tmp_path, ROOT, Path("/tmp")):
        done = subprocess.run(readonly.command("touch", place / "mark"), capture_output=True, text=True, check=False)
        assert "Read-only file system" in done.stderr
        assert not (place / "mark").exists()


def everything(below: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in below.rglob("*") if path.is_file()}


def identity(process: int) -> set[int]:
    status = Path(f"/proc/{process}/status").read_text()
    return {int(number) for number in status.split("\nUid:")[1].split("\n")[0].split()}


def delivered(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    rows = [line for line in text.splitlines() if line.startswith("tidegate_records_total") and '"delivered"' in line]
    return int(sum(float(line.rpartition(" ")[2]) for line in rows))


def wait_until(so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
