"""A wall clock that can be set, for a process under test (wallclock.c); glibc on Linux."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_suffix(".c")


class WallClock:
    """Compiled into ``directory``; ``environment`` is what a process needs to live by this clock.

    Raises RuntimeError with the compiler's words.
    """

    def __init__(self, directory: Path) -> None:
        library, file = directory / "wallclock.so", directory / "wallclock.ns"
        compiler = os.environ.get("CC", "cc")
        assert shutil.which(compiler), "no C compiler, and yet there is a native core"
        command = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
        done = subprocess.run([*command, "-ldl", "-lpthread"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{_SOURCE.name} does not compile:\n{done.stderr}")
        file.write_bytes(bytes(8))
        with open(file, "r+b") as opened:
            self._shift = mmap.mmap(opened.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "WALLCLOCK_FILE": str(file)}

    def set(self, seconds: float) -> None:
        """Puts the clock so far off the real time."""
        self._shift[:8] = struct.pack("=q", int(seconds * 1e9))
