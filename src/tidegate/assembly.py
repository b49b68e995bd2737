"""The parts of one process, made and joined; nothing of it runs yet.

reader thread ──rings──► dispatcher ──► delivery ──► sink
      ▲ ▲                                  │ │
      │ └── stored offsets ◄── ledger ◄────┘ │
      └──── hold, pause ◄──── control ◄──────┘
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import structlog

from tidegate import probes
from tidegate.actuator import CoreActuator
from tidegate.broker.properties import consumer_properties
from tidegate.broker.topics import count_lanes
from tidegate.classification import rule_table
from tidegate.control import Control
from tidegate.core.dispatcher import Dispatcher
from tidegate.core.eviction import Eviction
from tidegate.core.gate import Gate
from tidegate.core.ledger import Ledger
from tidegate.core.reader import Reader
from tidegate.core.ring import Rings
from tidegate.core.schedule import AGE_BUDGET_SECONDS
from tidegate.deferral import Deferral
from tidegate.delivery import Delivery
from tidegate.errors import ConfigError
from tidegate.ops.admin import AdminServer
from tidegate.ops.drain import Drain
from tidegate.ops.http import listen
from tidegate.ops.pressure import PressureDesk
from tidegate.ops.server import OpsServer
from tidegate.ops.snapshot import Sources
from tidegate.pressure.adaptive import Adaptive
from tidegate.pressure.limiter import Limiter
from tidegate.pressure.orders import Rung
from tidegate.pressure.orders import Settings as PressureSettings
from tidegate.sinks.base import SinkOptions, open_sink
from tidegate.subscriptions import split
from tidegate.types import CLASSES, EventClass

if TYPE_CHECKING:
    import socket

    from tidegate.broker.trouble import Trouble
    from tidegate.config import Settings
    from tidegate.core.rules import RuleTable

log = structlog.get_logger("tidegate")


def _limiter(settings: Settings) -> Limiter | None:
    if settings.limiter == "fixed":
        return None
    return Adaptive(settings.concurrency, settings.batch_max_records, Random(), time.monotonic())


def _sink_headers(settings: Settings) -> dict[str, str]:
    if settings.sink_authorization is None:
        return {}
    return {"Authorization": settings.sink_authorization.get_secret_value()}


def _subscriptions(
    settings: Settings, rules: RuleTable, lanes: int, parking: str | None
) -> list[tuple[dict[str, str], tuple[str, ...]]]:
    """Properties and topics of each consumer handle, of which all together have so many lanes. What is parked is read
    with what is not urgent."""
    handles = []
    parts = split(settings.topics, rules)
    if parking is not None:
        parts[-1] = (*parts[-1], parking)
    for number, topics in enumerate(parts):
        properties = consumer_properties(settings, lanes=lanes)
        if number and "group.instance.id" in properties:
            properties["group.instance.id"] += f"-{number + 1}"  # every member of a group needs its own
        handles.append((properties, topics))
    return handles


def _admin_socket(settings: Settings) -> socket.socket | None:
    if settings.admin_listener is None:
        return None
    try:
        return listen(settings.admin_listener, "admin")
    except ConfigError as error:
        if "admin_address" in settings.model_fields_set:
            raise
        # Another sidecar on this host has the default address: no reason not to run.
        log.warning("no admin listener, so `tidegate drain` cannot reach this process", reason=error.message)
        return None


class Parts:
    """Base of Sidecar.

    Args:
        until_end: it is to end with what its partitions hold now.
        on_drain: somebody asks for the drain.
        tell: is told why no broker answers.

    Raises:
        ConfigError: a rule, a Kafka property, the parking topic or the sink's URL is wrong; an address cannot be had.
    """

    def __init__(
        self, settings: Settings, *, until_end: bool, on_drain: Callable[[], None], tell: Callable[[Trouble], None]
    ) -> None:
        self._settings = settings
        budget = settings.budget
        rules = rule_table(settings)
        # Before the Kafka clients exist: an address in use ends the process here.
        ops_socket = None if settings.ops_listener is None else listen(settings.ops_listener)
        admin_socket = _admin_socket(settings)
        # It looks from here on, while the sink is imported.
        self.deferral = Deferral(settings, until_end=until_end, tell=tell)
        self.sink = open_sink(
            settings.sink_url or "",
            SinkOptions(
                concurrency=settings.concurrency,
                connect_timeout_seconds=settings.sink_connect_timeout_ms / 1000,
                timeout_seconds=settings.sink_timeout_ms / 1000,
                headers=_sink_headers(settings),
            ),
        )
        self.ledger = Ledger(settings.max_uncommitted_records)
        self.rings = Rings(budget.rings)
        self.dispatcher = Dispatcher(
            self.rings,
            self.ledger,
            settings.format,
            settings.batch_max_records,
            settings.batch_max_bytes,
            settings.batch_linger_ms / 1000,
        )
        producer = self.deferral.found(self.ledger)  # until then nothing has joined the group
        self._lanes = count_lanes(settings.topics, consumer_properties(settings, lanes=1)) + (producer is not None)
        subscriptions = _subscriptions(settings, rules, self._lanes, self.deferral.topic)
        sampled = [klass for klass, policy in zip(CLASSES, settings.policies, strict=True) if policy.sample]
        gate = Gate(settings.sample_seed, sampled)
        self._topics = [topics for _, topics in subscriptions]
        self.reader = Reader(
            subscriptions,
            rules,
            self.rings,
            self.ledger,
            format=settings.format,
            start=settings.start,
            find_ends=until_end,
            gate=gate,
            producer=producer,
            waits=[klass for klass in (EventClass.NORMAL, EventClass.BULK) if settings.policies[klass].defer],
            defers=[klass for klass, policy in zip(CLASSES, settings.policies, strict=True) if policy.defer],
            ttl_seconds=settings.bulk_ttl_seconds or 0.0,
        )
        self.reader.watch(self.dispatcher)
        self.delivery = Delivery(
            self.dispatcher,
            self.sink,
            concurrency=settings.concurrency,
            inflight_bytes=budget.sending(settings.batch_max_bytes),
            limiter=_limiter(settings),
            log=log,
        )
        self.actuator = CoreActuator(
            self.reader,
            gate,
            producer,
            lambda: self.deferral.ready,
            sampled=sampled,
            log=log,
            eviction=Eviction(self.dispatcher, producer) if producer is not None else None,
        )
        self.control = Control(
            self.reader,
            self.rings,
            self.ledger,
            self.delivery.stats,
            memory_bytes=budget.shared,
            settings=PressureSettings(
                settings.policies,
                AGE_BUDGET_SECONDS,
                Rung[settings.ladder_max.upper()],
                settings.replay_headroom,
                settings.parking_max_seconds,
            ),
            log=log,
            actuator=self.actuator,
        )
        self.drain = Drain(self.dispatcher.states)
        self.ops: OpsServer | None = None
        if ops_socket is not None:
            sources = Sources(
                self.ledger,
                self.dispatcher,
                self.reader,
                self.delivery.stats,
                lambda: self.control.accounted_bytes,
                self.control.pressure,
            )
            self.ops = OpsServer(
                ops_socket,
                heartbeat_age=lambda: 0.0 if self.reader.ended else self.reader.heartbeat_age,
                snapshot=sources.take,
                drain=self.drain,
            )
        self.admin: AdminServer | None = None
        if admin_socket is not None:
            ops_port = None if settings.ops_listener is None else settings.ops_listener[1]
            self.admin = AdminServer(
                admin_socket,
                who=probes.who(group=settings.group_id, ops_port=ops_port),
                begin=on_drain,
                drain=self.drain,
                pressure=PressureDesk(self.control.pressure, self.control.force, self.control.force_replay),
            )
