"""What a command prints on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
from collections.abc import Mapping, Sequence


def lines_on_terminal(command: Sequence[str], environ: Mapping[str, str], columns: int = 80) -> list[str]:
    """The lines, without colours, of a command that has to end with 0."""
    screen, terminal = pty.openpty()
    environ = {**environ, "COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=terminal, env=environ) as process:
        os.close(terminal)
        told = b""
        with contextlib.suppress(OSError):  # Linux says the end of a terminal so
            while part := os.read(screen, 65536):
                told += part
    os.close(screen)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", told.decode()).splitlines()
