"""An installation that is not whole: no native core, one for another Python, an old librdkafka, a package missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tidegate
from core.test_rdkafka import COMPILER, library
from errors.processes import environment, one_screen

SOURCE = Path(tidegate.__file__).parent
RUN = {"kafka_bootstrap_servers": "127.0.0.1:1", "topics": "t", "sink_url": "blackhole:", "ops_address": "none"}


def run(where: Path, *arguments: str, **settings: object) -> str:
    """Runs tidegate with packages of this directory before all others; it has to end with 1 in one screen."""
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(admin_address="none", **settings) | {"PYTHONPATH": str(where)},
        cwd=where,
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    return one_screen(done.stderr)


def copied(where: Path) -> Path:
    """tidegate as it is before it is built. Returns its core."""
    shutil.copytree(SOURCE, where / "tidegate", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return where / "tidegate" / "core"


def test_a_core_that_is_not_built(tmp_path: Path) -> None:
    copied(tmp_path)
    for text in (run(tmp_path, "run", **RUN), run(tmp_path, "validate", critical="x")):
        assert text.startswith("tidegate: the native core is not built: ")
        assert "make build" in text
        assert f"{sys.executable} -m pip install --force-reinstall tidegate" in text


def test_a_core_for_another_python(tmp_path: Path) -> None:
    core = copied(tmp_path)
    for built in (SOURCE / "core").glob("*.so"):
        (core / f"{built.name.partition('.')[0]}.cpython-399-x86_64-linux-gnu.so").touch()
    text = run(tmp_path, "run", **RUN)
    assert "was built for another Python (cpython-399-x86_64-linux-gnu)" in text
    assert sys.executable in text
    assert "make build" in text


def test_a_core_that_cannot_be_loaded(tmp_path: Path) -> None:
    core = copied(tmp_path)
    for built in (SOURCE / "core").glob("*.so"):
        (core / built.name).write_bytes(b"damaged")
    text = run(tmp_path, "run", **RUN)
    assert "the native core cannot be loaded: " in text
    assert "make build" in text


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
def test_a_librdkafka_that_is_too_old(tmp_path: Path) -> None:
    made = library(tmp_path, 0x020E02FF)
    package = tmp_path / "confluent_kafka"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cimpl.py").write_text(f"import ctypes\nctypes.CDLL({str(made)!r})\n__file__ = {str(made)!r}\n")
    text = run(tmp_path, "run", **RUN)
    assert "librdkafka 2.14.2 is too old: 2.15.0 or newer is needed" in text
    assert f"{sys.executable} -m pip install -U 'confluent-kafka>=2.15'" in text


def test_a_package_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "structlog.py").write_text("raise ModuleNotFoundError('no structlog', name='structlog')\n")
    text = run(tmp_path, "run", **RUN)
    assert "the package that has the module structlog is not installed" in text
    assert f"{sys.executable} -m pip install tidegate" in text
