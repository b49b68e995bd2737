"""`tidegate validate --connect`: everything outside, a line each, and nothing changed by it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType

from errors.brokers import PickyKafka
from errors.processes import one_screen, refused, tidegate
from harness.ports import free_ports
from harness.rights import Rights
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.sinks.ask import judge


@contextmanager
def app(status: int, allow: str = "") -> Iterator[str]:
    """An HTTP server that answers OPTIONS so; anything else is a fault of the check."""

    class Handler(BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if allow:
                self.send_header("Allow", allow)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/events"
    server.shutdown()
    server.server_close()


@pytest.mark.kafka
def test_where_all_is_well_it_says_so_and_makes_nothing(picky: PickyKafka) -> None:
    with app(405, "POST") as url:
        done = tidegate(
            "validate",
            "--connect",
            kafka_bootstrap_servers=picky.bootstrap_servers,
            topics="shop.orders,^page-.*",
            group_id="connecting",
            sink_url=url,
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines() == [
        f"✓ broker   {picky.bootstrap_servers} speaks plaintext",
        "✓ kafka    signed in as User:ANONYMOUS; 1 broker",
        "✓ topic    page-views, 2 partitions, may be read",
        "✓ topic    shop.orders, 2 partitions, may be read",
        "✓ group    connecting may be joined",
        "✓ parking  tidegate.connecting.parked may be made",
        f"✓ app      {url} answers",
    ]
    admin = AdminClient({"bootstrap.servers": picky.bootstrap_servers})
    assert "tidegate.connecting.parked" not in admin.list_topics(timeout=10).topics
    assert "connecting" not in [g.group_id for g in admin.list_consumer_groups().result(10).valid]


@pytest.mark.kafka
def test_what_is_wrong_is_told_with_what_to_do(picky: PickyKafka) -> None:
    picky.create_topic("half", 1)
    Rights(picky.bootstrap_servers, "stranger").allow(ResourceType.TOPIC, "half", AclOperation.DESCRIBE)
    url = f"http://127.0.0.1:{free_ports(1)[0]}/events"
    login = picky.login("stranger")
    done = tidegate("validate", "--connect", topics="half,veiled", group_id="none", sink_url=url, **login)
    assert (done.returncode, done.stderr) == (1, "")
    assert "Traceback" not in done.stdout
    marks = [line[:10].strip() for line in done.stdout.splitlines() if line[0] in "✓✗!"]
    assert marks == ["✓ broker", "✓ kafka", "✗ topic", "✗ topic", "✗ group", "✗ parking", "✗ app"]
    for words in ("read topic half", "read topic veiled", "join group none", "Start the app"):
        assert words in done.stdout


@pytest.mark.kafka
def test_a_misspelt_topic_fails_with_the_right_name(picky: PickyKafka) -> None:
    servers = f"{picky.bootstrap_servers},127.0.0.1:{free_ports(1)[0]}"
    done = tidegate("validate", "--connect", kafka_bootstrap_servers=servers, topics="page-view", sink_url="blackhole:")
    assert done.returncode == 1
    assert "✗ topic    topic page-view is not there" in done.stdout
    assert "Did you mean page-views?" in done.stdout
    assert "! broker   cannot connect to" in done.stdout, "another address answers, so this only is to be known"


@pytest.mark.kafka
def test_of_a_wrong_password_nothing_more_is_asked(picky: PickyKafka) -> None:
    settings = picky.login("shop", "geheim-2718")
    done = tidegate("validate", "--connect", topics="shop.orders", sink_url="blackhole:", **settings)
    assert done.returncode == 1
    assert "✗ kafka    " in one_screen(done.stdout)
    assert "refuses user shop" in done.stdout
    assert "topic" not in done.stdout
    assert "geheim" not in done.stdout + done.stderr


def test_without_an_address_that_answers_the_address_is_what_is_told() -> None:
    done = tidegate("validate", "--connect", kafka_bootstrap_servers="kafka.invalid:1", topics="t", sink_url="stdout:")
    assert done.returncode == 1
    assert "✗ broker   cannot resolve kafka.invalid:1" in one_screen(done.stdout)
    assert "✓ app      stdout: needs nothing" in done.stdout


def test_an_embedded_broker_is_asked_only_what_it_knows() -> None:
    with EmbeddedBroker({"t": 3}) as broker:
        servers = broker.bootstrap_servers
        done = tidegate("validate", "--connect", kafka_bootstrap_servers=servers, topics="t", sink_url="blackhole:")
    assert done.returncode == 0, done.stdout
    assert "✓ topic    t, 3 partitions" in done.stdout


def test_a_bad_configuration_is_exit_2_and_connects_to_nothing() -> None:
    assert "TIDEGATE_SINK_URL is not set" in refused(tidegate("validate", "--connect"))
    assert tidegate("validate", "--connect", "--samples", "-").returncode == 2


@pytest.mark.parametrize(
    ("status", "allow", "well"),
    [
        (204, None, True),
        (200, "GET, POST, OPTIONS", True),
        (405, None, True),
        (405, "POST", True),
        (405, "GET, HEAD", False),
        (200, "GET,HEAD", False),
        (401, None, False),
        (403, None, False),
        (404, None, None),
        (500, None, None),
        (301, None, None),
    ],
)
def test_what_an_answer_says_of_the_app(status: int, allow: str | None, well: bool | None) -> None:
    answer = judge("http://app/events", status, allow)
    assert answer.well is well
    assert bool(answer.todo) is (well is not True)
