"""What ends a start: settings, rules, samples, ports, commands. One screen each, exit code 2, no traceback."""

from __future__ import annotations

import socket
from itertools import pairwise
from pathlib import Path

import pytest

from errors.processes import lines, refused, sidecar, tidegate
from tidegate.broker.embedded import EmbeddedBroker


def test_a_first_run_says_what_is_needed_with_an_example_to_paste() -> None:
    text = refused(tidegate("run"))
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "TOPICS", "SINK_URL"):
        assert f"TIDEGATE_{name} is not set" in text
        assert f"    export TIDEGATE_{name}=" in text
    assert "tidegate demo" in text
    example = dict(line.strip().removeprefix("export ").split("=") for line in text.splitlines() if "export" in line)
    assert tidegate("validate", **{k.removeprefix("TIDEGATE_"): v for k, v in example.items()}).returncode == 0


def test_the_example_is_for_those_who_have_said_nothing() -> None:
    assert "For example" not in refused(tidegate("run", topics="orders"))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("batch_linger", "TIDEGATE_BATCH_LINGER_MS"),
        ("bootstrap_servers", "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS"),
        ("kafka_sesion_timeout_ms", "TIDEGATE_KAFKA_SESSION_TIMEOUT_MS"),
        ("topic", "TIDEGATE_TOPICS"),
    ],
)
def test_an_unknown_variable_comes_with_the_nearest(wrong: str, right: str) -> None:
    text = refused(tidegate("validate", **{wrong: "1"}))
    assert f"TIDEGATE_{wrong.upper()} is not a" in text
    assert f"Did you mean {right}?" in text


@pytest.mark.parametrize(
    ("rule", "at"),
    [("json:no-pointer=1", "no-pointer=1"), ("purchase,topic:", ""), ("header:=x", "=x")],
)
def test_a_bad_rule_is_marked(rule: str, at: str) -> None:
    text = refused(tidegate("validate", critical=rule))
    shown, caret = next((a, b) for a, b in pairwise(text.splitlines()) if b.strip() == "^")
    assert text.startswith("tidegate: TIDEGATE_CRITICAL: ")
    assert shown[caret.index("^") :] == at


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("concurrency", "many", "TIDEGATE_CONCURRENCY=many is not a whole number"),
        ("concurrency", "0", "is too small: at least 1 requests"),
        ("replay_headroom", "half", "is not a number"),
        ("memory_bytes", "1k", "is too small: at least 16MiB"),
        ("memory_bytes", "96 megs", "is not a size: write it like 96MiB"),
        ("format", "xml", "is not one of ndjson, json, envelope"),
        ("topics", "a b", "names a topic that Kafka does not allow: 'a b'"),
        ("topics", "^a(", "holds a regular expression that is not right"),
        ("sink_url", "ftp://x", "has an unknown kind of target"),
        ("sink_authorization", "a\nb", "is not a header value"),
        ("ops_address", "9400", "is not an address: write host:port"),
        ("admin_address", "0.0.0.0:1", "is not a loopback address"),
        ("kafka_bootstrap_servers", "a:99999", "has an entry that is not host:port"),
        ("kafka_security_protocol", "tls", "is refused by librdkafka"),
        ("kafka_session_timeout_ms", "45s", "is not a plain whole number, without a unit"),
        ("kafka_group_id", "x", "Set TIDEGATE_GROUP_ID instead"),
        ("critical_on_pressure", "sample", "TIDEGATE_CRITICAL_ON_PRESSURE"),
        ("drain_seconds", "100", "is not below the session timeout of 45 s"),
        ("group_id_file", "/nowhere/group", "cannot be read: No such file or directory"),
    ],
)
def test_a_bad_value_of_each_kind(setting: str, value: str, words: str) -> None:
    text = refused(tidegate("validate", **{setting: value}))
    assert words in text
    assert len(text.splitlines()) >= 2, "what to do stands below"


def test_sasl_without_a_mechanism_says_so() -> None:
    text = refused(tidegate("validate", kafka_security_protocol="sasl_ssl"))
    assert "Set TIDEGATE_KAFKA_SASL_MECHANISM" in text


def test_many_problems_are_still_one_screen() -> None:
    bad = {"format": "xml", "batch_linger": 5, "memory_bytes": "1k", "sink_url": "ftp://x", "topics": "a b"}
    text = refused(tidegate("validate", concurrency="x", kafka_sesion_timeout_ms=3, **bad))
    assert text.startswith("tidegate: The configuration has 7 problems:\n")


def test_samples_that_are_none(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tidegate("validate", "--samples", str(tmp_path / "none")))
    (tmp_path / "samples").write_text('\n{"topic": 1}\n')
    text = refused(tidegate("validate", "--samples", str(tmp_path / "samples")))
    assert "Line 2 of the samples" in text
    assert '"topic" is not a string' in text
    assert "Write one object a line" in text


@pytest.mark.parametrize(("typed", "meant"), [("rum", "run"), ("validte", "validate"), ("--vrsion", "--version")])
def test_an_unknown_command_comes_with_the_nearest(typed: str, meant: str) -> None:
    assert meant in refused(tidegate(typed))


@pytest.mark.parametrize("name", ["ops", "admin"])
def test_a_port_in_use_says_which_and_what_moves_it(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {"ops_address": "none", "admin_address": "none", f"{name}_address": f"127.0.0.1:{port}"}
        more = {"topics": "t", "kafka_bootstrap_servers": "127.0.0.1:1", "sink_url": "blackhole:"}
        text = refused(tidegate("run", **settings, **more))
    assert f"TIDEGATE_{name.upper()}_ADDRESS: 127.0.0.1:{port} is in use by another process" in text
    assert f"ss -ltnp 'sport = :{port}'" in text
    assert "Set it to a free host:port" in text


def test_the_default_admin_port_in_use_is_no_reason_to_end(tmp_path: Path) -> None:
    with EmbeddedBroker({"t": 1}) as broker:
        settings = full_of(broker)
        try:
            taken = socket.create_server(("127.0.0.1", 9401))
        except OSError:
            taken = None  # somebody else's, which does as well
        one = sidecar(tmp_path, **settings)
        with one:
            one.wait_until(lambda: lines(one, event="partitions assigned"), 20, "it runs")
            assert "TIDEGATE_ADMIN_ADDRESS" in str(lines(one, level="warning"))
            one.stop(15)
        if taken is not None:
            taken.close()


def full_of(broker: EmbeddedBroker) -> dict[str, object]:
    """A sidecar's settings that leave the admin address out."""
    return {"kafka_bootstrap_servers": broker.bootstrap_servers, "topics": "t", "admin_address": ""}
