"""Logs to stderr through a bounded queue with its own thread: a reader that stands still costs lines, not events."""

from __future__ import annotations

import json
import logging
import os
import sys
import textwrap
import threading
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_QUEUE_LINES = 4096
_QUEUE_BYTES = 4 << 20
_MASK = "***"
_HELP_COLUMNS = 76
_COMMANDS = ("kafka-", "openssl ", "export ", "tidegate ")
Format = Literal["auto", "json", "console"]


class LineWriter:
    """Writes lines to a descriptor from its own thread. :meth:`put` never blocks: what does not fit is counted.

    Args:
        fd: where to; borrowed, not closed.
        max_lines, max_bytes: of what waits to be written.
    """

    def __init__(self, fd: int, *, max_lines: int = _QUEUE_LINES, max_bytes: int = _QUEUE_BYTES) -> None:
        self._fd = fd
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._writing = False
        self._closed = False
        self._given_up = False
        self._untold = 0
        self.dropped = 0
        self._changed = threading.Condition()
        # A daemon: a stopped reader must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="tidegate-logs", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue one line (without its end). Any thread; holds a lock for a few instructions only."""
        data = line.encode(errors="backslashreplace") + b"\n"
        with self._changed:
            if self._closed or len(self._lines) >= self._max_lines or self._bytes + len(data) > self._max_bytes:
                self.dropped += 1
                self._untold += 1
                return
            self._lines.append(data)
            self._bytes += len(data)
            self._changed.notify_all()

    def flush(self, seconds: float = 1.0) -> bool:
        """Wait until everything queued is written, at most ``seconds``. True when it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._writing, seconds)

    def close(self, seconds: float = 1.0) -> None:
        """Flush and end the thread; gives up after ``seconds``. Lines put later are counted as dropped."""
        flushed = self.flush(seconds)
        with self._changed:
            self._closed = True
            self._given_up = not flushed
            self._changed.notify_all()
        self._thread.join(0.1)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                data = b"".join(self._lines)
                self._lines.clear()
                self._bytes = 0
                self._writing = True
                if self._untold:
                    data += self._told(self._untold)
                    self._untold = 0
            self._write(data)

    @staticmethod
    def _told(lines: int) -> bytes:
        # In both forms one line: JSON is readable on a console as well.
        return json.dumps({"level": "warning", "event": "log lines dropped", "lines": lines}).encode() + b"\n"

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        # Once given up, the descriptor may be somebody else's by the time a stuck write returns.
        while view and not self._given_up:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # Someone made the shared terminal non-blocking.
                threading.Event().wait(0.05)
            except OSError:
                return  # nobody reads any more; the lines are gone and there is nobody to tell


class _Logger:
    """structlog's end: takes a finished line. ``name`` is what :func:`structlog.get_logger` was called with."""

    def __init__(self, writer: LineWriter, name: str) -> None:
        self._writer = writer
        self.name = name

    def msg(self, line: str) -> None:
        self._writer.put(line)

    debug = info = warning = error = critical = exception = fatal = log = msg


class _StdlibHandler(logging.Handler):
    """What libraries log (aiohttp, asyncio), into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = structlog.get_logger(record.name)
            log.log(record.levelno, record.getMessage(), **({"exc_info": record.exc_info} if record.exc_info else {}))
        except Exception:
            self.handleError(record)


_current: LineWriter | None = None


def flush(seconds: float) -> None:
    """Wait at most so long until the lines logged so far are written: before a process ends without clean-up."""
    if _current is not None:
        _current.flush(seconds)


def dropped() -> int:
    """Lines given up so far because nobody read them quickly enough."""
    return 0 if _current is None else _current.dropped


def configure(
    level: str = "info",
    form: Format = "auto",
    *,
    secrets: Iterable[str] = (),
    fd: int | None = None,
) -> LineWriter:
    """Set up structlog and the standard library's logging. The last call wins.

    Args:
        level: least level logged: debug, info, warning, error.
        form: ``"auto"`` is console on a terminal and JSON otherwise.
        secrets: texts that are masked wherever they would stand in a line.
        fd: default: stderr.

    Returns:
        The writer; close it at the end of the process, or the last lines may be lost.
    """
    global _current
    fd = sys.stderr.fileno() if fd is None else fd
    console = form == "console" or (form == "auto" and os.isatty(fd))
    writer = _current = LineWriter(fd)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            *_common("%H:%M:%S" if console else "iso"),
            *(_console_end(os.isatty(fd) and not os.environ.get("NO_COLOR")) if console else _json_end()),
            _masker(secrets),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *args: _Logger(writer, args[0] if args else "tidegate"),
        cache_logger_on_first_use=False,  # module-level loggers exist before this call
    )
    root = logging.getLogger()
    root.handlers[:] = [_StdlibHandler()]
    root.setLevel(max(number, logging.INFO))  # asyncio's and aiohttp's debug lines are about themselves
    logging.captureWarnings(True)
    return writer


def _common(time_format: str) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_name,
        structlog.processors.TimeStamper(fmt=time_format, utc=True, key="time"),
    ]


def _json_end() -> list[Processor]:
    return [_plain_exception, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]


def _console_end(colors: bool) -> list[Processor]:
    # Plain tracebacks: the pretty ones print local variables, and those may hold payloads and passwords.
    plain = structlog.dev.plain_traceback
    renderer = structlog.dev.ConsoleRenderer(0, colors=colors, exception_formatter=plain, timestamp_key="time")
    return [_help_below, renderer]


def _help_below(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What to do, and what a library said of it, are sentences: on a console they stand below their event."""
    if (hint := event.pop("hint", None)) is not None:
        said = event.pop("detail", "")
        texts = (str(hint), f"({said})" if said else "")
        event["exception"] = "\n".join(f"    {line}" for text in texts for line in folded(text))
    return event


def folded(text: str) -> Iterator[str]:
    """Lines of 76 columns; commands, which are to be pasted, stay whole."""
    for line in text.splitlines():
        yield from [line] if line.startswith(_COMMANDS) else textwrap.wrap(line, _HELP_COLUMNS)


def _add_name(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


def _plain_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    elif isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[0] is not None:
        event["exception"] = "".join(traceback.format_exception(*info)).rstrip()
    return event


def _masker(secrets: Iterable[str]) -> Processor:
    # As they are, as JSON and as Python write them; longest first, so that no secret's tail stays behind a shorter one.
    forms = {
        form
        for secret in secrets
        for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    }
    ordered = sorted((form for form in forms if form), key=len, reverse=True)

    def mask(_: WrappedLogger, __: str, line: Any) -> Any:
        for secret in ordered:
            if secret in line:
                line = line.replace(secret, _MASK)
        return line

    return mask
