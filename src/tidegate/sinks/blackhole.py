"""``blackhole:`` acknowledges at once and keeps nothing: for measuring everything but the target."""

from __future__ import annotations

from tidegate.sinks.base import ACKNOWLEDGED, Outcome, SinkBatch


class BlackholeSink:
    """See the module. `send_nowait` never returns None."""

    name = "blackhole"

    async def start(self) -> None:
        """Nothing to prepare."""

    def send_nowait(self, batch: SinkBatch, /) -> Outcome:
        """Acknowledges."""
        return ACKNOWLEDGED

    async def send(self, batch: SinkBatch, /) -> Outcome:
        """Acknowledges."""
        return ACKNOWLEDGED

    async def close(self) -> None:
        """Nothing to free."""
