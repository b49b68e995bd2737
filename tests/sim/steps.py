"""Delivery taken apart into steps: its choice, allowance, pacing and handling of answers are the real ones."""

from __future__ import annotations

from typing import Any, cast

from tidegate.core.dispatcher import Dispatcher
from tidegate.delivery import Delivery
from tidegate.delivery.inflight import Held
from tidegate.sinks.base import Outcome


class _Quiet:
    """TargetLog's face; its reminders would need a loop."""

    def changed(self, *_: object) -> None: ...
    def refused(self, *_: object) -> None: ...


class _Nowhere:
    """A sink's face; what is sent is the scheduler's."""

    name = "sim"


class Steps(Delivery):
    """Delivery, whose tasks are the scheduler's: `run` and `_carry` become `begin` and `_finish`, `close` `give_up`."""

    def __init__(self, dispatcher: Dispatcher, concurrency: int, inflight_bytes: int, **more: Any) -> None:
        super().__init__(
            dispatcher,
            cast(Any, _Nowhere()),
            concurrency=concurrency,
            inflight_bytes=inflight_bytes,
            log=cast(Any, None),
            **more,
        )
        self._log = cast(Any, _Quiet())

    def begin(self) -> Held | None:
        held = None if self._closed else self._order.next(self._clock())
        if held is not None:
            self._begin(held)
        return held

    def answered(self, held: Held, outcome: Outcome) -> None:
        self._finish(held, outcome)

    @property
    def idle(self) -> bool:
        return self._is_idle()

    def give_up(self) -> int:
        self._closed = True
        given_up = sum(self._source.discard(held.batch) for held in self._flight)
        self._flight.clear()
        return given_up
