"""What the app notes, in columns: 33 bytes an event in memory and in the file, so that millions are no burden."""

from __future__ import annotations

import json
from array import array
from pathlib import Path

_EVENTS = {"number": "Q", "kind": "B", "time": "d", "arrival": "d", "end": "d"}
_REQUESTS = {"start": "d", "stop": "d", "size": "I"}


class Notes:
    """Events in the order in which they were done, requests in that of their arrival; times in seconds since 1970.

    An event: its number, its type (index in payloads.TYPES), its own time, when its request arrived, and when it was
    worked off. A request: when a worker began it, when that worker was done, and its events.
    """

    def __init__(self) -> None:
        self.number, self.kind = array("Q"), array("B")
        self.time, self.arrival, self.end = array("d"), array("d"), array("d")
        self.start, self.stop, self.size = array("d"), array("d"), array("I")

    def event(self, number: int, kind: int, at: float, arrival: float, end: float) -> None:
        self.number.append(number)
        self.kind.append(kind)
        self.time.append(at)
        self.arrival.append(arrival)
        self.end.append(end)

    def request(self, start: float, stop: float, size: int) -> None:
        self.start.append(start)
        self.stop.append(stop)
        self.size.append(size)

    def write(self, path: Path) -> None:
        """A line of JSON with the numbers of both, then the columns, as this machine has them."""
        with path.open("wb") as file:
            file.write(json.dumps([len(self.number), len(self.start)]).encode() + b"\n")
            for name in (*_EVENTS, *_REQUESTS):
                getattr(self, name).tofile(file)

    @classmethod
    def read(cls, path: Path) -> Notes:
        """What `write` wrote. Raises EOFError where the file ends too early."""
        notes = cls()
        with path.open("rb") as file:
            events, requests = json.loads(file.readline())
            for columns, count in ((_EVENTS, events), (_REQUESTS, requests)):
                for name in columns:
                    getattr(notes, name).fromfile(file, count)
        return notes
