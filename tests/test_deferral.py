"""Deferral's start: the parking topic is looked for beside the rest of a start, and before anything joins the group."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from confluent_kafka.admin import AdminClient

from harness.ports import free_ports
from harness.topics import create_topic
from tidegate.config import Settings, load
from tidegate.core.ledger import Ledger
from tidegate.deferral import Deferral
from tidegate.errors import ConfigError
from tidegate.sidecar import Sidecar


def settings(servers: str, name: str, **more: str) -> Settings:
    made = {"kafka_bootstrap_servers": servers, "topics": name, "group_id": name, "sink_url": "blackhole:"}
    made |= {"ops_address": "none", "admin_address": "none"} | more
    return load({f"TIDEGATE_{key.upper()}": value for key, value in made.items()})


def unique(name: str) -> str:
    return f"{name}-{os.getpid()}-{time.time_ns()}"


def groups(servers: str) -> set[str]:
    admin = AdminClient({"bootstrap.servers": servers})  # a name of its own: without one it would be gone by the answer
    return {one.group_id for one in admin.list_consumer_groups().result(20).valid}


def test_it_is_there_when_the_producer_is(kafka: str) -> None:
    name = unique("there")
    create_topic(kafka, name, 3)
    deferral = Deferral(settings(kafka, name))
    producer = deferral.found(Ledger())
    assert producer is deferral.producer is not None
    assert deferral.ready
    assert producer.name == f"tidegate.{name}.parked"
    assert (
        len(AdminClient({"bootstrap.servers": kafka}).list_topics(producer.name, 10).topics[producer.name].partitions)
        == 3
    )
    producer.close(0)


def test_a_start_that_is_refused_has_not_joined_the_group(kafka: str) -> None:
    name, other = unique("refused"), unique("joined")
    for topic in (name, other):
        create_topic(kafka, topic, 1)
    create_topic(kafka, f"tidegate.{name}.parked", 1, {"cleanup.policy": "compact"})
    with pytest.raises(ConfigError) as caught:
        Sidecar(settings(kafka, name))
    assert (caught.value.code, caught.value.exit_code) == ("parking-topic-unfit", 2)
    one = Sidecar(settings(kafka, other))
    try:
        until = time.monotonic() + 20
        while other not in groups(kafka):
            assert time.monotonic() < until
    finally:
        one.reader.start()
        one.reader.close()
        assert one.deferral.producer is not None
        one.deferral.producer.close(0)
        assert one.reader.join(15)
    assert name not in groups(kafka)


def test_what_else_a_start_has_to_do_need_not_wait() -> None:
    (port,) = free_ports(1)
    begun = time.monotonic()
    deferral = Deferral(settings(f"127.0.0.1:{port}", "nobody"))
    assert time.monotonic() - begun < 0.5
    producer = deferral.found(Ledger())
    assert time.monotonic() - begun > 4, "nobody answered, and that was waited for"
    assert producer is not None
    assert not deferral.ready
    producer.close(0)


@pytest.mark.parametrize("off", ["topic", "class", "end"])
def test_where_nothing_is_parked_nobody_is_asked(off: str) -> None:
    (port,) = free_ports(1)
    keep = {f"{klass}_on_pressure": "keep" for klass in ("high", "normal", "bulk")}
    more = {"topic": {"parking_topic": "none"}, "class": keep, "end": {}}[off]
    begun = time.monotonic()
    deferral = Deferral(settings(f"127.0.0.1:{port}", "nobody", **more), until_end=off == "end")
    assert deferral.found(Ledger()) is deferral.producer is None
    assert deferral.topic is None
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize("seconds", [0.4, 0.7, 1.5])
def test_a_start_that_is_told_to_stop_does_not_wait_for_the_answer(seconds: float) -> None:
    (port,) = free_ports(1)
    chosen = {"kafka_bootstrap_servers": f"127.0.0.1:{port}", "topics": "t", "sink_url": f"http://127.0.0.1:{port}"}
    chosen |= {"ops_address": "none", "admin_address": "none"}
    environ = dict(os.environ) | {f"TIDEGATE_{key.upper()}": value for key, value in chosen.items()}
    with subprocess.Popen([sys.executable, "-m", "tidegate", "run"], env=environ) as process:
        time.sleep(seconds)
        process.terminate()
        told = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - told < 3.5, "a question under way may take two seconds"
