"""Completion in a real bash, by the script that `tidegate --show-completion` prints."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from errors.processes import environment

BIN = Path(sys.executable).parent
BASH = shutil.which("bash")

pytestmark = [
    pytest.mark.skipif(BASH is None, reason="needs bash"),
    pytest.mark.skipif(not (BIN / "tidegate").exists(), reason="not installed into this environment; make build does"),
]


def bash(script: str) -> str:
    done = subprocess.run(
        [str(BASH), "--norc", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment() | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "SHELL": str(BASH)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def script() -> str:
    return bash("tidegate --show-completion; true")  # with one command only, bash would become it


def complete(script: str, *words: str) -> set[str]:
    """What bash proposes for the last word, as it does when Tab is pressed."""
    function = script.rpartition("complete ")[2].split()
    name = function[function.index("-F") + 1]
    typed = ["tidegate", *words]
    lines = [
        script,
        f"COMP_WORDS=({shlex.join(typed)})",
        f"COMP_CWORD={len(typed) - 1}",
        f"{name} tidegate",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    return set(bash("\n".join(lines)).split())


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (("va",), {"validate"}),
        (("config", "--format", ""), {"table", "env", "json"}),
        (("config", "--format", "j"), {"json"}),
        (("health", ""), {"live", "ready", "drained"}),
        (("pressure", "set", "h"), {"hold"}),
        (("parked", ""), {"list", "drop", "replay"}),
        (("validate", "--c"), {"--connect"}),
        (("run", "--u"), {"--until-end"}),
    ],
)
def test_bash_completes(script: str, words: tuple[str, ...], proposed: set[str]) -> None:
    assert complete(script, *words) == proposed


def test_all_commands_are_proposed(script: str) -> None:
    assert complete(script, "") >= {"run", "demo", "validate", "config", "health", "drain", "pressure", "parked"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    done = subprocess.run(
        [BIN / "tidegate"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment() | {"_TIDEGATE_COMPLETE": f"source_{shell}"},
    )
    assert done.returncode == 0, done.stderr
    assert "_TIDEGATE_COMPLETE" in done.stdout
    assert "tidegate" in done.stdout
