"""Fetches Apache Kafka (Maven), toxiproxy and actionlint (Go) once, into a cache that concurrent runs may share."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

VERSION = "4.3.0"
JAVA_MIN = 17
HERE = Path(__file__).parent / "kafka"
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server"
TOXIPROXY_VERSION = "2.5.0"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint"
ACTIONLINT_VERSION = "1.7.12"


class KafkaUnavailableError(RuntimeError):
    """This machine lacks what the broker needs. The text says what."""


class ToxiproxyUnavailableError(RuntimeError):
    """This machine lacks what toxiproxy needs. The text says what."""


def cache_dir() -> Path:
    """Where the jars are kept: ``TIDEGATE_TEST_KAFKA_CACHE``, or the user's cache directory."""
    override = os.environ.get("TIDEGATE_TEST_KAFKA_CACHE")
    return Path(override) if override else _cache() / f"kafka-{VERSION}"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"


def class_archive() -> Path:
    """Where the JVM's archive of the broker's loaded classes is kept, once a broker has left one (node.py)."""
    return cache_dir().with_name(cache_dir().name + ".jsa")


def keep_class_archive(made: Path) -> None:
    """Takes an archive that a broker left, unless there is one."""
    target = class_archive()
    if not target.exists():
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix="keeping-", delete=False) as scratch:
            pass
        shutil.copy(made, scratch.name)
        Path(scratch.name).replace(target)
    made.unlink()


@cache
def java() -> str:
    """The Java to use: ``JAVA_HOME``'s, else the one on the path. Raises KafkaUnavailableError below version 17."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    if found is None:
        raise KafkaUnavailableError(f"no Java: a real Kafka needs Java {JAVA_MIN} or newer")
    text = subprocess.run([found, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    version = re.search(r'version "(\d+)', text)
    if version is None or int(version[1]) < JAVA_MIN:
        shown = text.splitlines()[0] if text else "no version"
        raise KafkaUnavailableError(f"{found} is {shown}: a real Kafka needs Java {JAVA_MIN} or newer")
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
        raise KafkaUnavailableError("no Maven: a real Kafka needs it once, to be fetched")
    return once(target, _fetch)


def once(target: Path, fetch: Callable[[Path], Path]) -> Path:
    """``target``, made at the first call on a machine of the directory that ``fetch`` fills in a scratch directory."""
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f"{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released with the descriptor, also when this process is killed
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetching-") as scratch:
            # The rename is what makes it exist: whoever sees the directory sees all of it.
            fetch(Path(scratch)).rename(target)
    return target


def _fetch(scratch: Path) -> Path:
    shutil.copy(HERE / "pom.xml", scratch)
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={scratch / 'lib'}"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode or not list((scratch / "lib").glob("kafka_2.13-*.jar")):
        raise RuntimeError(f"Maven could not fetch Apache Kafka {VERSION}:\n{done.stdout}{done.stderr}")
    return scratch / "lib"


def unavailable() -> str | None:
    """Why a real Kafka cannot run here, or None. Cheap: fetches nothing."""
    try:
        java()
    except KafkaUnavailableError as e:
        return str(e)
    if not cache_dir().is_dir() and shutil.which("mvn") is None:
        return "no Maven: a real Kafka needs it once, to be fetched"
    return None


def toxiproxy() -> Path:
    """toxiproxy's server: ``TIDEGATE_TEST_TOXIPROXY``, or built by Go at the first call on a machine.

    Raises ToxiproxyUnavailableError without Go, RuntimeError with Go's output where the build fails.
    """
    override = os.environ.get("TIDEGATE_TEST_TOXIPROXY")
    if override:
        return Path(override)
    reason = toxiproxy_unavailable()
    if reason is not None:
        raise ToxiproxyUnavailableError(reason)
    return once(_toxiproxy_dir(), partial(_go_install, TOXIPROXY, TOXIPROXY_VERSION)) / "server"


def toxiproxy_unavailable() -> str | None:
    """Why toxiproxy cannot run here, or None. Cheap: builds nothing."""
    ready = os.environ.get("TIDEGATE_TEST_TOXIPROXY") or _toxiproxy_dir().is_dir() or shutil.which("go")
    return None if ready else "no Go: tests with a bad network need Go 1.17 or newer once, to build toxiproxy"


def _toxiproxy_dir() -> Path:
    return _cache() / f"toxiproxy-{TOXIPROXY_VERSION}"


def actionlint() -> Path | None:
    """actionlint, built by Go at the first call on a machine; None without Go. Raises RuntimeError as toxiproxy."""
    kept = _cache() / f"actionlint-{ACTIONLINT_VERSION}"
    if not kept.is_dir() and shutil.which("go") is None:
        return None
    return once(kept, partial(_go_install, ACTIONLINT, ACTIONLINT_VERSION)) / "actionlint"


def _go_install(package: str, version: str, scratch: Path) -> Path:
    built = scratch / "bin"
    environment = os.environ | {"GOBIN": str(built), "CGO_ENABLED": "0"}
    command = ["go", "install", f"{package}@v{version}"]
    done = subprocess.run(
        command, cwd=scratch, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    name = package.rpartition("/")[2]
    if done.returncode or not (built / name).is_file():
        raise RuntimeError(f"Go could not build {name} {version}:\n{done.stdout}{done.stderr}")
    return built
