"""What users get: an sdist that builds by itself, and a wheel that needs neither compiler nor source tree."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from .building import ROOT, Distributions, distributions, run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = PROJECT["version"]
SOURCE = ROOT / "src" / "tidegate"
# Compressed; the core's modules carry no debug information.
WHEEL_BYTES_MAX = 3 * 1024 * 1024


@pytest.fixture(scope="module")
def built() -> Distributions:
    return distributions()


def in_source(*left_out: str) -> set[str]:
    """Every file of the package's source but those that end in one of these."""
    found = (path.relative_to(SOURCE.parent) for path in SOURCE.rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts and not path.name.endswith(left_out)}


def test_the_sdist_has_what_is_needed_to_build_and_nothing_that_was_built(built: Distributions) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}
    top = {name for name in names if "/" not in name}
    assert top == {
        *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"),
        *("PKG-INFO", "setup.cfg"),  # setuptools writes these two
    }
    own = {f"src/{name}" for name in in_source(".so")} | {
        f"csrc/{path.name}" for path in (ROOT / "csrc").glob("*.[ch]")
    }
    assert {name for name in names - top if "/tidegate.egg-info/" not in name} == own


def test_the_wheel_has_each_module_its_types_and_no_source_of_the_core(built: Distributions) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = set(archive.namelist())
    about = f"tidegate-{VERSION}.dist-info/"
    native = {name for name in names if name.endswith(".so")}
    assert {name.partition(".")[0] for name in native} == {
        f"tidegate/core/{path.stem}" for path in (SOURCE / "core").glob("*.pyx")
    }
    assert {name for name in names - native if not name.startswith(about)} == in_source(".so", ".pyx", ".pxd")
    assert {name.removeprefix(about) for name in names if name.startswith(about)} == {
        *("METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"),
    }
    assert built.wheel.stat().st_size < WHEEL_BYTES_MAX


def test_the_core_in_the_wheel_has_names_for_profilers_but_no_debug_information(
    built: Distributions, tmp_path: Path
) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        one = next(name for name in archive.namelist() if name.startswith("tidegate/core/rounds."))
        module = Path(archive.extract(one, tmp_path)).read_bytes()
    assert b".symtab\0" in module
    assert b".debug_info" not in module


def test_the_metadata_is_the_projects(built: Distributions) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        told = email.message_from_bytes(archive.read(f"tidegate-{VERSION}.dist-info/METADATA"))
    assert (told["Name"], told["Version"], told["Requires-Python"]) == ("tidegate", VERSION, ">=3.11")
    assert told["License-Expression"] == "Apache-2.0"
    required = [line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(required) == len(PROJECT["dependencies"])
    from tidegate import __version__

    assert __version__ == VERSION


def test_the_wheel_runs_where_there_is_neither_compiler_nor_source(built: Distributions, tmp_path: Path) -> None:
    home = tmp_path / "empty"
    venv.create(home, with_pip=True, symlinks=True)
    python = home / "bin" / "python"
    alone = {"PATH": str(home / "bin"), "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    assert not any(shutil.which(compiler, path=alone["PATH"]) for compiler in ("cc", "gcc", "clang", "make", "ld"))
    # Only the index that pip is to use comes from outside.
    index = {
        name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")
    }
    if configured := pip_configuration():
        index["PIP_CONFIG_FILE"] = configured
    pip = [python, "-m", "pip", "-q", "--disable-pip-version-check", "install", "--only-binary=:all:"]
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "run.txt", cwd=tmp_path, environment=alone | index)
    run(*pip, "--no-index", "--no-deps", built.wheel, cwd=tmp_path, environment=alone)
    run(python, "-m", "pip", "check", cwd=tmp_path, environment=alone)
    where = run(python, "-c", "import tidegate.core.reader as r; print(r.__file__)", cwd=tmp_path, environment=alone)
    assert where.startswith(str(home))
    said = run(python, ROOT / "tests" / "package" / "smoke.py", VERSION, cwd=tmp_path, environment=alone)
    assert "none lost" in said


def pip_configuration() -> str | None:
    """The file, if there is one, in which this user says which index pip asks."""
    command = [sys.executable, "-m", "pip", "config", "debug"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    files = [line.partition(", exists: ") for line in shown.splitlines() if ", exists: " in line]
    return next((path.strip() for path, _, there in reversed(files) if there == "True"), None)
