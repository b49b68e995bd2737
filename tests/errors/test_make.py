"""`make build` where something is missing: what, and which package has it. Nothing is made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "sh", "env", "make", "grep", "mkdir", "touch", "rm", "tail", "cat")


def build(where: Path, python: Path | str, tools: Sequence[str] = TOOLS) -> str:
    """Runs ``make build`` with nothing on its path but these, into a directory of its own; returns what it said."""
    path = where / "bin"
    path.mkdir()
    for tool in tools:
        found = shutil.which(tool)
        assert found is not None, tool
        (path / tool).symlink_to(found)
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "build", f"PYTHON={python}", f"VENV={where}/venv"],
        cwd=ROOT,
        env={"PATH": str(path), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (where / "venv").exists()
    told = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(told) == 1, done.stderr
    return told[0]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """This Python, by a path of its own, as the environments of tests have no headers of theirs."""
    made = tmp_path / "python3"
    made.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    made.chmod(0o755)
    return made


def test_without_a_compiler(tmp_path: Path, python: Path) -> None:
    text = build(tmp_path, python)
    assert re.fullmatch(
        rf"tidegate needs a C compiler, and there is no \S+, which {re.escape(str(python))} asks for: install one "
        r"\(Debian: apt install gcc libc6-dev\) or name another: make build CC=clang",
        text,
    )


def test_without_headers(tmp_path: Path) -> None:
    """A Python whose sysconfig points to headers that are not there, as a distribution's without its -dev package."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import sysconfig\nsysconfig.get_path = lambda name, *_: {str(tmp_path / 'none')!r}\n"
    )
    bare = tmp_path / "python3"
    bare.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    bare.chmod(0o755)
    assert "Python.h is missing: install the headers of" in build(tmp_path, bare)


def test_with_a_python_that_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 || exit 1\n')
    old.chmod(0o755)
    text = build(tmp_path, old)
    assert f"tidegate needs Python 3.11 or newer; {old} is Python 3.9.2" in text
    assert "make build PYTHON=" in text


def test_without_any_python(tmp_path: Path) -> None:
    assert "no such python3 found" in build(tmp_path, "")
