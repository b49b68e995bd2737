"""A plain sidecar: what the contract says in the least Python, slow, and faulty on demand.

The harness tries itself on it (test_plain.py): end-to-end tests that pass with the plain one and fail with each of
its planted faults can be trusted with tidegate. ``TIDEGATE_TEST_SIDECAR="python -m harness.plain"`` runs tests/e2e
against it. It knows only the settings that those tests use.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
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
        self.until_end = until_end
        self.stopping = threading.Event()
        self.deadline = float("inf")
        conf: dict[str, Any] = {
            "bootstrap.servers": setting("KAFKA_BOOTSTRAP_SERVERS"),
            "group.id": setting("GROUP_ID", "tidegate"),
            "group.protocol": setting("GROUP_PROTOCOL", "classic"),
            "enable.auto.offset.store": False,
            "auto.commit.interval.ms": 1000,
            "auto.offset.reset": setting("START", "earliest"),
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
            label = self.classify(message)
            classes[label].append(message)
            self.counts[label]["polled"] += 1
            self.records += 1
        for label, members in classes.items():
            if self.fault == "skip" and members:
                del members[0]
            if self.fault == "swap":
                members.reverse()
            for kind, some, body in self.batches(members):
                shown = "bulk" if self.fault == "wrong-class" else label
                for _ in range(2 if self.fault == "twice" else 1):
                    if not self.send(kind, some, body, shown):
                        return False
                self.counts[label]["delivered"] += len(some)
                self.last = time.monotonic()
        return True

    def classify(self, message: Message) -> str:
        kind: object = None
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            value = message.value() or b"{}"
            kind = json.loads(value, parse_int=str)["event_type"]
        for name, header in list(message.headers() or []):
            if f"header:{name!s}" in setting("TYPE_FIELDS").split(",") and header:
                words = [word for label in LABELS for word in setting(label.upper()).split(",")]
                text = header.decode(errors="replace") if isinstance(header, bytes) else header
                kind = text if text in words else kind
        return next((label for label in LABELS if kind in setting(label.upper()).split(",")), "high")

    def batches(self, messages: list[Message]) -> Iterator[tuple[str, list[Message], bytes]]:
        """(content type, members, body), within the limits on records and bytes."""
        limit = int(setting("BATCH_MAX_BYTES", "1048576"))
        some: list[tuple[Message, bytes]] = []
        for message in messages:
            value = message.value() or b""
            assert isinstance(value, bytes)
            if self.fault != "leak" and not is_json(value):
                yield "application/octet-stream", [message], value
                continue
            line = self.line(message, value)
            size = sum(len(other) + 1 for _, other in some) + len(line) + 2
            if some and (len(some) == int(setting("BATCH_MAX_RECORDS", "500")) or size > limit):
                yield self.join(some)
                some = []
            some.append((message, line))
        if some:
            yield self.join(some)

    def line(self, message: Message, value: bytes) -> bytes:
        line = value.replace(b"\n", b" ") or b"null"
        if self.format != "envelope":
            return line
        head: dict[str, Any] = {"id": place_of(message), "class": self.classify(message), "weight": 1}
        head |= {"ts": message.timestamp()[1], "key": None, "headers": {}, "value": 0}
        return json.dumps(head).encode()[:-2] + line + b"}"

    def join(self, some: list[tuple[Message, bytes]]) -> tuple[str, list[Message], bytes]:
        messages, lines = [message for message, _ in some], [line for _, line in some]
        if self.format == "json":
            return "application/json", messages, b"[" + b",".join(lines) + b"]"
        return "application/x-ndjson", messages, b"\n".join(lines) + b"\n"

    def send(self, kind: str, members: list[Message], body: bytes, label: str) -> bool:
        """Until it is acknowledged; False when the deadline came first."""
        if setting("SINK_URL") == "blackhole:":
            return True
        if setting("SINK_URL") == "stdout:":
            os.write(1, body.removesuffix(b"\n") + b"\n")
            return True
        places = [place_of(message) for message in members]
        headers = {
            "Content-Type": kind,
            "X-Tidegate-Class": label,
            "X-Tidegate-Records": str(len(members)),
            "X-Tidegate-Format": self.format,
            "X-Tidegate-Offsets": f"{places[0]}..{places[-1]}",
            "Idempotency-Key": hashlib.sha256(" ".join(places).encode()).hexdigest(),
        }
        while time.monotonic() < self.deadline:
            pause = self.post(headers, body)
            if pause is None or self.fault == "give-up":
                return True
            end = min(time.monotonic() + pause, self.deadline)
            while time.monotonic() < min(end, self.deadline):
                time.sleep(0.02)
        return False

    def post(self, headers: dict[str, str], body: bytes) -> float | None:
        """One attempt: None when it was acknowledged, else the seconds to wait."""
        url = urllib.parse.urlsplit(setting("SINK_URL"))
        try:
            if self.connection is None:
                timeout = int(setting("SINK_TIMEOUT_MS", "10000")) / 1000
                self.connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
            self.connection.request("POST", url.path, body, headers)
            answer = self.connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return 0.2
        return None if answer.status < 300 else max(0.2, retry_after(answer.headers["Retry-After"]))

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


def place_of(message: Message) -> str:
    return f"{message.topic()}/{message.partition()}/{message.offset()}"


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
