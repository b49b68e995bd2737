"""The distributions as a release has them: an sdist of the sources, and the wheel built from nothing but that sdist."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from harness.install import once

ROOT = Path(__file__).parents[2]
TOP = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE")
BUILT = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")


class Distributions(NamedTuple):
    """Paths of the two files."""

    sdist: Path
    wheel: Path


def distributions() -> Distributions:
    """Built at the first call after a change of anything that goes into them, by a process of its own.

    Takes a minute of two cores. Kept in ``build/package``, which processes that test at once share. Raises
    RuntimeError with the builder's output.
    """
    made = once(ROOT / "build" / "package" / _digest(), _build)
    return Distributions(next(made.glob("*.tar.gz")), next(made.glob("*.whl")))


def locked(name: str) -> list[str]:
    """The pins of ``requirements/<name>.txt``, without their hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return re.findall(r"^[A-Za-z][\w.-]*==\S+", text, re.MULTILINE)


def run(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Stdout of the command. Raises RuntimeError with all of its output where it fails."""
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        said = (done.stdout + done.stderr)[-6000:]
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}")
    return done.stdout


def _build(scratch: Path) -> Path:
    tree, out = scratch / "tree", scratch / "out"
    shutil.copytree(ROOT / "src", tree / "src", ignore=BUILT)
    shutil.copytree(ROOT / "csrc", tree / "csrc", ignore=BUILT)
    shutil.copytree(ROOT / "tests" / "package", tree / "tests" / "package", ignore=BUILT)
    for name in TOP:
        shutil.copy(ROOT / name, tree)
    # The builder's environment is made of [build-system] in pyproject.toml alone, as at a user's, in these versions.
    constraints = scratch / "constraints.txt"
    constraints.write_text("\n".join(locked("build")))
    environment = os.environ | {"PIP_CONSTRAINT": str(constraints), "LDFLAGS": "-Wl,--strip-debug"}
    for name in ("TIDEGATE_DEBUG", "TIDEGATE_SANITIZE", "TIDEGATE_NATIVE", "PYTHONPATH"):
        environment.pop(name, None)
    run(sys.executable, "-m", "build", "--outdir", out, tree, cwd=scratch, environment=environment)
    return out


def _digest() -> str:
    parts = [*(ROOT / name for name in TOP), *_files(ROOT / "src"), *_files(ROOT / "csrc"), Path(__file__)]
    digest = hashlib.sha256(f"{sys.version}{locked('build')}".encode())
    for path in parts:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _files(below: Path) -> Iterable[Path]:
    skipped = {"__pycache__", "build"}
    found = (path for path in below.rglob("*") if path.is_file() and path.suffix not in (".so", ".pyc"))
    return sorted(
        path
        for path in found
        if not any(part in skipped or part.endswith(".egg-info") for part in path.relative_to(below).parts)
    )
