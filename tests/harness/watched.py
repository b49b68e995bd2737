"""A scene whose sidecars are watched from start to end (watch.py), and whose group's every commit is judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from harness import commits
from harness.checker import Report
from harness.ports import free_ports
from harness.scene import Scene
from harness.sidecar import Sidecar
from harness.watch import LIVE_SECONDS, Watch

WatchedScenes = Callable[..., "WatchedScene"]
_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class WatchedScene(Scene):
    """As Scene. ``judge`` fails also for what the watchers found and, on a real broker, for the group's commits."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.watches: list[Watch] = []
        self.live_seconds = LIVE_SECONDS
        self.environment: dict[str, str] = {}  # of the sidecars, beside their settings

    def settings(self, **more: Any) -> dict[str, str]:
        """As Scene's, and ``environment``."""
        return super().settings(**more) | self.environment

    def sidecar(self, *arguments: str, name: str = "sidecar", **more: Any) -> Sidecar:
        """As Scene's, with a listener for probes."""
        (port,) = free_ports(1)
        made = super().sidecar(*arguments, name=name, ops_address=f"127.0.0.1:{port}", **more)
        watch = Watch(
            made,
            port,
            budget_bytes=_bytes(made.settings.get("TIDEGATE_MEMORY_BYTES", "96MiB")),
            drain_seconds=float(made.settings["TIDEGATE_DRAIN_SECONDS"]),
            live_seconds=self.live_seconds,
        )
        self.watches.append(watch)
        self._stack.callback(watch.stop)  # before the sidecar is closed
        return made

    def judge(self, **expectations: Any) -> Report:
        """The checker's verdict, the watchers' and that on the commits; raises AssertionError."""
        report = super().judge(**expectations)
        self.require_watched()
        return report

    def require_watched(self, excused: Sequence[tuple[int, int]] = ()) -> None:
        """What the watchers found so far and what is wrong with the commits (commits.judge); raises AssertionError."""
        for watch in self.watches:
            watch.require()
        if self.broker.real:
            found = commits.judge(self.commits(), excused)
            assert not found, "\n".join(f"{kind}: {what}" for kind, what in found[:5])

    def commits(self) -> list[commits.Entry]:
        """What the group's coordinator wrote so far; only on a real broker."""
        return commits.read(self.servers, self.group)


def _bytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w*)", text).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]
