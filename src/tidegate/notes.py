"""Notes of the reader's thread, as log lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# syslog levels as librdkafka uses them
_LEVELS = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")


def log_notes(log: Any, notes: Iterable[tuple[str, int, int, str]]) -> None:
    """Logs each note ``(kind, code, number, text)`` at the level that its kind deserves."""
    for kind, code, number, text in notes:
        match kind:
            case "log":
                getattr(log, _LEVELS[min(max(code, 0), 7)])("kafka client", detail=text)
            case "error":
                log.warning("kafka", code=code, detail=text)
            case "fatal":
                log.error("kafka cannot go on", code=code, detail=text)
            case "assigned":
                log.info("partitions assigned", count=code, partitions=text)
            case "revoked":
                log.info("partitions revoked", count=code, partitions=text)
            case "lost":
                log.warning("partitions lost: others may have them already", count=code, partitions=text)
            case "halted":
                log.error("a topic stands still", detail=text)
            case "reset":
                log.error("position out of range", lost=number, detail=text)
