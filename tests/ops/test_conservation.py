"""The books while the reader's thread goes on: never a false alarm."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from harness.produce import Event, send, shop_events
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.config import load
from tidegate.sidecar import Sidecar

PARTITIONS, EACH = 4, 12_000


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    """A sidecar's parts with a full topic before them, not started."""
    values = [event.value for event in shop_events(1000)]
    with EmbeddedBroker({"shop.events": PARTITIONS}) as broker:
        events = (Event(n % PARTITIONS, None, values[n % 1000]) for n in range(PARTITIONS * EACH))
        send(broker.bootstrap_servers, "shop.events", events)
        environment = {
            "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "TIDEGATE_TOPICS": "shop.events",
            "TIDEGATE_SINK_URL": "blackhole:",
            "TIDEGATE_OPS_ADDRESS": "none",
            "TIDEGATE_ADMIN_ADDRESS": "none",
            "TIDEGATE_BATCH_LINGER_MS": "0",
        }
        made = Sidecar(load(environment, running=True))
        made.reader.start()
        yield made
        made.dispatcher.discard_buffered()
        made.reader.close()
        assert made.reader.join(10)


def test_no_false_alarm_at_full_speed(sidecar: Sidecar) -> None:
    dispatcher, ledger = sidecar.dispatcher, sidecar.ledger
    looked = moving = settled = 0
    deadline = time.monotonic() + 30
    while settled < PARTITIONS * EACH:
        assert time.monotonic() < deadline, settled
        assert dispatcher.conservation() == (0, 0, 0, 0)
        # What a sum over the published figures makes of the same moments shows that the reader does run meanwhile.
        totals, states = ledger.totals().values(), dispatcher.states()
        naive = [
            row["polled"] - sum(n for name, n in row.items() if name != "polled") - states[k][0] - states[k][2]
            for k, row in enumerate(totals)
        ]
        looked += 1
        moving += any(naive)
        batch = dispatcher.take()
        if batch is not None:
            assert dispatcher.conservation() == (0, 0, 0, 0)
            dispatcher.settle(batch)
            settled += batch.records
    assert dispatcher.conservation() == (0, 0, 0, 0)
    assert looked > 100
    assert moving > 0
