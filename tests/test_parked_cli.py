"""`tidegate parked` as an operator meets it: real processes, exit codes, what goes to which stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from harness.park import park
from harness.ports import free_ports
from harness.scene import Broker
from harness.topics import create_topic
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.core.parking import Parked

T0 = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
BULK = Parked("views", 0, 0, T0, 1, 3, None, None, (), b"{}")


def parked(servers: str, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_") or k == "TIDEGATE_TEST_SANITIZED"}
    given = {"KAFKA_BOOTSTRAP_SERVERS": servers, "GROUP_ID": "shop"} | more
    return subprocess.run(
        [sys.executable, "-m", "tidegate", "parked", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environ | {f"TIDEGATE_{name}": value for name, value in given.items()},
    )


def fill(servers: str, topic: str) -> None:
    views = [(b"k", BULK._replace(offset=n, timestamp_ms=T0 + 1000 * n)) for n in range(1500)]
    orders = [(None, BULK._replace(topic="orders", offset=n, klass=1, timestamp_ms=-1)) for n in range(3)]
    park(servers, topic, views + orders)


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    with EmbeddedBroker({"tidegate.shop.parked": 2}) as broker:
        fill(broker.bootstrap_servers, "tidegate.shop.parked")
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        producer.produce("tidegate.shop.parked", b"hello, this is somebody else who writes here")
        producer.flush(10)
        yield broker.bootstrap_servers


def test_what_waits_is_shown_in_tables(embedded: str) -> None:
    done = parked(embedded, "list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["tidegate.shop.parked:", "1,504", "records", "wait", "in", "2", "partitions"]
    high = ["high", "3", str(3 * (40 + 6 + 2)), "–", "–"]
    bulk = ["bulk", "1,500", f"{1500 * (1 + 40 + 5 + 2):,}", "2023-11-14", "22:13:20", "2023-11-14", "22:38:19"]
    head = ["records", "bytes", "oldest", "(UTC)", "newest", "(UTC)"]
    assert lines[1:4] == [["class", *head], high, bulk]
    assert lines[4:7] == [["from", "topic", *head], ["orders", *high[1:]], ["views", *bulk[1:]]]
    assert done.stdout.splitlines()[7:] == ["1 are no envelopes: somebody else writes to this topic"]


def test_what_waits_is_told_to_programs(embedded: str) -> None:
    done = parked(embedded, "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    bulk = {"records": 1500, "bytes": 1500 * 48, "oldest_ms": T0, "newest_ms": T0 + 1_499_000}
    high = {"records": 3, "bytes": 3 * 48, "oldest_ms": None, "newest_ms": None}
    assert found == {
        "topic": "tidegate.shop.parked",
        "group": "shop",
        "partitions": 2,
        "waiting": 1504,
        "read": 1504,
        "complete": True,
        "classes": {"bulk": bulk, "high": high},
        "topics": {"views": bulk, "orders": high},
        "no_envelopes": {"magic": 1},
    }


def test_a_limit_is_said(embedded: str) -> None:
    done = parked(embedded, "list", "--limit", "10")
    assert done.returncode == 0
    assert "1,504 records wait in 2 partitions" in done.stdout
    assert done.stdout.endswith("looked into 10 of them; --limit 1504 looks into all\n")
    assert json.loads(parked(embedded, "list", "--limit", "0", "--json").stdout)["complete"] is False
    assert parked(embedded, "list", "--limit", "-1").returncode == 2


def test_a_topic_of_another_name(embedded: str) -> None:
    done = parked(embedded, "list", PARKING_TOPIC="later")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tidegate: there is no topic later, or this client is not allowed to see it\n")
    assert "TIDEGATE_GROUP_ID or TIDEGATE_PARKING_TOPIC" in done.stderr


@pytest.mark.parametrize("command", ["list", "drop"])
def test_without_a_topic_or_brokers_nobody_is_asked(command: str) -> None:
    done = parked("127.0.0.1:1", command, PARKING_TOPIC="none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "TIDEGATE_PARKING_TOPIC is none" in done.stderr
    done = parked("", command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS is not set" in done.stderr


def test_no_broker_answers() -> None:
    done = parked(f"127.0.0.1:{free_ports(1)[0]}", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot connect to 127.0.0.1" in done.stderr
    assert len(done.stderr.splitlines()) == 2, "librdkafka adds nothing"


def test_dropping_asks_first(kafka_broker: Broker) -> None:
    servers, topic = kafka_broker.bootstrap_servers, f"parked-{time.time_ns()}"
    create_topic(servers, topic, 2)
    fill(servers, topic)
    for answer in ("n\n", "", "\n"):
        done = parked(servers, "drop", stdin=answer, PARKING_TOPIC=topic)
        assert (done.returncode, done.stdout) == (1, "nothing was dropped\n")
        assert "Drop 1503 records for good? [y/N]" in done.stderr
        assert "2023-11-14 22:38:19" in done.stderr
        assert "Traceback" not in done.stderr
    done = parked(servers, "drop", stdin="y\n", PARKING_TOPIC=topic)
    assert (done.returncode, done.stdout) == (0, f"dropped 1503 records from {topic} (bulk 1500, high 3)\n")
    assert json.loads(parked(servers, "list", "--json", PARKING_TOPIC=topic).stdout)["waiting"] == 0
    assert parked(servers, "drop", PARKING_TOPIC=topic).stdout == "nothing to drop\n"


def test_dropping_without_a_question(kafka_broker: Broker) -> None:
    servers, topic = kafka_broker.bootstrap_servers, f"parked-{time.time_ns()}"
    create_topic(servers, topic, 1)
    fill(servers, topic)
    done = parked(servers, "drop", "--yes", "--limit", "5", PARKING_TOPIC=topic)
    assert (done.returncode, done.stdout) == (0, f"dropped 1503 records from {topic} (of those looked into: bulk 5)\n")
    assert "looked into 5 of them" in done.stderr


def test_what_cannot_be_dropped_is_exit_1(embedded: str) -> None:
    done = parked(embedded, "drop", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "0 of 1504 records were dropped from tidegate.shop.parked" in done.stderr
    assert "Traceback" not in done.stderr
