"""How the demo is sized and set: the stream, the shop, the embedded broker, and what tidegate is configured with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, PARTITION_CAPACITY_RECORDS
from tidegate.demo.events import LARGEST_BYTES
from tidegate.demo.generator import Plan
from tidegate.errors import ConfigError

RATE: Final = 300
TOPIC: Final = "shop.events"  # one for all: orders stand behind page views in the same partitions
GROUP: Final = "tidegate-demo"
PARKED: Final = f"tidegate.{GROUP}.parked"  # where tidegate itself looks for it
WORKERS: Final = 4
# Well above the usual stream, and four tenths of it at ten times: what is parked can come back before the demo ends.
CAPACITY_TIMES_RATE: Final = 4
DRAIN_SECONDS: Final = 1.0
_MIN_PARTITIONS: Final = 6
_MAX_PARTITIONS: Final = 256

# What an operator would set for this shop: as many requests as it has workers, for more would only wait in its own
# line, orders among them; and batches that occupy a worker for tens of milliseconds. Both bound what an order finds in
# front of it: work in flight cannot be overtaken. Set in the environment, these stand: 500 and 8 show the difference.
_TUNING: Final = {
    "TIDEGATE_BATCH_MAX_RECORDS": "8",
    "TIDEGATE_BATCH_LINGER_MS": "5",
    "TIDEGATE_CONCURRENCY": str(WORKERS),
    # A surge of seconds at this rate would disappear in the buffers of the usual budget, and nothing would be parked.
    "TIDEGATE_MEMORY_BYTES": "16MiB",
    "TIDEGATE_REPLAY_HEADROOM": "0.1",  # of a shop that nobody else asks anything of
    "TIDEGATE_LOG_LEVEL": "info",
}
# The embedded broker answers a fetch that found nothing only when its time is over, whatever arrives meanwhile; a real
# one answers at once, and needs no such setting.
_EMBEDDED_FETCH_WAIT_MS: Final = 10


def partitions_for(plan: Plan) -> int:
    """So many that all of the plan's events fit into half of the embedded broker's capacity: it forgets silently. As
    many will do for the parking topic: nothing is parked twice, and the envelope adds a tenth.

    Raises:
        ConfigError: that would be too much for one machine's memory.
    """
    per_partition = min(PARTITION_CAPACITY_BYTES // LARGEST_BYTES, PARTITION_CAPACITY_RECORDS) // 2
    needed = max(_MIN_PARTITIONS, math.ceil((plan.total + 1) / per_partition))
    if needed > _MAX_PARTITIONS:
        raise ConfigError(
            f"{plan.total:,} events are too many for the embedded broker, which keeps all of them in memory",
            code="demo-too-large",
            hint=f"Lower --seconds, --rate or --surge: at most {_MAX_PARTITIONS * per_partition:,} events fit.",
        )
    return needed


def sidecar_environment(environ: Mapping[str, str], servers: str, sink_url: str) -> dict[str, str]:
    """What `tidegate run` is started with: the demo's settings, and of the user's only those that _TUNING names."""
    kept = {name: value for name, value in environ.items() if not name.startswith("TIDEGATE_") or name in _TUNING}
    return (
        _TUNING
        | kept
        | {
            "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": servers,
            "TIDEGATE_TOPICS": TOPIC,
            "TIDEGATE_GROUP_ID": GROUP,
            "TIDEGATE_SINK_URL": sink_url,
            "TIDEGATE_OPS_ADDRESS": "127.0.0.1:0",
            "TIDEGATE_ADMIN_ADDRESS": "none",
            "TIDEGATE_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "TIDEGATE_LOG_FORMAT": "console",
            "TIDEGATE_KAFKA_FETCH_WAIT_MAX_MS": str(_EMBEDDED_FETCH_WAIT_MS),
        }
    )
