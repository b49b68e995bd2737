"""Lints what is not source: the workflows (actionlint) and the Dockerfile (hadolint). ``python -m harness.lint``"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness import install

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def main() -> int:
    """The exit code. What a linter needs and this machine lacks is said, and with CI=true a failure."""
    commands: dict[str, list[str | Path] | None] = {
        "the workflows (actionlint needs Go once)": _with(install.actionlint(), *sorted(WORKFLOWS.glob("*.yml"))),
        # A binary in a wheel, for x86-64 only: requirements/dev.in.
        "the Dockerfile (no hadolint here)": _with(_beside_python("hadolint"), DOCKERFILE),
    }
    failed = False
    for what, command in commands.items():
        if command is None:
            print(f"NOT LINTED: {what}", file=sys.stderr)
            failed |= os.environ.get("CI") == "true"
        else:
            failed |= subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    return int(failed)


def _with(tool: Path | None, *files: Path) -> list[str | Path] | None:
    return None if tool is None else [tool, *files]


def _beside_python(name: str) -> Path | None:
    found = Path(sys.executable).parent / name
    return found if found.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
