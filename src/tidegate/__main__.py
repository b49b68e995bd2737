"""``python -m tidegate`` and the console script. Errors become one screen of text and an exit code here."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from tidegate import allocator, streams


def main() -> int:
    """Run the command line; returns the exit code: 0 clean, 2 bad configuration, samples or usage, 1 otherwise."""
    running = sys.argv[1:2] == ["run"]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup's word stands
        signal.signal(signal.SIGINT, _interrupt_once)
    if running:
        allocator.begin_again()
    streams.complete()
    try:
        code = _command(running)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except OSError:
        if streams.stdout_fault() is None:  # it is about something else
            raise
        code = 1
    except RuntimeError as error:
        if not (allocator.stop_asked and isinstance(error.__cause__, SystemExit)):
            raise
        code = 0  # a stop while a class was being made: Python wraps what is raised in there
    why = streams.stdout_fault()
    if why is None:
        return code
    streams.give_up_stdout()
    if why is not streams.GONE:  # a reader that has left knows
        print(f"tidegate: standard output cannot be written: {why}", file=sys.stderr)
    return code or 1


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """Whoever presses Ctrl-C three times wants the end, not a traceback out of what is being closed."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _command(running: bool) -> int:
    if sys.argv[1:] == ["--version"]:  # before the imports below, which cost more than the answer
        from tidegate import __version__

        print(f"tidegate {__version__}")
        return 0

    from tidegate.errors import TidegateError

    try:
        if sys.argv[1:2] == ["health"] and len(sys.argv) <= 3:
            from tidegate import probes

            check = sys.argv[2] if sys.argv[2:] else "live"
            if check in probes.CHECKS:  # typer explains the rest, ten times as slowly
                return probes.health(check)
        if running:
            # Asked to stop before anything was read: a clean end. The sidecar's own handlers take over from this one.
            signal.signal(signal.SIGTERM, allocator.stop_early)
            allocator.catch_up()
        from tidegate.cli import app

        app()
    except TidegateError as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return error.exit_code
    except ImportError as error:
        from tidegate import installation

        explained = installation.explain(error)
        if explained is None:
            raise
        print(f"tidegate: {explained}", file=sys.stderr)
        return explained.exit_code
    except KeyboardInterrupt:  # while it imported; the commands handle their own
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
