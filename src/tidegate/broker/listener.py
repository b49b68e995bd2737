"""What listens at a broker's address: one short connection, without librdkafka and without credentials.

librdkafka cannot say what is wrong where a plaintext client meets a TLS port or one that wants a password: the broker
closes the connection, and all that is heard is that no broker is up. So a port is asked for its SASL mechanisms
(SaslHandshake, version 1), which any Kafka answers before anybody has said who he is: a listener without SASL with
the error ILLEGAL_SASL_STATE. What does not answer in plaintext is asked again behind a TLS handshake.

    request   size:i32  key:i16=17  version:i16=1  correlation:i32  client:str16  mechanism:str16
    response  size:i32  correlation:i32  error:i16  count:i32  mechanism:str16 …
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
from dataclasses import dataclass
from enum import Enum

SECONDS = 2.0  # for a connection, and for each answer
DEFAULT_PORT = 9092
_ILLEGAL_SASL_STATE = 34
_ANSWER_MOST = 4096
_SERVER = re.compile(r"(?:[A-Za-z_]+://)?\[?(.*?)\]?(?::(\d+))?")


class Reached(Enum):
    """How far a connection came."""

    UNRESOLVED = "unresolved"  # no such host
    REFUSED = "refused"  # nobody there, or no way there
    SILENT = "silent"  # connected, and what is there speaks no Kafka
    KAFKA = "kafka"


@dataclass(frozen=True, slots=True)
class Listener:
    """What is known of an address.

    Attributes:
        words: where it is not KAFKA: the system's, or a verb's end of a sentence about it.
        tls: it speaks TLS. SILENT behind TLS is what wants a client's certificate.
        mechanisms: of SASL; empty: it wants none.
    """

    host: str
    port: int
    reached: Reached
    words: str = ""
    tls: bool = False
    mechanisms: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def protocol(self) -> str:
        """The ``security.protocol`` that a client needs here."""
        transport = "ssl" if self.tls else "plaintext"
        return f"sasl_{transport}" if self.mechanisms else transport


def split_servers(servers: str) -> list[tuple[str, int]]:
    """(host, port) of each entry of ``bootstrap.servers``."""
    found = []
    for entry in servers.split(","):
        match = _SERVER.fullmatch(entry.strip())
        if match is not None and match[1]:
            found.append((match[1], int(match[2] or DEFAULT_PORT)))
    return found


def look(host: str, port: int, seconds: float = SECONDS) -> Listener:
    """Connects, once or twice, and says what is there. Blocks for some ``seconds``, a resolver's time besides.

    Raises nothing: what goes wrong is the answer.
    """
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Listener(host, port, Reached.UNRESOLVED, words)
    words, spoken = "", False
    for tls in (False, True):
        try:
            connection = socket.create_connection((host, port), seconds)
        except OSError as error:
            late = isinstance(error, TimeoutError)
            words = f"no answer within {seconds:g} s" if late else error.strerror or str(error)
            return Listener(host, port, Reached.REFUSED, words)
        try:
            with connection, _wrapped(connection, host) if tls else contextlib.nullcontext(connection) as stream:
                spoken = tls
                mechanisms = _mechanisms(stream)
            return Listener(host, port, Reached.KAFKA, tls=tls, mechanisms=mechanisms)
        except TimeoutError:
            words = f"does not answer within {seconds:g} s"
        except (OSError, ValueError, struct.error):  # a reset, no TLS, or no word of Kafka's
            words = "does not answer as Kafka does"
    return Listener(host, port, Reached.SILENT, words, tls=spoken)


def _wrapped(connection: socket.socket, host: str) -> ssl.SSLSocket:
    # Nothing secret is said: whether the certificate is right is the real client's to find out.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=host)


def _mechanisms(stream: socket.socket) -> tuple[str, ...]:
    """The mechanisms that the listener has. Raises OSError, ValueError or struct.error where that is no Kafka."""
    body = struct.pack(">hhi", 17, 1, 1) + _text("tidegate") + _text("?")
    stream.sendall(struct.pack(">i", len(body)) + body)
    (size,) = struct.unpack(">i", _read(stream, 4))
    if not 10 <= size <= _ANSWER_MOST:
        raise ValueError("not Kafka's answer")
    answer = _read(stream, size)
    correlation, error, count = struct.unpack_from(">ihi", answer)
    if correlation != 1:
        raise ValueError("not Kafka's answer")
    if error == _ILLEGAL_SASL_STATE:
        return ()
    found, at = [], 10
    for _ in range(count):
        (length,) = struct.unpack_from(">h", answer, at)
        found.append(answer[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return tuple(found)


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _read(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ValueError("closed")
        data += part
    return data
