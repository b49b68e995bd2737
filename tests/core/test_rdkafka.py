"""What import says where librdkafka is not what tidegate needs: shown with libraries made for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.core import rdkafka

HEADER = Path(__file__).parents[2] / "csrc" / "tg_rdkafka.h"
SYMBOLS = re.findall(r"\bX\([^,()]+(?:\([^)]*\))?[^,()]*, (\w+),", HEADER.read_text())
COMPILER = shutil.which(os.environ.get("CC", "cc"))

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")


def library(where: Path, version: int, without: str = "") -> Path:
    """A shared library with every symbol in use but ``without``."""
    lines = [f"int rd_kafka_version(void) {{ return {version:#x}; }}"]
    words = ".".join(str(version >> shift & 0xFF) for shift in (24, 16, 8))
    lines.append(f'const char *rd_kafka_version_str(void) {{ return "{words}"; }}')
    lines += [f"void rd_kafka_{name}(void) {{}}" for name in SYMBOLS if name not in ("version", "version_str")]
    source = where / "fake.c"
    source.write_text("\n".join(line for line in lines if f" rd_kafka_{without}(" not in line or not without))
    made = where / "librdkafka-fake.so"
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-o", str(made), str(source)], check=True, timeout=60)
    return made


def import_with(where: Path, made: Path, load: bool = True) -> subprocess.CompletedProcess[str]:
    """Imports the table where ``confluent_kafka.cimpl`` is the given library."""
    package = where / "confluent_kafka"
    package.mkdir()
    (package / "__init__.py").write_text("")
    loading = f"import ctypes\nctypes.CDLL({str(made)!r})\n" if load else ""
    (package / "cimpl.py").write_text(f"{loading}__file__ = {str(made)!r}\n")
    code = (
        f"import sys; sys.path.insert(0, {str(where)!r})\n"
        "from tidegate.core import rdkafka\n"
        "print('librdkafka', rdkafka.version())"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_every_symbol_was_found_in_the_header() -> None:
    assert len(SYMBOLS) == len(set(SYMBOLS)) == HEADER.read_text().count("\n    X(")
    assert {"version", "new", "incremental_assign", "consume_batch_queue", "fatal_error"} <= set(SYMBOLS)


def test_the_library_of_the_wheel_is_new_enough() -> None:
    major, minor = map(int, rdkafka.version().split(".")[:2])
    assert (major, minor) >= (2, 15)


@pytest.mark.parametrize("version", [0x020F0000, 0x020F01FF, 0x03000000])
def test_a_library_that_is_new_enough_is_taken(tmp_path: Path, version: int) -> None:
    done = import_with(tmp_path, library(tmp_path, version))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"librdkafka {version >> 24}.{version >> 16 & 0xFF}.{version >> 8 & 0xFF}\n"


@pytest.mark.parametrize("version", [0x020E02FF, 0x010900FF])
def test_a_library_that_is_too_old_is_an_import_error(tmp_path: Path, version: int) -> None:
    done = import_with(tmp_path, library(tmp_path, version))
    words = f"{version >> 24}.{version >> 16 & 0xFF}.{version >> 8 & 0xFF}"
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: tidegate needs librdkafka 2.15 or newer through confluent-kafka: ")
    assert f"librdkafka {words} is too old: 2.15.0 or newer is needed" in last
    assert "pip install -U confluent-kafka" in last


@pytest.mark.parametrize("symbol", ["version", "conf_new", "incremental_unassign", "fatal_error"])
def test_a_missing_symbol_is_an_import_error_that_names_it(tmp_path: Path, symbol: str) -> None:
    made = library(tmp_path, 0x021000FF, without=symbol)
    done = import_with(tmp_path, made)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f"symbol rd_kafka_{symbol} is missing in the librdkafka of {made}" in last


def test_a_library_that_nobody_loaded_is_not_loaded_a_second_time(tmp_path: Path) -> None:
    made = library(tmp_path, 0x021000FF)
    done = import_with(tmp_path, made, load=False)
    assert done.returncode == 1
    assert f"{made} is not loaded" in done.stderr.strip().splitlines()[-1]
