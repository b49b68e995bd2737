"""``python -m tidegate`` and the console script. Errors become one screen of text and an exit code here."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line; returns the exit code: 0 clean, 2 bad configuration, samples or usage, 1 otherwise."""
    if sys.argv[1:] == ["--version"]:  # before the imports below, which cost more than the answer
        from tidegate import __version__

        print(f"tidegate {__version__}")
        return 0

    from tidegate.errors import TidegateError

    if sys.argv[1:2] == ["run"]:
        # Asked to stop before anything was read: a clean end. The sidecar's own handlers take over from this one.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        from tidegate.cli import app

        app()
    except TidegateError as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # while it imported; the commands handle their own
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
