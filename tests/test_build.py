"""What setup.py compiles: a few modules of the real tree, by a compiler that also writes down what it is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = ("delays", "rule_fill", "sample_key")  # small ones; the last two link the same two C sources
SHARED = ["tg_scan_escape.c", "tg_scan_plan.c"]
EVERYTHING = sorted([*(f"{module}.c" for module in MODULES), *SHARED])
BUILD = ("setup.py", "-q", "build_ext", "--inplace")


class Tree:
    """A copy of what a build needs; ``compiled`` builds, and says which sources the compiler got."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.core = root / "src/tidegate/core"
        self._log = root / "compiled.log"
        self._cc = root / "cc"
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, root)
        shutil.copytree(ROOT / "csrc", root / "csrc", ignore=shutil.ignore_patterns("build"))
        self.core.mkdir(parents=True)
        for source in [*(ROOT / "src/tidegate/core").glob("*.pxd"), *(ROOT / "src/tidegate").glob("core/__init__.p*")]:
            shutil.copy(source, self.core)
        shutil.copy(ROOT / "src/tidegate/__init__.py", root / "src/tidegate")
        for module in MODULES:
            shutil.copy(ROOT / f"src/tidegate/core/{module}.pyx", self.core)
        self._cc.write_text(f'#!/bin/sh\necho "$*" >>{self._log}\nexec {os.environ.get("CC") or "gcc"} "$@"\n')
        self._cc.chmod(0o755)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs Python with ``command`` in the copy; stdout and stderr are one."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        self._log.write_text("")
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env={**inherited, "CC": str(self._cc), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )

    def asked_for(self) -> list[str]:
        """Names of what the last run compiled, sorted; twice what was compiled twice."""
        commands = [line.split() for line in self._log.read_text().splitlines()]
        return sorted(Path(words[words.index("-c") + 1]).name for words in commands if "-c" in words)

    def compiled(self, *command: str, **environment: str) -> list[str]:
        done = self.run(*(command or BUILD), **environment)
        assert done.returncode == 0, done.stdout
        return self.asked_for()

    def modules(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.core.glob("*.so"))}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, list[str]]:
    """A tree that was just built, and what that compiled."""
    tree = Tree(tmp_path_factory.mktemp("tree"))
    return tree, tree.compiled()


@pytest.fixture
def tree(fresh: tuple[Tree, list[str]]) -> Tree:
    """The same tree, up to date, whatever the test before did to it."""
    fresh[0].compiled()
    return fresh[0]


def test_each_source_is_compiled_once(fresh: tuple[Tree, list[str]]) -> None:
    tree, compiled = fresh
    assert compiled == EVERYTHING
    assert len(tree.modules()) == len(MODULES)


def test_a_second_build_compiles_nothing(tree: Tree) -> None:
    assert tree.compiled() == []


@pytest.mark.parametrize(
    ("edited", "compiled"),
    [
        ("src/tidegate/core/delays.pyx", ["delays.c"]),
        ("src/tidegate/core/rule_fill.pxd", ["rule_fill.c", "sample_key.c"]),
        ("csrc/tg_scan_plan.c", ["rule_fill.c", "sample_key.c", "tg_scan_plan.c"]),
        ("csrc/tg_scan.h", EVERYTHING),
        ("setup.py", EVERYTHING),  # the flags are in it
    ],
)
def test_an_edit_compiles_what_depends_on_it(tree: Tree, edited: str, compiled: list[str]) -> None:
    (tree.root / edited).touch()
    assert tree.compiled() == compiled
    assert tree.compiled() == []


def test_each_mode_has_a_place_of_its_own(tree: Tree) -> None:
    release = tree.modules()
    assert tree.compiled(TIDEGATE_DEBUG="1") == EVERYTHING
    debug = tree.modules()
    assert all(debug[name] != release[name] for name in release)
    assert tree.compiled() == []
    assert tree.modules() == release
    assert tree.compiled(TIDEGATE_DEBUG="1") == []
    assert tree.modules() == debug


def test_an_editable_install_without_the_core_compiles_nothing(tree: Tree) -> None:
    code = "from setuptools import build_meta; import os; os.makedirs('out'); print(build_meta.build_editable('out'))"
    assert tree.compiled("-c", code, TIDEGATE_NATIVE="0") == []


def test_warnings_are_errors_where_asked_and_nothing_begins_after_one(tree: Tree) -> None:
    source = tree.root / "csrc/tg_scan_escape.c"
    whole = source.read_text()
    source.write_text(whole + "\nstatic int tg_unused_here(void) { return 1; }\n")
    try:
        done = tree.run(*BUILD, TIDEGATE_WERROR="1")
        assert done.returncode != 0
        assert "tg_unused_here" in "\n".join(done.stdout.splitlines()[-20:]), done.stdout
        assert set(tree.asked_for()) <= set(SHARED), "modules were compiled after the error"
        assert "tg_unused_here" in tree.run(*BUILD).stdout  # without: only said
    finally:
        source.write_text(whole)
