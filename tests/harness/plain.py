"""A plain sidecar: what the contract says in the least Python, slow, and faulty on demand.

The harness tries itself on it (test_plain.py): end-to-end tests that pass with the plain one and fail with each of
its planted faults can be trusted with tidegate. ``TIDEGATE_TEST_SIDECAR="python -m harness.plain"`` runs tests/e2e
against it. It knows only the settings that those tests use.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

LABELS = ("critical", "high", "normal", "bulk")
FAULTS = ("", "commit-first", "skip", "twice", "swap", "wrong-class", "leak", "no-eof", "give-up")


def setting(name: str, default: str = "") -> str:
    return os.environ.get(f"TIDEGATE_{name}", default)


class Plain:
    """One consumer, one request at a time; offsets are stored when a whole round is acknowledged."""

    def __init__(self, until_end: bool) -> None:
        self.fault = setting("PLAIN_FAULT")
        assert self.fault in FAULTS
        self.format = setting("FORMAT", "ndjson")
        self.batch = int(setting("BATCH_MAX_RECORDS", "500"))
        self.until_end = until_end
        self.stopping = threading.Event()
        self.deadline = float("inf")
        conf: dict[str, Any] = {
            "bootstrap.servers": setting("KAFKA_BOOTSTRAP_SERVERS"),
            "group.id": setting("GROUP_ID", "tidegate"),
            "group.protocol": setting("GROUP_PROTOCOL", "classic"),
            "enable.auto.offset.store": False,
            "auto.commit.interval.ms": 1000,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 10,
        }
        if conf["group.protocol"] == "classic":
            conf["partition.assignment.strategy"] = "cooperative-sticky"
        for name, value in os.environ.items():
            if name.startswith("TIDEGATE_KAFKA_"):
                conf[name.removeprefix("TIDEGATE_KAFKA_").lower().replace("_", ".")] = value
        self.consumer = Consumer(conf)
        self.consumer.subscribe(setting("TOPICS").split(","))
        self.connection: http.client.HTTPConnection | None = None
        self.counts = {label: {"polled": 0, "delivered": 0} for label in LABELS}
        self.ends: set[tuple[str, int]] = set()
        self.records = 0
        self.first = self.last = time.monotonic()

    def run(self) -> None:
        while not self.stopping.is_set():
            messages = self.consumer.consume(2000, 0.05)
            stored: dict[tuple[str, int], int] = {}
            good = []
            for message in messages:
                error, place = message.error(), (message.topic() or "", message.partition() or 0)
                if error is None:
                    good.append(message)
                    stored[place] = (message.offset() or 0) + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    self.ends.add(place)
                    if self.fault != "no-eof":
                        stored[place] = message.offset() or 0
                else:
                    print(json.dumps({"event": "kafka", "error": str(error)}), file=sys.stderr)
            if self.fault == "commit-first":
                self.store(stored)
            if good and self.records == 0:
                self.first = time.monotonic()
            if not self.deliver(good):
                return
            if self.fault != "commit-first":
                self.store(stored)
            assigned = self.consumer.assignment()
            if self.until_end and assigned and {(p.topic, p.partition) for p in assigned} <= self.ends:
                return

    def store(self, offsets: dict[tuple[str, int], int]) -> None:
        with contextlib.suppress(Exception):  # revoked meanwhile
            self.consumer.store_offsets(offsets=[TopicPartition(*place, at) for place, at in offsets.items()])

    def deliver(self, messages: list[Message]) -> bool:
        """Sends everything; False when the deadline after SIGTERM came first."""
        classes: dict[str, list[Message]] = {label: [] for label in LABELS}
        for message in messages:
            label = self.classify(message.value())
            classes[label].append(message)
            self.counts[label]["polled"] += 1
            self.records += 1
        for label, members in classes.items():
            if self.fault == "skip" and members:
                del members[0]
            if self.fault == "swap":
                members.reverse()
            for kind, body, count in self.bodies(members, label):
                shown = "bulk" if self.fault == "wrong-class" else label
                for _ in range(2 if self.fault == "twice" else 1):
                    if not self.send(kind, body, count, shown):
                        return False
                self.counts[label]["delivered"] += count
                self.last = time.monotonic()
        return True

    def classify(self, value: bytes | str | None) -> str:
        try:
            kind = json.loads(value or b"{}", parse_int=str)["event_type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return "high"
        return next((label for label in LABELS if kind in setting(label.upper()).split(",")), "high")

    def bodies(self, messages: list[Message], label: str) -> Iterator[tuple[str, bytes, int]]:
        lines: list[bytes] = []
        for message in messages:
            value = message.value() or b""
            assert isinstance(value, bytes)
            if self.fault != "leak" and not is_json(value):
                yield "application/octet-stream", value, 1
                continue
            line = value.replace(b"\n", b" ") or b"null"
            if self.format == "envelope":
                head: dict[str, Any] = {
                    "id": f"{message.topic()}/{message.partition()}/{message.offset()}",
                    "class": label,
                }
                head |= {"weight": 1, "ts": message.timestamp()[1], "key": None, "headers": {}, "value": 0}
                line = json.dumps(head).encode()[:-2] + line + b"}"
            lines.append(line)
            if len(lines) == self.batch:
                yield self.join(lines)
                lines = []
        if lines:
            yield self.join(lines)

    def join(self, lines: list[bytes]) -> tuple[str, bytes, int]:
        if self.format == "json":
            return "application/json", b"[" + b",".join(lines) + b"]", len(lines)
        return "application/x-ndjson", b"\n".join(lines) + b"\n", len(lines)

    def send(self, kind: str, body: bytes, count: int, label: str) -> bool:
        url = urllib.parse.urlsplit(setting("SINK_URL"))
        headers = {"Content-Type": kind, "X-Tidegate-Class": label, "X-Tidegate-Records": str(count)}
        headers["X-Tidegate-Format"] = self.format
        while time.monotonic() < self.deadline:
            pause = 0.1
            try:
                if self.connection is None:
                    timeout = int(setting("SINK_TIMEOUT_MS", "10000")) / 1000
                    self.connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
                self.connection.request("POST", url.path, body, headers)
                answer = self.connection.getresponse()
                answer.read()
                if answer.status < 300 or self.fault == "give-up":
                    return True
                pause = max(pause, retry_after(answer.headers["Retry-After"]))
            except (OSError, http.client.HTTPException):
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
                if self.fault == "give-up":
                    return True
            end = time.monotonic() + pause
            while time.monotonic() < min(end, self.deadline):
                time.sleep(0.02)
        return False

    def stop(self, *_: object) -> None:
        if self.stopping.is_set():
            os._exit(1)
        self.stopping.set()
        self.deadline = time.monotonic() + float(setting("DRAIN_SECONDS", "20"))

    def summary(self) -> str:
        zero = dict.fromkeys(("deferred", "sampled", "expired", "dead_lettered", "discarded"), 0)
        for counts in self.counts.values():
            counts |= zero | {"discarded": counts["polled"] - counts["delivered"]}
        usage = {"cpu_seconds": time.process_time(), "peak_rss_bytes": 1 << 25}
        seconds = self.last - self.first
        return json.dumps({"records": self.records, "seconds": seconds, **usage, "classes": self.counts})


def is_json(value: bytes) -> bool:
    try:
        if value:
            json.loads(value.decode(), parse_int=str, parse_float=str, parse_constant=lambda name: int(name))
    except (ValueError, RecursionError):
        return False
    return True


def retry_after(text: str | None) -> float:
    if text is None:
        return 0
    if text.isdigit():
        return float(text)
    return email.utils.parsedate_to_datetime(text).timestamp() - time.time()


def main() -> None:
    plain = Plain("--until-end" in sys.argv)
    signal.signal(signal.SIGTERM, plain.stop)
    plain.run()
    with contextlib.suppress(Exception):
        plain.consumer.commit(asynchronous=False)
    plain.consumer.close()
    if "--until-end" in sys.argv or "--summary" in sys.argv:
        print(plain.summary())


if __name__ == "__main__":
    main()
