"""Fetches Apache Kafka from Maven once, into a cache that concurrent runs may share."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

VERSION = "4.3.0"
JAVA_MIN = 17
HERE = Path(__file__).parent / "kafka"


class KafkaUnavailableError(RuntimeError):
    """This machine lacks what the broker needs. The text says what."""


def cache_dir() -> Path:
    """Where the jars are kept: ``TIDEGATE_TEST_KAFKA_CACHE``, or the user's cache directory."""
    override = os.environ.get("TIDEGATE_TEST_KAFKA_CACHE")
    if override:
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tidegate" / f"kafka-{VERSION}"


@cache
def java() -> str:
    """The Java to use: ``JAVA_HOME``'s, else the one on the path. Raises KafkaUnavailableError below version 17."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    if found is None:
        raise KafkaUnavailableError(f"no Java: tests on a real Kafka need Java {JAVA_MIN} or newer")
    text = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', text)
    if version is None or int(version[1]) < JAVA_MIN:
        shown = text.splitlines()[0] if text else "no version"
        raise KafkaUnavailableError(f"{found} is {shown}: tests on a real Kafka need Java {JAVA_MIN} or newer")
    return found


def jars() -> Path:
    """The directory with the broker's jars; fetched by Maven at the first call on a machine.

    Raises KafkaUnavailableError without Java or Maven, RuntimeError with Maven's output where the download fails.
    """
    java()
    target = cache_dir()
    if target.is_dir():
        return target
    if shutil.which("mvn") is None:
        raise KafkaUnavailableError("no Maven: tests on a real Kafka need it once, to fetch the broker")
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f"{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released with the descriptor, also when this process is killed
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetching-") as scratch:
            _fetch(Path(scratch))
            # The rename is what makes it exist: whoever sees the directory sees all of it.
            (Path(scratch) / "lib").rename(target)
    return target


def _fetch(scratch: Path) -> None:
    shutil.copy(HERE / "pom.xml", scratch)
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={scratch / 'lib'}"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode or not list((scratch / "lib").glob("kafka_2.13-*.jar")):
        raise RuntimeError(f"Maven could not fetch Apache Kafka {VERSION}:\n{done.stdout}{done.stderr}")


def unavailable() -> str | None:
    """Why a real Kafka cannot run here, or None. Cheap: fetches nothing."""
    try:
        java()
    except KafkaUnavailableError as e:
        return str(e)
    if not cache_dir().is_dir() and shutil.which("mvn") is None:
        return "no Maven: tests on a real Kafka need it once, to fetch the broker"
    return None
