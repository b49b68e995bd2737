"""The real broker: its settings, kill -9 and restart on the same data; and what the producers leave in a topic."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource

from harness import checker, fixtures, hostile, install, produce, topics
from harness.kafka import KafkaServer
from harness.scene import Broker


def test_events_are_what_they_say() -> None:
    events = list(produce.shop_events(5000, 8, run=7))
    assert [produce.identity_of(e.value or b"") for e in events] == [(7, e.partition, n) for n, e in enumerate(events)]
    sizes = [len(e.value or b"") for e in events]
    assert 255 < sum(sizes) / len(sizes) < 275
    shares = {kind: sum(e.type == kind for e in events) / 5000 for kind in ("view", "cart", "purchase")}
    assert shares["view"] == pytest.approx(0.87, abs=0.03)
    assert shares["cart"] == pytest.approx(0.10, abs=0.02)
    assert shares["purchase"] == pytest.approx(0.03, abs=0.01)
    with pytest.raises(ValueError, match="changed"):
        produce.identity_of((events[0].value or b"").replace(b"event_type", b"event_typo"))


@pytest.mark.parametrize("codec", produce.CODECS)
def test_what_is_produced_is_read_back(broker: Broker, codec: str) -> None:
    topic = f"codec-{codec}-{time.time_ns()}"
    broker.create(topic, 3, {})
    events = list(produce.shop_events(3000, 3))
    events += [produce.Event(0, b"k", payload.value) for payload in hostile.PAYLOADS.values()]
    events.append(produce.Event(1, b"big", bytes(1_000_000)))
    assert produce.send(broker.bootstrap_servers, topic, events, codec) == len(events)
    records, ends = checker.read_topic(broker.bootstrap_servers, [topic])
    for partition in range(3):
        read = [(r.key, r.value) for r in records if r.partition == (topic, partition)]
        assert read == [(e.key, e.value) for e in events if e.partition == partition]
        assert ends[topic, partition] == len(read)


def test_a_record_that_the_broker_refuses_is_an_error(kafka_broker: Broker) -> None:
    topic = f"refused-{time.time_ns()}"
    kafka_broker.create(topic, 1, {"max.message.bytes": "1000"})
    with pytest.raises(RuntimeError, match="1 refused"):
        produce.send(kafka_broker.bootstrap_servers, topic, [produce.Event(0, None, bytes(5000))])


def test_aborted_records_are_hidden_and_control_records_are_not_records(kafka_broker: Broker) -> None:
    topic = f"transactions-{time.time_ns()}"
    kafka_broker.create(topic, 1, {})
    events = list(produce.shop_events(30))
    parts = [(events[:10], True), (events[10:20], False), (events[20:], True)]
    produce.transactions(kafka_broker.bootstrap_servers, topic, parts)
    records, ends = checker.read_topic(kafka_broker.bootstrap_servers, [topic])
    assert [r.value for r in records] == [e.value for e in events[:10] + events[20:]]
    assert [r.offset for r in records] == [*range(10), *range(22, 32)]
    assert ends == topics.ends(kafka_broker.bootstrap_servers, [(topic, 0)]) == {(topic, 0): 33}
    everything, _ = checker.read_topic(kafka_broker.bootstrap_servers, [topic], isolation="read_uncommitted")
    assert len(everything) == 30


def test_compaction_leaves_gaps(kafka_broker: Broker) -> None:
    topic = f"compacted-{time.time_ns()}"
    kafka_broker.create(topic, 1, produce.COMPACTED)
    produce.compact(kafka_broker.bootstrap_servers, topic, list(produce.shop_events(500, users=20)))
    offsets = produce.offsets(kafka_broker.bootstrap_servers, topic, 0)
    assert len(offsets) <= 40
    assert offsets[-1] >= 500
    assert any(b - a > 1 for a, b in itertools.pairwise(offsets))


def test_the_settings_that_short_tests_need(kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    broker = str(next(iter(admin.list_topics(timeout=10).brokers)))
    resource = ConfigResource(ConfigResource.Type.BROKER, broker)
    config = admin.describe_configs([resource])[resource].result(20)
    assert config["group.initial.rebalance.delay.ms"].value == "0"
    assert int(config["group.min.session.timeout.ms"].value) <= 1000
    assert int(config["group.consumer.session.timeout.ms"].value) <= 6000
    assert config["offsets.topic.num.partitions"].value == "4"


@pytest.mark.kafka
def test_kill_9_and_restart_keep_data_and_address() -> None:
    fixtures.require_java()
    with KafkaServer() as server:
        address = server.bootstrap_servers
        server.create_topic("t", 1)
        produce.send(address, "t", produce.shop_events(100))
        pid = server.pid
        server.kill()
        assert server.pid is None
        server.start()
        assert server.pid not in (None, pid)
        assert server.bootstrap_servers == address
        assert len(checker.read_topic(address, ["t"])[0]) == 100
        server.stop()
        server.start()
        assert topics.ends(address, [("t", 0)]) == {("t", 0): 100}
        directory = server.data_dir
    assert not directory.exists()


@pytest.mark.kafka
def test_a_broker_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    fixtures.require_java()
    server = KafkaServer(tmp_path, properties={"num.io.threads": "none"})
    with pytest.raises(RuntimeError, match=r"num\.io\.threads"):
        server.start()
    server.close()


@pytest.mark.kafka
def test_the_broker_dies_with_a_process_that_is_killed(tmp_path: Path) -> None:
    fixtures.require_java()
    code = f"""
        import sys, time
        sys.path[:0] = {[str(Path(__file__).parent.parent)]!r}
        from pathlib import Path
        from harness.kafka import KafkaServer
        server = KafkaServer(Path({str(tmp_path)!r})).start()
        print(server.pid, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    break  # dead, and only unburied
        except FileNotFoundError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the broker outlived its owner")


def test_missing_java_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "java", lambda: (_ for _ in ()).throw(install.KafkaUnavailableError("no Java at all")))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Java at all"):
        fixtures.require_java()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI=true, but no Java at all"):
        fixtures.require_java()


def test_jars_are_fetched_once_for_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two processes that need them at the same time: one fetches, both see all of them."""
    (tmp_path / "bin").mkdir()
    maven = tmp_path / "bin" / "mvn"
    maven.write_text(
        "#!/bin/sh\necho fetched >>" + str(tmp_path / "calls") + "\n"
        'for a in "$@"; do case $a in -DoutputDirectory=*) d=${a#*=}; esac; done\n'
        "mkdir -p $d; sleep 0.5; touch $d/kafka_2.13-0.jar $d/other.jar\n"
    )
    maven.chmod(0o755)
    fixtures.require_java()
    monkeypatch.setenv("PATH", f"{maven.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TIDEGATE_TEST_KAFKA_CACHE", str(tmp_path / "cache" / "jars"))
    code = "import sys; sys.path.insert(0, sys.argv[1]); from harness import install; print(*install.jars().iterdir())"
    command = [sys.executable, "-c", code, str(Path(__file__).parent.parent)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [run.communicate(timeout=60)[0] for run in runs]
    assert all(run.returncode == 0 for run in runs)
    assert all(len(output.split()) == 2 for output in outputs)
    assert (tmp_path / "calls").read_text().count("fetched") == 1
