"""Ctrl-C: first a wish, then an order."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Self


class Signals:
    """The first Ctrl-C (or SIGTERM) asks the demo to come to its end early, the second raises KeyboardInterrupt.

    Attributes:
        asked: somebody has asked.
        impatient: there is nothing to come to an end with: the first one raises as well.
        deaf: everything is being closed, which nothing may cut short.
    """

    def __init__(self) -> None:
        self.asked = False
        self.impatient = False
        self.deaf = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup's word stands
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.deaf:
            return
        if self.asked or self.impatient:
            self.deaf = True
            raise KeyboardInterrupt
        self.asked = True
