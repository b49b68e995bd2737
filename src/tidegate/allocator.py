"""Leaf: lets the sidecar run on mimalloc where it is installed (``pip install tidegate[mimalloc]``).

librdkafka's thread allocates a block for each message, and the reader's thread frees it. glibc guards both by one
lock: a futex call for every fourth message, a fifth of all CPU (docs/adr/0001-allocator.md). Only the dynamic loader
can put another allocator in place, before a program begins; so `tidegate run` begins twice, as one process.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
from pathlib import Path

_MARK = "_TIDEGATE_PRELOADED"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Where the wheel `cmeel-mimalloc` puts it, below site-packages.
_LIBRARY = "cmeel.prefix/lib/libmimalloc.so.3"
_OPTIONS = {
    "MIMALLOC_ALLOW_THP": "0",  # huge pages count in full from the first byte used
    "MIMALLOC_PURGE_DELAY": "100",  # ms until unused memory goes back; the default of 1 s keeps a fifth more of it
}


def library() -> Path | None:
    """mimalloc's shared library, if this environment has it."""
    for scheme in ("platlib", "purelib"):
        path = Path(sysconfig.get_path(scheme)) / _LIBRARY
        if path.exists():
            return path
    return None


def begin_again() -> None:
    """Start this program anew with mimalloc; or return: it is in place, not wanted, or not to be had.

    ``TIDEGATE_ALLOCATOR=system`` and an ``LD_PRELOAD`` of the operator's own are left alone. Call it first in the
    process, and `catch_up` when the handlers of signals stand: until then SIGTERM and SIGINT wait.
    """
    if os.environ.pop(_MARK, None) is not None:
        os.environ.pop("LD_PRELOAD", None)  # nothing that this process starts has asked for it
        return
    if "LD_PRELOAD" in os.environ or os.environ.get("TIDEGATE_ALLOCATOR", "auto") != "auto" or not sys.executable:
        return
    found = library() if sys.platform == "linux" else None
    if found is None:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # a mask survives exec, a handler does not
    try:
        environment = _OPTIONS | dict(os.environ) | {"LD_PRELOAD": str(found), _MARK: "1"}
        os.execve(sys.executable, sys.orig_argv, environment)
    except OSError:
        catch_up()


stop_asked = False


def stop_early(*_: object) -> None:
    """Handler of SIGTERM until the sidecar has its own: ends the process.

    The exception can be lost where the interpreter calls what may raise nothing (a finalizer, a native callback), so
    it is noted as well, and the sidecar looks at that."""
    global stop_asked
    stop_asked = True
    sys.exit(0)


def catch_up() -> None:
    """Signals that came meanwhile are delivered now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
