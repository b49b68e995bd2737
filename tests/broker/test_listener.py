"""A look at an address: what is there when it is no Kafka, hangs, or is nobody's. With a real Kafka: tests/errors."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trustme

from harness.ports import free_ports
from tidegate.broker.diagnosis import judge
from tidegate.broker.listener import Listener, Reached, look, split_servers
from tidegate.config import Settings


@contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose every connection is handed over."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def greet(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"220 mail.example ESMTP\r\n")


def claim_much(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"\x7f\xff\xff\xff" + b"x" * 64)


def hang_up(connection: socket.socket) -> None:
    connection.recv(100)


@pytest.mark.parametrize("other", [greet, claim_much, hang_up])
def test_what_is_no_kafka(other: Callable[[socket.socket], None]) -> None:
    with served(other) as port:
        there = look("127.0.0.1", port)
    assert there == Listener("127.0.0.1", port, Reached.SILENT, "does not answer as Kafka does")


def test_what_hangs_is_told_apart_and_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        port = hanging.getsockname()[1]
        begun = time.monotonic()
        there = look("127.0.0.1", port, 0.3)
        assert time.monotonic() - begun < 2
    assert (there.reached, there.words) == (Reached.SILENT, "does not answer within 0.3 s")
    found = judge(Settings(kafka_bootstrap_servers=there.address), there)
    assert found is not None
    assert found.code == "kafka-not-there"
    assert "it hangs or is overloaded" in found.todo


def test_behind_tls_what_wants_a_certificate_is_told_apart() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    def shake(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as stream:
            stream.recv(100)

    with served(shake) as port:
        there = look("127.0.0.1", port)
    assert (there.reached, there.tls) == (Reached.SILENT, True)
    found = judge(Settings(kafka_bootstrap_servers=there.address), there)
    assert found is not None
    assert "TIDEGATE_KAFKA_SSL_CERTIFICATE_LOCATION" in found.todo


def test_nobody_and_nowhere() -> None:
    (port,) = free_ports(1)
    assert look("127.0.0.1", port) == Listener("127.0.0.1", port, Reached.REFUSED, "Connection refused")
    assert look("kafka.invalid", 9092).reached is Reached.UNRESOLVED
    assert look(f"{'a' * 70}.example", 9092).reached is Reached.UNRESOLVED, "no name that can be one"


def test_addresses_as_librdkafka_takes_them() -> None:
    assert split_servers("a:1, [::1]:2,b,SSL://c:3") == [("a", 1), ("::1", 2), ("b", 9092), ("c", 3)]
    assert Listener("::1", 2, Reached.KAFKA).address == "[::1]:2"
