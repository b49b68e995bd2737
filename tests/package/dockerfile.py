"""deploy/Dockerfile, read and built without Docker: for machines that have no container engine.

What is emulated, and how far: ENV and WORKDIR are kept, USER is readonly.py's; COPY takes from the repository what
.dockerignore lets through; RUN of the build stage is executed by bash, as this user and with this machine's Python and
compiler, with /opt in each instruction replaced by a directory. Base images, layers, and the RUN of the last stage,
which compile the base image's standard library and try the settings, are not: only a real `make image` shows those.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .building import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORED = ROOT / ".dockerignore"


@dataclass
class Stage:
    """One FROM and what follows it."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """What the last such instruction says. Raises IndexError where there is none."""
        return [words for name, words in self.steps if name == instruction][-1]

    def words(self, instruction: str) -> list[str]:
        """An instruction in exec form. Raises ValueError where it is a shell's: signals would not reach the program."""
        said = self.last(instruction)
        found: list[str] = json.loads(said[said.index("[") :])
        return found


def read() -> list[Stage]:
    """The stages in order."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, words = line.partition(" ")
        if name == "FROM":
            stages.append(Stage(words.partition(" AS ")[2]))
        elif stages:
            stages[-1].steps.append((name, words.strip()))
    return stages


def build(stage: Stage, opt: Path, source: Path) -> None:
    """Executes a stage; ``opt`` is its /opt, ``source`` its WORKDIR. Raises CalledProcessError, with the step's output.

    PATH has this machine's, with a ``python`` that is the one that runs the tests.
    """
    tools = opt.parent / "tools"
    tools.mkdir()
    (tools / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "TIDEGATE_DEBUG", "TIDEGATE_SANITIZE", "TIDEGATE_NATIVE"):
        environment.pop(name, None)
    opt.mkdir()
    source.mkdir()
    for name, words in stage.steps:
        if name == "ENV":
            environment |= dict(one.split("=", 1) for one in shlex.split(words))
        elif name == "COPY":
            *found, target = words.split()
            for one in found:
                copy_in(one, source / target if target.endswith("/") and target != "./" else source, target)
        elif name == "RUN":
            script = words.replace("/opt/", f"{opt}/")
            done = subprocess.run(
                ["bash", "-euc", script], cwd=source, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"RUN {words}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"[-6000:])


def copy_in(name: str, to: Path, target: str) -> None:
    """COPY of one file or directory of the repository. Raises FileNotFoundError where .dockerignore keeps it out."""
    keep, out = patterns()
    if not any(name == one or name.startswith(f"{one}/") for one in keep):
        raise FileNotFoundError(f"COPY {name}: .dockerignore does not let it through")
    to.mkdir(exist_ok=True)
    path = ROOT / name
    if path.is_file():
        shutil.copy(path, to)
        return
    left_out = [re.sub(r"^\*\*/", "", one) for one in out if one.startswith("**/")]
    inside = {one.removeprefix(f"{name}/") for one in out if one.startswith(f"{name}/")}

    def skipped(directory: str, names: list[str]) -> set[str]:
        found = shutil.ignore_patterns(*left_out)(directory, names)
        return set(found) | (inside & set(names) if Path(directory) == path else set())

    shutil.copytree(path, to / target, ignore=skipped)


def patterns() -> tuple[list[str], list[str]]:
    """.dockerignore: what is let through, and what of that is left out after all."""
    lines = [line for line in IGNORED.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"  # nothing that is not named
    return [line[1:] for line in lines if line.startswith("!")], [
        line for line in lines[1:] if not line.startswith("!")
    ]
