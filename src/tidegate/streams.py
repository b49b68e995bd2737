"""Leaf: the three standard streams when they are not as usual: closed from the start, full, or nobody reads them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

GONE: Final = "the reader has gone"


class _Descriptor(io.FileIO):
    """A descriptor that remembers why it could not be written."""

    fault: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        """FileIO's."""
        try:
            return super().write(data)
        except OSError as error:
            self.fault = error
            raise


_stdout: _Descriptor | None = None


def complete() -> None:
    """Fill descriptors 0, 1 and 2 where the process was started without them (``>&-``), and watch stdout.

    The next sockets would take their numbers, and get what is printed; libuv ends the process over it. What is opened
    is such that using it fails (as coreutils do): what goes to a closed stdout must not count as delivered. stderr
    swallows: logs have no better place.
    """
    global _stdout
    for fd, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != fd:
                os.dup2(opened, fd)
                os.close(opened)
            os.set_inheritable(fd, True)
    _stdout = _Descriptor(1, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_stdout),
        encoding=sys.stdout.encoding if sys.stdout else "utf-8",
        errors="backslashreplace",  # as stderr has it: a locale without dashes is no reason to fail
        line_buffering=os.isatty(1),
    )
    if sys.stderr is None:
        # Python leaves out the objects of descriptors that were closed when it began.
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (as the one it stands for)


def stdout_fault() -> str | None:
    """Why not everything that was printed is written: :data:`GONE`, or the system's words; None when it is."""
    with contextlib.suppress(OSError):  # noted by the descriptor
        sys.stdout.flush()
    fault = None if _stdout is None else _stdout.fault
    if fault is None:
        return None
    return GONE if isinstance(fault, BrokenPipeError) else fault.strerror or str(fault)


def give_up_stdout() -> None:
    """What could not be written goes nowhere, or the interpreter would complain of it again at its end."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.close(sink)
