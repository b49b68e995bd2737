"""Who competes. A contender is one command that posts what it reads to the app until it gets SIGTERM.

In its environment: BOOTSTRAP TOPIC GROUP SINK BATCH CONCURRENCY LINGER_MS, and CONC, N=0, MODE=push as the programs of
`peers` want them; events go to SINK/events. What it drops it tells on stdout, in lines of JSON, the last one counts:
{"dropped": {"purchase": n, "cart": n, "view": n}}. tidegate is asked at /metrics instead.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.e2e.runner import Contender
from tidegate.config import Settings

COMMAND = [sys.executable, "-m", "tidegate", "run", "--summary"]
COMMON = {
    "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": "{bootstrap}",
    "TIDEGATE_TOPICS": "{topic}",
    "TIDEGATE_GROUP_ID": "{group}",
    "TIDEGATE_SINK_URL": "{sink}/events",
    "TIDEGATE_OPS_ADDRESS": "127.0.0.1:{ops_port}",
    "TIDEGATE_ADMIN_ADDRESS": "none",
    "TIDEGATE_LOG_LEVEL": "warning",
}
# tidegate's forms: what each sets beside the common settings. What this tidegate does not know is left out, and said.
FORMS: dict[str, dict[str, str]] = {
    "tidegate": {},
    "tidegate sampling": {
        "TIDEGATE_NORMAL_ON_PRESSURE": "sample",
        "TIDEGATE_BULK_ON_PRESSURE": "sample",
        "TIDEGATE_SAMPLE_SEED": "1",
    },
    "tidegate pause-only": {"TIDEGATE_PARKING_TOPIC": "none"},
}
LOOPS = {
    "confluent-kafka pausing": ["pausing_loop"],
    "confluent-kafka CoDel": ["shedding_loop", "CoDel"],
    "confluent-kafka DAGOR": ["shedding_loop", "DAGOR"],
    "confluent-kafka PI": ["shedding_loop", "PI"],
}
# Programs of `peers`: (command, what is there once it is built). Dapr is not among them: its apps speak its way.
_JAVA = "{peers}/src/java/target"
PEERS = {
    "Redpanda Connect": ("{peers}/bin/connect -c {peers}/src/connect/push.yaml", "bin/connect"),
    "arroyo": ("{peers}/venv/bin/python {peers}/src/py/arroyo_peer.py", "venv/lib/*/site-packages/arroyo"),
    "parallel-consumer": (f"java -Xmx1g -cp {_JAVA}/pc.jar:{_JAVA}/lib/* peers.App", "src/java/target/pc.jar"),
    "peers' confluent-kafka loop": ("{peers}/venv/bin/python {peers}/src/py/ck_loop.py", "venv/bin/python"),
}


def unknown() -> list[str]:
    """Settings among FORMS that this tidegate does not have."""
    known = {f"TIDEGATE_{name.upper()}" for name in Settings.model_fields}
    return sorted({name for form in FORMS.values() for name in form} - known)


def contenders() -> list[Contender]:
    """tidegate's forms and the Python loops."""
    left_out = unknown()
    forms = [
        Contender(name, COMMAND, COMMON | {key: value for key, value in form.items() if key not in left_out})
        for name, form in FORMS.items()
    ]
    loops = [
        Contender(name, [sys.executable, "-m", f"benchmarks.surge.contenders.{module}", *more])
        for name, (module, *more) in LOOPS.items()
    ]
    return forms + loops


def peers_home() -> Path:
    """Where the set-up of `peers` puts what it builds."""
    return Path(os.environ.get("PEERS_HOME") or Path.home() / ".cache" / "tidegate-peers")


def peers() -> tuple[list[Contender], list[str]]:
    """(programs of `peers` that are built, names of those that are not)."""
    home = peers_home()
    built, missing = [], []
    for name, (command, needs) in PEERS.items():
        if any(home.glob(needs)):
            parts = command.replace("{peers}", str(home)).split()
            built.append(Contender(name, parts, {"PEERS_BIN": str(home / "bin")}))
        else:
            missing.append(name)
    return built, missing
