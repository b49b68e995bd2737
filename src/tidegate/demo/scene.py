"""How the demo is sized and set: the stream, the shop, the embedded broker, and what tidegate is configured with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from tidegate.broker.embedded import PARTITION_CAPACITY_BYTES, PARTITION_CAPACITY_RECORDS
from tidegate.demo.events import LARGEST_BYTES
from tidegate.demo.options import TOPIC
from tidegate.demo.plan import Plan
from tidegate.errors import ConfigError
from tidegate.types import CLASSES, EventClass

GROUP: Final = "tidegate-demo"
PLAIN_GROUP: Final = "plain-loop"
PARKED: Final = f"tidegate.{GROUP}.parked"  # where tidegate itself looks for it
WORKERS: Final = 4
BATCH_RECORDS: Final = 8
# Well above the usual stream, and four tenths of it at ten times: what is parked can come back before the demo ends.
CAPACITY_TIMES_RATE: Final = 4
DRAIN_SECONDS: Final = 1.0
_MIN_PARTITIONS: Final = 6
_MAX_PARTITIONS: Final = 256

# What an operator would set for this shop: as many requests as it has workers, for more would only wait in its own
# line, orders among them; and batches that occupy a worker for tens of milliseconds. Both bound what an order finds in
# front of it: work in flight cannot be overtaken. Set in the environment, these stand: 500 and 8 show the difference.
_TUNING: Final = {
    "TIDEGATE_BATCH_MAX_RECORDS": str(BATCH_RECORDS),
    "TIDEGATE_BATCH_LINGER_MS": "5",
    "TIDEGATE_CONCURRENCY": str(WORKERS),
    # A surge of seconds at this rate would disappear in the buffers of the usual budget, and nothing would be parked.
    "TIDEGATE_MEMORY_BYTES": "16MiB",
    "TIDEGATE_REPLAY_HEADROOM": "0.1",  # of a shop that nobody else asks anything of
    "TIDEGATE_LOG_LEVEL": "info",
}
# An app of the user's own is met as it would be in earnest.
_TUNING_OWN_APP: Final = {name: _TUNING[name] for name in ("TIDEGATE_MEMORY_BYTES", "TIDEGATE_LOG_LEVEL")}
# The embedded broker answers a fetch that found nothing only when its time is over, whatever arrives meanwhile; a real
# one answers at once, and needs no such setting.
EMBEDDED_FETCH_WAIT_MS: Final = 10


def topics_by_class(names: Sequence[str]) -> dict[EventClass, str]:
    """Where each class goes: one name for all, or one each from critical on, the last for all that are left.

    Raises:
        ConfigError: there are more than classes, or one is given twice, is empty or is the demo's own.
    """
    hint = f"Give one to {len(CLASSES)} names with commas between them, such as --topics orders,clicks."
    if not 1 <= len(names) <= len(CLASSES):
        raise ConfigError(f"--topics has {len(names)} names for {len(CLASSES)} classes", code="demo-topics", hint=hint)
    for name in names:
        if not name or names.count(name) > 1 or name == PARKED:
            what = "has an empty name" if not name else f"names {name} twice" if name != PARKED else f"names {name}"
            raise ConfigError(f"--topics {what}", code="demo-topics", hint=hint)
    return {klass: names[min(klass, len(names) - 1)] for klass in CLASSES}


def partitions_for(plan: Plan) -> int:
    """Of each topic: so many that all of the plan's events fit into half of the embedded broker's capacity, for it
    forgets silently. As many will do for the parking topic: nothing is parked twice, and the envelope adds a tenth.

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


def sidecar_environment(
    environ: Mapping[str, str], servers: str, sink_url: str, topics: Sequence[str] = (TOPIC,), *, own_app: bool = False
) -> dict[str, str]:
    """What `tidegate run` is started with: the demo's settings, and of the user's only those that _TUNING names; for
    an app of the user's own all but those of the connection to Kafka."""
    tuning = _TUNING_OWN_APP if own_app else _TUNING

    def stands(name: str) -> bool:
        return name in tuning or (own_app and not name.startswith("TIDEGATE_KAFKA_"))

    ours = {
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": servers,
        "TIDEGATE_TOPICS": ",".join(topics),
        "TIDEGATE_GROUP_ID": GROUP,
        "TIDEGATE_SINK_URL": sink_url,
        "TIDEGATE_OPS_ADDRESS": "127.0.0.1:0",
        "TIDEGATE_ADMIN_ADDRESS": "none",
        "TIDEGATE_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "TIDEGATE_LOG_FORMAT": "console",
        "TIDEGATE_KAFKA_FETCH_WAIT_MAX_MS": str(EMBEDDED_FETCH_WAIT_MS),
    }
    replaced = {*ours, *(f"{name}_FILE" for name in ours)}
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("TIDEGATE_") or (stands(name) and name not in replaced)
    }
    return tuning | kept | ours
