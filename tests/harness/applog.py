"""The app double's log: one JSON line per request, written before it is answered, readable while it grows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Request:
    """What the app saw of one request.

    ``time_ns`` (wall clock) is when its body had arrived, ``done_ns`` when its work was done; ``status`` what was
    answered: None when the app read it but never said so (a reset, a hang, garbage), and then only the app knows that
    it was handled. ``weight`` and ``replayed`` are as the headers say; ``metadata`` is what envelopes hold beside
    their values, as JSON.
    """

    number: int
    time_ns: int
    klass: str
    content_type: str
    status: int | None
    ids: list[str]
    alone: bool = False
    invalid: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    envelopes: list[str] = field(default_factory=list)
    key: str = ""
    offsets: str = ""
    bytes: int = 0
    done_ns: int = 0
    weight: str = ""
    replayed: bool = False
    metadata: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        """The app took it and answered so: these events may be committed."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def processed(self) -> bool:
        """The app took it, whatever the sidecar learned of that: a second time is a duplicate."""
        return self.status is None or self.acknowledged


class Log:
    """Appends requests to a file, each with one ``write``: a reader never sees half a line once it ends in LF."""

    def __init__(self, path: Path, fsync: bool = False) -> None:
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - as long as anybody may append
        self.fsync = fsync

    def append(self, request: Request) -> None:
        """Writes a request; with ``fsync`` it is on the disk when this returns."""
        self._file.write(json.dumps(asdict(request), separators=(",", ":")).encode() + b"\n")
        if self.fsync:
            os.fsync(self._file.fileno())


def read(path: Path) -> Iterator[Request]:
    """The requests in the order in which they were logged; a line that is still being written is left out."""
    if not path.exists():
        return
    with open(path, "rb") as log:
        for line in log:
            if line.endswith(b"\n"):
                yield Request(**json.loads(line))
