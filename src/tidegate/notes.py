"""Notes of the reader's thread, as log lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.troubles import Troubles

# syslog levels as librdkafka uses them
_LEVELS = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
# librdkafka says these once more as an error, which comes as a note of its own.
_SAID_TWICE = ("FAIL: ", "ERROR: ")
QUIET_SECONDS = 10.0


class NoteLog:
    """Logs each note ``(kind, code, number, text)`` at the level that its kind deserves.

    A broker that is away is reported at every attempt to connect, twenty times a second: of errors and client lines
    with the same code one in ten seconds is logged, with the number of those left out before it.

    Args:
        troubles: takes errors of which it knows what to do about them.
    """

    def __init__(self, log: Any, clock: Callable[[], float] = time.monotonic, troubles: Troubles | None = None) -> None:
        self._troubles = troubles
        self._log = log
        self._clock = clock
        self._last: dict[tuple[str, int, str], tuple[float, int]] = {}

    def write(self, notes: Iterable[tuple[str, int, int, str]]) -> None:
        """Logs the notes, oldest first."""
        for kind, code, number, text in notes:
            match kind:
                case "log":
                    if not text.startswith(_SAID_TWICE):
                        level = _LEVELS[min(max(code, 0), len(_LEVELS) - 1)]
                        self._seldom((kind, code, text.split(":", 1)[0]), level, "kafka client", detail=text)
                case "error" if self._troubles is not None and self._troubles.error(code, text):
                    pass
                case "error":
                    self._seldom((kind, code, ""), "warning", "kafka", code=code, detail=text)
                case "fatal":
                    self._log.error("kafka cannot go on", code=code, detail=text)
                case "assigned":
                    self._log.info("partitions assigned", count=code, partitions=text)
                case "revoked":
                    self._log.info("partitions revoked", count=code, partitions=text)
                case "lost":
                    self._log.warning("partitions lost: others may have them already", count=code, partitions=text)
                case "halted":
                    self._log.error("a topic stands still", detail=text)
                case "reset":
                    self._log.error("position out of range", lost=number, detail=text)
                case "unreadable":
                    self._log.error(
                        "a partition cannot be read further",
                        code=code,
                        detail=text,
                        hint="Nothing behind it is delivered. If its other replicas have it no better: end the group's "
                        "members, set its offset behind what is damaged, start them again.",
                    )
                case "start":
                    getattr(self._log, _LEVELS[min(max(code, 0), len(_LEVELS) - 1)])("start offset", detail=text)

    def _seldom(self, key: tuple[str, int, str], level: str, event: str, **fields: Any) -> None:
        now = self._clock()
        last, left_out = self._last.get(key, (now - QUIET_SECONDS, 0))
        if now - last < QUIET_SECONDS:
            self._last[key] = (last, left_out + 1)
            return
        self._last[key] = (now, 0)
        if left_out:
            fields["repeated"] = left_out
        getattr(self._log, level)(event, **fields)
