"""Start to first event at the app, idle CPU, and `tidegate --version`."""

from __future__ import annotations

import http.server
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.e2e import events
from benchmarks.e2e.runner import machine

IDLE_SECONDS = 20  # the kernel counts in hundredths of a second


def cpu_seconds(pid: int) -> float:
    """User and system time of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class App(http.server.BaseHTTPRequestHandler):
    arrived: threading.Event

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.arrived.set()

    def log_message(self, *_: object) -> None:
        pass


def first_event(bootstrap: str) -> tuple[float, float]:
    """(seconds from exec to the first event at the app, CPU share of a core when idle afterwards)."""
    topic = f"start-{uuid.uuid4().hex[:8]}"
    events.create(bootstrap, topic)
    producer = Producer({"bootstrap.servers": bootstrap})
    for key, value in events.events(100):
        producer.produce(topic, value, key)
    producer.flush(30)
    App.arrived = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")} | {
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "TIDEGATE_TOPICS": topic,
        "TIDEGATE_GROUP_ID": topic,
        "TIDEGATE_SINK_URL": f"http://127.0.0.1:{server.server_port}/",
        "TIDEGATE_OPS_ADDRESS": "127.0.0.1:0",
        "TIDEGATE_ADMIN_ADDRESS": "none",
        "TIDEGATE_LOG_LEVEL": "warning",
    }
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tidegate", "run"], env=env)
    try:
        if not App.arrived.wait(30):
            raise RuntimeError("no event arrived within 30 s")
        seconds = time.monotonic() - begun
        time.sleep(3)
        before, at = cpu_seconds(process.pid), time.monotonic()
        time.sleep(IDLE_SECONDS)
        idle = (cpu_seconds(process.pid) - before) / (time.monotonic() - at)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        server.shutdown()
    return seconds, idle


def show_version() -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "tidegate", "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def main(bootstrap: str, reps: int, out: Path | None) -> None:
    """Measures and prints one JSON object; medians."""
    runs = [first_event(bootstrap) for _ in range(reps)]
    row = {
        "first_event_seconds": round(statistics.median(run[0] for run in runs), 3),
        "idle_cpu_share": round(statistics.median(run[1] for run in runs), 4),
        "version_seconds": round(statistics.median(show_version() for _ in range(5)), 3),
    }
    text = json.dumps({"title": "start and idle", "machine": machine(), **row}, indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n")
